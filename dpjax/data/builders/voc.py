"""PASCAL VOC 2012 and the parts of its people.

TFDS's `voc` holds boxes and no masks, hence these read the user's copy.
"""

from typing import ClassVar

from dpjax.data import label_files
from dpjax.data.builders import label_maps, layouts

CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
_CODING = label_files.Numbers.of(len(CLASSES), ignore=(255,))
_LISTS = {"train": ("train",), "val": ("val",), "train_aug": ("train_aug", "trainaug")}
_SBD = "benchmark_RELEASE/dataset/cls/{}"


def _voc(root: str) -> layouts.Layout:
    """VOC2012 at `root`; SBD's labels as PNG inside it, or as published beside it."""
    own = (f"{root}SegmentationClass/{{}}",)
    # VOC's own labels where there are any: they have void borders.
    both = (*own, f"{root}SegmentationClassAug/{{}}", _SBD)
    return layouts.Layout(
        {
            split: layouts.Place(
                f"{root}JPEGImages/{{}}",
                both if split == "train_aug" else own,
                tuple(f"{root}ImageSets/Segmentation/{name}.txt" for name in names),
            )
            for split, names in _LISTS.items()
        },
        _CODING,
    )


class Voc2012(label_maps.LabelMaps, skip_registration=True):
    """20 kinds of things and background: PASCAL VOC 2012, with SBD as train_aug."""

    source: ClassVar[str] = "Everingham et al., IJCV 2015; Hariharan et al., ICCV 2011"
    classes = CLASSES
    counts: ClassVar = {"train": 1464, "val": 1449, "train_aug": 10_582}
    left_out: ClassVar[str] = (
        "voc2012: the labels of test are not published; trainval is voc2012:train and "
        "voc2012:val together"
    )
    published: ClassVar = (
        *map(_voc, ("VOCdevkit/VOC2012/", "VOC2012/", "")),
        layouts.plain(_CODING, "train", "val"),
    )


_PARTS = (
    "background",
    "head",
    "torso",
    "upper arms",
    "lower arms",
    "upper legs",
    "lower legs",
)


def _parts(voc: str, own: str) -> layouts.Layout:
    """Photographs below `voc`, labels and lists of the DeepLab release below `own`."""
    return layouts.Layout(
        {
            split: layouts.Place(
                f"{voc}JPEGImages/{{}}",
                (f"{own}pascal_person_part_gt/{{}}",),
                (
                    f"{own}pascal_person_part_trainval_list/{split}.txt",
                    f"{own}list/{split}_id.txt",
                    f"{own}{split}_id.txt",
                ),
            )
            for split in ("train", "val")
        },
        label_files.Numbers.of(len(_PARTS), ignore=(255,)),
    )


class PersonPart(label_maps.LabelMaps, skip_registration=True):
    """Six parts of people and background, on photographs of VOC 2010."""

    source: ClassVar[str] = "Chen et al., CVPR 2014; files of the DeepLab release"
    classes = _PARTS
    published: ClassVar = tuple(
        _parts(voc, own)
        for voc in ("VOCdevkit/VOC2010/", "VOC2010/", "")
        for own in ("pascal_person_part/", "")
    )
