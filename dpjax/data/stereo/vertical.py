"""By how many rows one view of a pair lies above the other.

Matching looks along rows, so views that are off by a row or two, as those of hand-held
rigs and of films are, fail where the picture has detail, and silently elsewhere.
"""

import numpy as np

from dpjax import errors

_COLUMNS = 4  # averaged into one: rows count here, and columns cost
_BLOCK = (5, 9)  # columns and rows over which a match is looked at
_TRUNCATION = 40.0  # levels of 255, as in `ops.stereo.cost`


def offset(
    left: np.ndarray, right: np.ndarray, *, low: int, high: int, reach: int = 8
) -> int:
    """Returns the number of rows from a point in the left view to it in the right one.

    Each offset is tried on blocks of pixels, each with the best disparity for it; the
    offset with the least truncated absolute difference wins, the smaller of equals.

    Args:
        left: uint8 [h, w, c].
        right: likewise, of the same size.
        low: least disparity, pixels; what is at column x in the left view is at x - d.
        high: largest one.
        reach: largest offset that is tried, up and down, rows.

    Returns:
        n: row y of the left view shows what row y + n of the right one does.

    Raises:
        UserError: views of different sizes, no range, or a reach that leaves no row.
    """
    if left.shape != right.shape or left.ndim != 3:
        raise errors.UserError(
            "A vertical offset wants two views [h, w, c] of one size, got "
            f"{list(left.shape)} and {list(right.shape)}."
        )
    if low > high or reach < 0 or len(left) <= 2 * reach:
        raise errors.UserError(
            f"A vertical offset wants disparities that rise, and more rows than twice "
            f"the reach, got {low} to {high}, {len(left)} rows and a reach of {reach}."
        )
    left, right = _narrow(left), _narrow(right)
    steps = range(low // _COLUMNS, -(-high // _COLUMNS) + 1)
    steps = [d for d in steps if abs(d) < left.shape[1]]
    core = left[reach : len(left) - reach]
    # The smaller of equals comes first.
    tried = sorted(range(-reach, reach + 1), key=abs)
    return min(tried, key=lambda n: _difference(core, right, reach + n, steps))


def aligned(
    left: np.ndarray, right: np.ndarray, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows that both views show.

    Args:
        left: [h, w, c].
        right: likewise.
        rows: the offset, as `offset` returns it.

    Returns:
        Both views, [h - |rows|, w, c].
    """
    count = len(left) - abs(rows)
    start = max(0, -rows)
    return left[start : start + count], right[start + rows : start + rows + count]


def _narrow(view: np.ndarray) -> np.ndarray:
    """Gray, several columns averaged, float32 [h, w / 4]."""
    gray = view.mean(-1, dtype=np.float32)
    width = max(gray.shape[1] // _COLUMNS, 1)
    gray = gray[:, : width * _COLUMNS]
    return gray.reshape(len(gray), width, -1).mean(-1)


def _difference(core, right, top, steps):
    """The mean over blocks of the least difference of any disparity."""
    import cv2

    right = right[top : top + len(core)]
    width = core.shape[1]
    least = np.full_like(core, _TRUNCATION)
    for d in steps:
        # Pixels without a partner cost the most.
        cost = np.full_like(core, _TRUNCATION)
        a, b = max(d, 0), width + min(d, 0)
        difference = np.abs(core[:, a:b] - right[:, a - d : b - d])
        cost[:, a:b] = np.minimum(difference, _TRUNCATION)
        least = np.minimum(least, cv2.blur(cost, _BLOCK))
    return float(least.mean(dtype=np.float64))
