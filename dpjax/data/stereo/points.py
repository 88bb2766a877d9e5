"""Points that both views show, found without assuming that rows correspond.

ORB features (Rublee et al., ICCV 2011) matched both ways, and of these the ones that
agree on how rows differ: a plane through their vertical offsets, found by random
samples of three (Fischler & Bolles, CACM 1981), so that a view which is shifted, turned
or enlarged is told as well as wrong matches.
"""

from typing import NamedTuple

import numpy as np

_FEATURES = 2000
_LEVELS = 4  # of the pyramid: the views have one scale, and coarse levels are inexact
_SAMPLES = 300
_TOLERANCE = 1.0  # pixels between an offset and the plane
_FEWEST = 20  # points; fewer agree by chance
_LEAST_SHARE = 0.3  # of the matches, likewise


class Points(NamedTuple):
    """Matched points that agree.

    Attributes:
        disparity: column in the left view less that in the right one, pixels,
            float64 [n].
        offset: row in the left view less that in the right one, by the plane, pixels,
            float64 [n].
    """

    disparity: np.ndarray
    offset: np.ndarray


def match(left: np.ndarray, right: np.ndarray) -> Points | None:
    """Returns the points that both views show.

    Args:
        left: uint8 [h, w, 1 or 3].
        right: of the same shape.

    Returns:
        At least 20 points, the same ones in every call; None if too few agree.
    """
    found = _features_of_both(left, right)
    if found is None:
        return None
    ours, theirs = found
    offset = ours[:, 1] - theirs[:, 1]
    design = np.column_stack([np.ones(len(ours)), ours])
    drawn = np.random.default_rng(0).integers(len(ours), size=(_SAMPLES, 3))
    # Samples in one line have no plane; the pseudo-inverse gives some, which loses.
    planes = (np.linalg.pinv(design[drawn]) @ offset[drawn][..., None])[..., 0]
    agrees = np.abs(design @ planes.T - offset[:, None]) < _TOLERANCE
    best = agrees[:, agrees.sum(0).argmax()]
    if best.sum() < max(_FEWEST, _LEAST_SHARE * len(ours)):
        return None
    plane = np.linalg.lstsq(design[best], offset[best], rcond=None)[0]
    disparity = ours[best, 0] - theirs[best, 0]
    return Points(disparity, design[best] @ plane)


def _features_of_both(left, right):
    """Places (column, row) in both views, float64 [n, 2] each."""
    import cv2

    finder = cv2.ORB.create(_FEATURES, nlevels=_LEVELS)
    grey = (
        view[..., 0] if view.shape[-1] == 1 else cv2.cvtColor(view, cv2.COLOR_RGB2GRAY)
        for view in (left, right)
    )
    (ours, one), (theirs, other) = (finder.detectAndCompute(x, None) for x in grey)
    if one is None or other is None:
        return None
    pairs = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(one, other)
    if len(pairs) < _FEWEST:
        return None
    sides = [ours[p.queryIdx].pt for p in pairs], [theirs[p.trainIdx].pt for p in pairs]
    return tuple(np.array(side, np.float64) for side in sides)
