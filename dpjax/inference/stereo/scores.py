"""Disparities against the truth, where both views see."""

from collections.abc import Sequence

import numpy as np

from dpjax.inference.stereo import engines
from dpjax.metrics import disparity as metrics


def row(found: engines.Match, truth: np.ndarray) -> np.ndarray:
    """Returns the sums of one pair over the pixels that both views show.

    Args:
        found: disparities of the left view.
        truth: pixels, [h, w]; NaN where unknown.

    Returns:
        As of `metrics.disparity.sums`.
    """
    known = np.isfinite(truth)
    truth = np.where(known, truth, 0)
    return metrics.sums(found.disparity, truth, metrics.visible(truth, known))


def line(rows: Sequence[np.ndarray]) -> str:
    """Returns what a person reads of them, all pixels of all pairs pooled.

    Args:
        rows: from `row`.

    Returns:
        A line of text.

    Raises:
        UserError: no pixel has truth and is visible.
    """
    scores = metrics.summary(np.stack(rows))
    shares = ", ".join(
        f"bad-{threshold:.1f} {scores[f'bad_{threshold:g}_pooled']:.2%}"
        for threshold in metrics.THRESHOLDS
    )
    return (
        f"of {scores['pixels']} non-occluded pixels: {shares}, no answer being bad; "
        f"{scores['answered_pooled']:.1%} have one, with an average error of "
        f"{scores['error_pooled']:.3f} px"
    )
