"""Disparities of unknown shift and scale, made comparable."""

import numpy as np

from dpjax import errors

SHARES = (0.02, 0.98)  # of the confident pixels below 0 and below 1


def ends(disparity: np.ndarray, confident: np.ndarray) -> tuple[float, float]:
    """Returns the quantiles that become 0 and 1.

    Args:
        disparity: pixels, [h, w].
        confident: the pixels that count, bool [h, w].

    Returns:
        The 2nd and the 98th percentile, pixels.

    Raises:
        UserError: no pixel counts.
    """
    if not confident.any():
        raise errors.UserError("Quantiles of disparities want a confident pixel.")
    low, high = np.quantile(disparity[confident].astype(np.float64), SHARES)
    return float(low), float(high)


def normalise(disparity: np.ndarray, low: float, high: float) -> np.ndarray:
    """Returns (d - low) / (high - low), larger is closer.

    It is not cut off at 0 and 1: what is nearest of all stays nearest.  What has no
    value is put behind everything, at the least value of the map.

    Args:
        disparity: d, pixels, [h, w]; may be NaN.
        low: what becomes 0.
        high: what becomes 1.

    Returns:
        float32 [h, w], finite.

    Raises:
        UserError: `high` is not above `low`.
    """
    if not high > low:
        raise errors.UserError(
            f"Disparities from {low:g} to {high:g} have no spread to divide by."
        )
    relative = (disparity.astype(np.float64) - low) / (high - low)
    finite = np.isfinite(relative)
    relative = np.where(finite, relative, relative[finite].min(initial=0.0))
    return relative.astype(np.float32)
