"""Whether two pictures are a pair that can be matched along rows."""

from typing import NamedTuple

import numpy as np

from dpjax.data.stereo import points

ROWS = 1.5  # pixels between rows of one point; rectified pairs stay below 0.4
SWAPPED = 0.8  # share of points with disparities of the wrong sign
_FLAT = 1.0  # standard deviation of a view without contrast, levels of 255


class Fault(NamedTuple):
    """What is wrong with a pair.

    Attributes:
        reason: a word or two, to count by.
        text: what was found, and what to do.
    """

    reason: str
    text: str


def of_views(left: np.ndarray, right: np.ndarray) -> Fault | None:
    """Returns what keeps two pictures from being views of one scene.

    Args:
        left: uint8 [h, w, 3].
        right: likewise, of any size.

    Returns:
        Different sizes, or a view without contrast; None for neither.
    """
    if left.shape != right.shape:
        (a, b), (c, d) = left.shape[:2], right.shape[:2]
        return Fault("sizes differ", f"the left view is {a}x{b}, the right one {c}x{d}")
    for side, view in (("left", left), ("right", right)):
        if view.std((0, 1)).max() < _FLAT:
            return Fault("constant", f"the {side} view has one colour")
    return None


def of_points(
    left: np.ndarray,
    right: np.ndarray,
    *,
    is_signed: bool = False,
    is_shifted: bool = False,
) -> Fault | None:
    """Returns what points that both views show say against a pair.

    Args:
        left: uint8 [h, w, 3].
        right: likewise, of the same size.
        is_signed: whether points may lie further right in the right view, as in films,
            whose views converge.
        is_shifted: whether one view may lie higher than the other, by the same number
            of rows everywhere.

    Returns:
        Views that are not rectified, or swapped; None for neither, and where too few
        points are found to tell.
    """
    seen = points.match(left, right)
    if seen is None:
        return None
    middle = float(np.median(seen.offset))
    most = float(np.abs(seen.offset - (middle if is_shifted else 0)).max())
    count = len(seen.offset)
    if most >= ROWS:
        return Fault(
            "not rectified",
            f"{count} points that both views show are {seen.offset.min():+.1f} to "
            f"{seen.offset.max():+.1f} rows apart; rectify the views",
        )
    share = float((seen.disparity < 0).mean())
    if not is_signed and share >= SWAPPED:
        return Fault(
            "swapped views",
            f"{share:.0%} of {count} points that both views show lie further right in "
            "the right view; exchange left and right",
        )
    return None
