"""Colours of classes: the ones that publishers use, and a palette for any set."""

from collections.abc import Sequence

import numpy as np

from dpjax import errors

MOST = 255  # classes; number 255 is the colour of pixels without one
UNLABELLED = (224, 224, 192)  # VOC's borders; colour 255 of its palette

# Brostow et al., PRL 2009, the eleven classes of SegNet.
_CAMVID = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (0, 0, 192),
    "tree": (128, 128, 0),
    "sign symbol": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
# cityscapesScripts, labels.py.
_CITYSCAPES = {
    "road": (128, 64, 128),
    "sidewalk": (244, 35, 232),
    "building": (70, 70, 70),
    "wall": (102, 102, 156),
    "fence": (190, 153, 153),
    "pole": (153, 153, 153),
    "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0),
    "vegetation": (107, 142, 35),
    "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60),
    "rider": (255, 0, 0),
    "car": (0, 0, 142),
    "truck": (0, 0, 70),
    "bus": (0, 60, 100),
    "train": (0, 80, 100),
    "motorcycle": (0, 0, 230),
    "bicycle": (119, 11, 32),
}
_PUBLISHED = {"camvid": _CAMVID, "cityscapes": _CITYSCAPES}
_BACKGROUND = "background"


def palette(classes: Sequence[str] | str, k: int | None = None) -> np.ndarray:
    """Returns a colour for each class.

    Args:
        classes: names of the classes, which bring their colours where a published
            palette has all of them; or the name of a data set.
        k: number of classes; needed with the name of a set without a palette of its
            own, otherwise a check.

    Returns:
        uint8 RGB [k, 3].

    Raises:
        UserError: `k` is missing, out of range, or not the number of colours.
    """
    if isinstance(classes, str):
        own = _PUBLISHED.get(classes)
        colours = None if own is None else list(own.values())
    else:
        k = len(classes) if k is None else k
        colours = _of_names(classes)
    if colours is None:
        if k is None or not 1 <= k <= MOST:
            raise errors.UserError(
                f"A palette has 1 to {MOST} colours, got k={k}. Pass the number of "
                "classes."
            )
        # VOC's first colour is black, which suits a background only.
        has_background = isinstance(classes, str) or classes[0] == _BACKGROUND
        first = 0 if has_background else 1
        colours = [_bit_shift(first + number) for number in range(k)]
    if k is not None and len(colours) != k:
        raise errors.UserError(
            f"The palette of {classes!r} has {len(colours)} colours, wanted {k}."
        )
    return np.array(colours, np.uint8)


def _of_names(names: Sequence[str]) -> list[tuple[int, int, int]] | None:
    for own in _PUBLISHED.values():
        if names and set(names) <= own.keys():
            return [own[name] for name in names]
    return None


def _bit_shift(number: int) -> tuple[int, int, int]:
    """VOC's colour map: bits 0, 3, 6 of a number become the highest ones of red ..."""
    colour = [0, 0, 0]
    for bit in range(8):
        colour[bit % 3] |= (number >> bit & 1) << 7 - bit // 3
    return tuple(colour)
