"""Cityscapes: streets of 50 cities, 19 classes.

TFDS's `cityscapes` keeps the publishers' 34 numbers, and reads archives through
TensorFlow; this reads the unpacked folders and scores the 19 classes of the benchmark.
"""

from typing import ClassVar

from dpjax.data import label_files
from dpjax.data.builders import label_maps, layouts

# Number in *_labelIds.png of each scored class (cityscapesScripts, labels.py).
_CLASSES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
_ALL_NUMBERS = range(34)
_CODING = label_files.Numbers(
    dict.fromkeys(_ALL_NUMBERS, label_files.IGNORE)
    | {number: place for place, number in enumerate(_CLASSES.values())}
)


class Cityscapes(label_maps.LabelMaps, skip_registration=True):
    """19 kinds of street scenery from 50 cities, 1024x2048, finely labelled."""

    source: ClassVar[str] = "Cordts et al., CVPR 2016; leftImg8bit and gtFine"
    classes = tuple(_CLASSES)
    counts: ClassVar = {"train": 2975, "val": 500}
    left_out: ClassVar[str] = (
        "cityscapes: the labels of test are not published; `python -m dpjax predict` "
        "takes its pictures"
    )
    published: ClassVar = (
        layouts.by_split(
            _CODING,
            "leftImg8bit/{split}/{}_leftImg8bit",
            "gtFine/{split}/{}_gtFine_labelIds",
            train="train",
            val="val",
        ),
    )
