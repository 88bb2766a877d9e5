"""Labelled rooms: NYU Depth v2 with 40 classes, SUN RGB-D with 37.

TFDS's `nyu_depth_v2` holds depth and no labels; the publishers' files are MATLAB's
HDF5, so read are the folders of pictures that everybody makes of them.
"""

from typing import ClassVar

from dpjax.data import label_files
from dpjax.data.builders import label_maps, layouts

# Gupta et al., CVPR 2013; SUN RGB-D has the same ones up to "bag".
_SHARED = (
    "wall",
    "floor",
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "blinds",
    "desk",
    "shelves",
    "curtain",
    "dresser",
    "pillow",
    "mirror",
    "floor mat",
    "clothes",
    "ceiling",
    "books",
    "refrigerator",
    "television",
    "paper",
    "towel",
    "shower curtain",
    "box",
    "whiteboard",
    "person",
    "night stand",
    "toilet",
    "sink",
    "lamp",
    "bathtub",
    "bag",
)
_NYU = (*_SHARED, "otherstructure", "otherfurniture", "otherprop")


def _from_one(count: int) -> label_files.Numbers:
    """The publishers' numbers: 0 where nothing is labelled."""
    return label_files.Numbers.of(count, first=1, ignore=(0,))


def _by_split(
    coding: label_files.Coding, images: str, labels: str, *splits: str
) -> layouts.Layout:
    names = {split: split for split in splits}
    return layouts.by_split(coding, f"{images}/{{}}", f"{labels}/{{}}", **names)


def _listed(coding: label_files.Coding, images: str, labels: str) -> layouts.Layout:
    return layouts.Layout(
        {
            split: layouts.Place(images, (labels,), (f"{split}.txt",))
            for split in ("train", "val", "test")
        },
        coding,
    )


class Nyudv2(label_maps.LabelMaps, skip_registration=True):
    """40 kinds of things in rooms: the 1449 labelled images of NYU Depth v2.

    Read are train and test with rgb and labels_40; or lists train.txt and test.txt
    beside RGB and Label, or beside FCN's data/images and segmentation, all of them with
    0 = not labelled, 1 to 40; or train, val and test with images and labels, 0 to 39
    and 255, beside classes.txt.

    The white frame of the pictures, about 8 pixels, is kept, as it is not labelled.
    Published scores are those of rows 45 to 470 and columns 40 to 600.
    """

    source: ClassVar[str] = "Silberman et al., ECCV 2012; Gupta et al., CVPR 2013"
    classes = _NYU
    counts: ClassVar = {"train": 795, "test": 654}
    published: ClassVar = (
        _by_split(_from_one(40), "{split}/rgb", "{split}/labels_40", "train", "test"),
        _listed(_from_one(40), "RGB/{}", "Label/{}"),
        _listed(_from_one(40), "data/images/img_{}", "segmentation/img_{}"),
        layouts.plain(
            label_files.Numbers.of(40, ignore=(255,)), "train", "val", "test"
        ),
    )


class SunRgbd(label_maps.LabelMaps, skip_registration=True):
    """37 kinds of things in rooms: SUN RGB-D, colour images only.

    The publishers' toolbox gives the labels as one MATLAB array; read are label files
    made of it, 0 = not labelled, 1 to 37, named as their pictures: train and test with
    images and labels, or with rgb and labels_37, or the folders the other way round; or
    RGB and Label beside train.txt and test.txt.
    """

    source: ClassVar[str] = "Song et al., CVPR 2015"
    classes = _SHARED
    counts: ClassVar = {"train": 5285, "test": 5050}
    published: ClassVar = (
        _by_split(_from_one(37), "{split}/images", "{split}/labels", "train", "test"),
        _by_split(_from_one(37), "images/{split}", "labels/{split}", "train", "test"),
        _by_split(_from_one(37), "{split}/rgb", "{split}/labels_37", "train", "test"),
        _listed(_from_one(37), "RGB/{}", "Label/{}"),
    )
