"""Labelled rooms: NYU Depth v2 with 40 classes, SUN RGB-D with 37.

TFDS's `nyu_depth_v2` holds depth and no labels; the publishers' files are MATLAB's
HDF5, so read are the folders of pictures that everybody makes of them.
"""

from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

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
_NYU_SIZE = (480, 640)
# Where the pictures that come with RefineNet's code lie in those of the data set.
_NYU_INSIDE = (slice(6, 474), slice(7, 632))


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

    Pictures of 480x640 pixels lose their white frame: rows 6 to 473 and columns 7 to
    631 are left, the 468x625 pixels that RefineNet and its light-weight form are
    trained and scored on, with 99.8 % of what is labelled.  Copies of another size are
    taken as cut already.  FCN's of 425x560 leave out 18 % of what is labelled: their
    scores are those of another protocol.
    """

    # The pictures without a frame are other ones than those with it.
    VERSION = tfds.core.Version("2.0.0")

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

    def trim(self, pixels: np.ndarray) -> np.ndarray:
        """Returns a picture or its labels without the white frame.

        Args:
            pixels: [h, w] or [h, w, c].

        Returns:
            [468, 625] or [468, 625, c] of 480x640 pixels, others as they are.
        """
        return pixels[_NYU_INSIDE] if pixels.shape[:2] == _NYU_SIZE else pixels


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
