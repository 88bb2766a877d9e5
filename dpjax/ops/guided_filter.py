"""The guided filter (He, Sun & Tang, TPAMI 2013): smoothing that keeps edges.

In each window the output is a linear function of the guide's colours, the ridge
regression of the input; what the windows around a pixel say is averaged.
"""

import numpy as np

from dpjax import errors


def smooth(
    values: np.ndarray, guide: np.ndarray, *, radius: int, epsilon: float
) -> np.ndarray:
    """Returns values smoothed where the guide is smooth.

    Args:
        values: [h, w].
        guide: float [h, w, c], usually RGB in [0, 1].
        radius: of the square windows, pixels; their side is 2 radius + 1, less at the
            border.
        epsilon: variance of the guide that counts as an edge, in its units squared.

    Returns:
        float64 [h, w].

    Raises:
        UserError: arrays of different sizes, a negative radius or an epsilon that is
            not positive.
    """
    if values.ndim != 2 or guide.ndim != 3 or guide.shape[:2] != values.shape:
        raise errors.UserError(
            "The guided filter wants values [h, w] and a guide [h, w, c] of the same "
            f"size, got {list(values.shape)} and {list(guide.shape)}."
        )
    if radius < 0 or not epsilon > 0:
        raise errors.UserError(
            "The guided filter wants a radius of 0 or more and a positive epsilon, got "
            f"{radius} and {epsilon}. Pass 8 and 1e-3."
        )
    guide = guide.astype(np.float64)
    values = values.astype(np.float64)[..., None]
    # Differences to the whole image's means: products of small numbers cancel less.
    offset = guide.mean((0, 1)), values.mean()
    guide, values = guide - offset[0], values - offset[1]
    mean, level = _box(guide, radius), _box(values, radius)
    products = _box(guide[..., :, None] * guide[..., None, :], radius)
    covariance = products - mean[..., :, None] * mean[..., None, :]
    shared = _box(guide * values, radius) - mean * level
    ridge = covariance + epsilon * np.eye(guide.shape[-1])
    slope = np.linalg.solve(ridge, shared[..., None])[..., 0]
    rest = level[..., 0] - (slope * mean).sum(-1)
    smoothed = (_box(slope, radius) * guide).sum(-1) + _box(rest, radius)
    return smoothed + offset[1]


def _box(array, radius):
    """The mean over the window around each pixel, cut off at the border."""
    for axis in (0, 1):
        length = array.shape[axis]
        sums = np.cumsum(array, axis)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis)
        place = np.arange(length)
        high = np.minimum(place + radius + 1, length)
        low = np.maximum(place - radius, 0)
        count = (high - low).reshape((-1,) + (1,) * (array.ndim - 1 - axis))
        array = (sums.take(high, axis) - sums.take(low, axis)) / count
    return array
