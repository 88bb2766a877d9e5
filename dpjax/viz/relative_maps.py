"""Relative depth as colours: what is near and what is far, in no unit.

A map is shown by its own range, from 0, near, to 1, far, or by one that is given; ends
are quantiles, so that a few pixels do not take the colours of all others.
"""

from typing import Any

import numpy as np

from dpjax.ops import ordinal
from dpjax.viz import depth_maps, panels

_SCALE: dict[str, Any] = {"least": 0.0, "most": 1.0}
_LEAST_SHARE = 0.01  # of a value that a range reaches beyond it, or none would be seen


def ends(values: np.ndarray, valid: np.ndarray | None = None) -> tuple[float, float]:
    """Returns the range of a map.

    Args:
        values: larger for farther, [h, w].
        valid: False where there is no value, bool [h, w]; None for nowhere.

    Returns:
        The quantiles that `ops.ordinal.RANGE` names, rising: those of a constant map
        lie as far below it as above, and around 0 where nothing is valid.
    """
    values = np.asarray(values, np.float64)
    known = values if valid is None else values[valid]
    low, high = np.quantile(known, ordinal.RANGE) if known.size else (0.0, 0.0)
    if not high > low:
        half = max(0.5, _LEAST_SHARE * abs(low))
        low, high = low - half, low + half
    return float(low), float(high)


def shares(
    values: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    between: tuple[float, float] | None = None,
) -> np.ndarray:
    """Returns a map as shares of a range.

    Args:
        values: larger for farther, [h, w].
        valid: False where there is no value, bool [h, w]; None for nowhere.
        between: what becomes 0 and 1, rising; None for the range of the map.

    Returns:
        float64 [h, w], beyond the ends outside of [0, 1]; 0.5 for a constant map by its
        own range, and where nothing is valid.
    """
    values = np.asarray(values, np.float64)
    low, high = ends(values, valid) if between is None else between
    found = (values - low) / (high - low)
    return found if valid is None else np.where(valid, found, 0.5)


def picture(
    values: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    between: tuple[float, float] | None = None,
) -> np.ndarray:
    """Returns a map as colours with a bar from near to far.

    Args:
        values: larger for farther, [h, w].
        valid: False where there is no value, shown in grey, bool [h, w].
        between: what is nearest and farthest, rising; None for the range of the map.

    Returns:
        uint8 [h' + bar, w', 3].
    """
    found = shares(values, valid, between=between)
    colours = depth_maps.colours(found, valid, **_SCALE)
    return depth_maps.with_bar(colours, unit="far", **_SCALE)


def panel(
    image: np.ndarray,
    prediction: np.ndarray,
    *,
    truth: np.ndarray | None = None,
    valid: np.ndarray | None = None,
    title: str = "",
    caption: str = "prediction",
) -> np.ndarray:
    """Returns photograph, true order and predicted order side by side.

    Args:
        image: uint8 [h, w, 3].
        prediction: larger for farther, [h, w].
        truth: larger for farther, in any unit, [h, w]; None where only pairs are known.
        valid: where there is truth, bool [h, w].
        title: a line above the row.
        caption: below the prediction, such as its scores.

    Returns:
        uint8 [h', w', 3].
    """
    parts = [("image", depth_maps.with_margin(image))]
    if truth is not None:
        parts.append(("truth", picture(truth, valid)))
    parts.append((caption, picture(prediction)))
    return panels.compose(parts, title=title)
