"""PASCAL-Context: every pixel of VOC 2010's photographs."""

from typing import ClassVar

from dpjax.data import label_files
from dpjax.data.builders import label_maps, layouts

# The 59 frequent ones of the publishers' 459 classes, by their numbers (labels.txt).
_CLASSES = {
    "aeroplane": 2,
    "bag": 9,
    "bed": 18,
    "bedclothes": 19,
    "bench": 22,
    "bicycle": 23,
    "bird": 25,
    "boat": 31,
    "book": 33,
    "bottle": 34,
    "building": 44,
    "bus": 45,
    "cabinet": 46,
    "car": 59,
    "cat": 65,
    "ceiling": 68,
    "chair": 72,
    "cloth": 80,
    "computer": 85,
    "cow": 98,
    "cup": 104,
    "curtain": 105,
    "dog": 113,
    "door": 115,
    "fence": 144,
    "floor": 158,
    "flower": 159,
    "food": 162,
    "grass": 187,
    "ground": 189,
    "horse": 207,
    "keyboard": 220,
    "light": 232,
    "motorbike": 258,
    "mountain": 259,
    "mouse": 260,
    "person": 284,
    "plate": 295,
    "platform": 296,
    "pottedplant": 308,
    "road": 324,
    "rock": 326,
    "sheep": 347,
    "shelves": 349,
    "sidewalk": 354,
    "sign": 355,
    "sky": 360,
    "snow": 366,
    "sofa": 368,
    "table": 397,
    "track": 415,
    "train": 416,
    "tree": 420,
    "truck": 424,
    "tvmonitor": 427,
    "wall": 440,
    "water": 445,
    "window": 454,
    "wood": 458,
}
_ALL_NUMBERS = range(460)  # 0 is not labelled
_AS_PUBLISHED = label_files.Numbers(
    dict.fromkeys(_ALL_NUMBERS, 0)
    | {number: place for place, number in enumerate(_CLASSES.values(), 1)}
)
_CONVERTED = label_files.Numbers.of(1 + len(_CLASSES))


def _layout(
    voc: str, labels: str, lists: str, coding: label_files.Coding
) -> layouts.Layout:
    return layouts.Layout(
        {
            split: layouts.Place(
                f"{voc}JPEGImages/{{}}",
                (labels,),
                (f"{voc}ImageSets/{lists}/{split}.txt",),
            )
            for split in ("train", "val")
        },
        coding,
    )


class PascalContext(label_maps.LabelMaps, skip_registration=True):
    """59 kinds of things and stuff, and background: PASCAL-Context.

    Read are the publishers' maps, trainval with a .mat file for each photograph, or
    what converters make of them, SegmentationClassContext.  All but the 59 frequent
    classes are background, class 0, as in FCN and all later work.
    """

    source: ClassVar[str] = "Mottaghi et al., CVPR 2014"
    classes = ("background", *_CLASSES)
    counts: ClassVar = {"train": 4998, "val": 5105}
    published: ClassVar = tuple(
        layout
        for voc in ("VOCdevkit/VOC2010/", "VOC2010/", "")
        for layout in (
            _layout(voc, "trainval/{}", "Main", _AS_PUBLISHED),
            _layout(
                voc,
                f"{voc}SegmentationClassContext/{{}}",
                "SegmentationContext",
                _CONVERTED,
            ),
        )
    )
