"""Which disparities a pair has, found on views that are shrunk."""

import dataclasses

import numpy as np

from dpjax.data.stereo import vertical
from dpjax.ops.stereo import matching

_WIDTH = 240  # of the shrunk views, pixels
_REACH = 4  # disparities are looked for up to one in so many of the width
_ROWS = 3  # vertical offset that is looked for then, pixels of the shrunk views
_SHARES = (0.005, 0.995)  # of what was matched; beyond are the mistakes
# Beyond the farthest and the nearest, pixels of the shrunk views: what is very near is
# a small part of most pictures.
_MARGINS = (2, 4)
_STEP = 16  # pixels; ends are multiples, since each range is a program to compile


def find(
    left: np.ndarray, right: np.ndarray, method: matching.Settings
) -> tuple[int, int] | None:
    """Returns the least and the largest disparity that a pair is to be matched with.

    Args:
        left: uint8 [h, w, 3].
        right: likewise, of the same size.
        method: how views are matched; its range is not used.

    Returns:
        Both, included, pixels of these views, at most a quarter of their width to both
        sides and a little; None where nothing can be matched.
    """
    import cv2

    height, width = left.shape[:2]
    factor = max(width / _WIDTH, 1.0)
    size = round(width / factor), max(round(height / factor), 1)
    small = [cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (left, right)]
    reach = max(size[0] // _REACH, 1)
    if size[1] > 2 * _ROWS:
        rows = vertical.offset(*small, low=-reach, high=reach, reach=_ROWS)
        small = vertical.aligned(*small, rows)
    settings = dataclasses.replace(
        method, min_disparity=-reach, disparities=2 * reach + 1, fill="none"
    )
    found = matching.match(*(x[None] for x in small), settings)
    known = np.asarray(found.disparity)[np.asarray(found.valid)]
    if not known.size:
        return None
    ends = np.quantile(known.astype(np.float64), _SHARES)
    low = np.floor((ends[0] - _MARGINS[0]) * factor / _STEP)
    high = np.ceil((ends[1] + _MARGINS[1]) * factor / _STEP)
    most = width - 1
    return max(int(low * _STEP), -most), min(int(high * _STEP), most)
