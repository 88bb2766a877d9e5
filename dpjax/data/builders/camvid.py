"""CamVid: street scenes from a moving car, 11 classes, in both published sizes."""

import re
from typing import ClassVar

from dpjax.data import label_files
from dpjax.data.builders import label_maps, layouts

# The 32 colours of the 960x720 labels by class (Brostow et al.; merged as in SegNet).
_COLOURS = {
    "sky": [(128, 128, 128)],
    "building": [(0, 128, 64), (128, 0, 0), (64, 192, 0), (64, 0, 64), (192, 0, 128)],
    "pole": [(192, 192, 128), (0, 0, 64)],
    "road": [(128, 64, 128), (128, 0, 192), (192, 0, 64)],
    "pavement": [(0, 0, 192), (64, 192, 128), (128, 128, 192)],
    "tree": [(128, 128, 0), (192, 192, 0)],
    "sign symbol": [(192, 128, 128), (128, 128, 64), (0, 64, 64)],
    "fence": [(64, 64, 128)],
    "car": [
        (64, 0, 128),
        (64, 128, 192),
        (192, 128, 192),
        (192, 64, 128),
        (128, 64, 64),
    ],
    "pedestrian": [(64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)],
    "bicyclist": [(0, 128, 192), (192, 0, 192)],
}
_VOID = (0, 0, 0)
_COUNTS = {"train": 367, "val": 101, "test": 233}
_STRAY_SHARE = 0.01  # one file is smoothed at borders, Seq05VD_f02610_L

_NUMBERS = label_files.Numbers.of(len(_COLOURS), ignore=(11,))
_BY_COLOUR = label_files.Colours(
    {_VOID: label_files.IGNORE}
    | {c: i for i, many in enumerate(_COLOURS.values()) for c in many},
    stray_share=_STRAY_SHARE,
)


def split_of(name: str) -> str:
    """Returns the split that a frame belongs to, in SegNet's division 367/101/233.

    The frames at 15 Hz of drive 0016E5 validate, the second half of 0001TP and Seq05VD
    test.  (Other divisions of the large release are about and score higher.)

    Args:
        name: of the file, such as "0016E5_07959" or "Seq05VD_f02610".

    Returns:
        "train", "val" or "test".
    """
    drive, _, frame = name.partition("_")
    number = int(re.sub(r"\D", "", frame) or 0)
    if drive == "0016E5" and 7959 <= number <= 8159 and number % 2:
        return "val"
    if drive == "Seq05VD" or (drive == "0001TP" and number > 8520):
        return "test"
    return "train"


def _large(split: str) -> layouts.Place:
    return layouts.Place(
        "701_StillsRaw_full/{}",
        ("LabeledApproved_full/{}_L",),
        holds=lambda name: split_of(name) == split,
    )


def _small(images: str, labels: str) -> layouts.Layout:
    splits = {split: split for split in _COUNTS}
    return layouts.by_split(_NUMBERS, images, labels, **splits)


class Camvid(label_maps.LabelMaps, skip_registration=True):
    """11 kinds of street scenery filmed from a car: CamVid, 360x480 or 720x960.

    Read are SegNet's files (train and trainannot, ...; class numbers), or the original
    ones (701_StillsRaw_full and LabeledApproved_full; 32 colours, merged to the same
    11 classes and split the same way).
    """

    source: ClassVar[str] = "Brostow et al., PRL 2009; Badrinarayanan et al., PAMI 2017"
    classes = tuple(_COLOURS)
    counts: ClassVar = _COUNTS
    published: ClassVar = (
        _small("{split}/{}", "{split}annot/{}"),
        _small("CamVid/{split}/{}", "CamVid/{split}annot/{}"),
        layouts.plain(_NUMBERS, *_COUNTS),
        layouts.Layout({split: _large(split) for split in _COUNTS}, _BY_COLOUR),
    )
