"""Whether the left view of a pair is really the right one.

Swapped views match as well as others do, with disparities of the other sign: near
becomes far.  What gives them away is what only one view shows.  Such a hole lies
between a nearer and a farther surface and belongs to the farther one, so it has its
colours; in swapped views it seems to continue the nearer one.
"""

from typing import NamedTuple

import numpy as np

from dpjax import errors

_JUMP = 3.0  # pixels of disparity across a hole that tell two surfaces
_BESIDE = 4  # pixels on each side whose colour stands for the surface
_NARROWEST, _WIDEST = 3, 80  # of a hole, pixels
# A hole that looks like both sides, within this factor, tells nothing.
_CLEAR = 2.0


class Votes(NamedTuple):
    """What holes say.

    Attributes:
        behind: number of those that look like the surface of lower disparity.
        before: number of those that look like the one of higher disparity.
    """

    behind: int
    before: int


def votes(image: np.ndarray, disparity: np.ndarray, valid: np.ndarray) -> Votes:
    """Returns how many holes look like the farther surface, and like the nearer one.

    Args:
        image: left view, uint8 [h, w, c].
        disparity: of it, pixels, larger is closer, [h, w].
        valid: the pixels with a disparity, bool [h, w]; runs of others in a row are
            holes.

    Returns:
        The votes.

    Raises:
        UserError: arrays of different sizes.
    """
    if image.ndim != 3 or not image.shape[:2] == disparity.shape == valid.shape:
        raise errors.UserError(
            "Holes want an image [h, w, c] and two maps of its size, got "
            f"{list(image.shape)}, {list(disparity.shape)} and {list(valid.shape)}."
        )
    rows, starts, ends = _holes(valid)
    width = valid.shape[1]
    length = ends - starts
    kept = (length >= _NARROWEST) & (length <= _WIDEST)
    kept &= (starts >= _BESIDE) & (ends + _BESIDE <= width)
    rows, starts, ends = rows[kept], starts[kept], ends[kept]
    before, after = (
        disparity[rows, np.clip(x, 0, width - 1)] for x in (starts - 1, ends)
    )
    # Only where disparity rises to the right does the left view show more than the
    # right one.
    kept = after - before >= _JUMP
    rows, starts, ends = rows[kept], starts[kept], ends[kept]
    sums = np.cumsum(np.pad(image.astype(np.float64), ((0, 0), (1, 0), (0, 0))), 1)

    def mean(first, last):
        total = sums[rows, last] - sums[rows, first]
        return total / (last - first)[:, None]

    middle = mean(starts, ends)
    to_lower = np.abs(middle - mean(starts - _BESIDE, starts)).mean(-1)
    to_higher = np.abs(middle - mean(ends, ends + _BESIDE)).mean(-1)
    return Votes(
        int((_CLEAR * to_lower < to_higher).sum()),
        int((_CLEAR * to_higher < to_lower).sum()),
    )


def _holes(valid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, first column and column after the last one of each run that is not valid."""
    edges = np.diff(np.pad(~valid, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    return rows, starts, np.nonzero(edges == -1)[1]
