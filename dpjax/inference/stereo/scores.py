"""Disparities against the truth, where both views see."""

from collections.abc import Sequence

import numpy as np

from dpjax.inference.stereo import engines
from dpjax.metrics import disparity as metrics

_FEWEST = 100  # pixels; fewer have a common ratio by chance
_SPREAD = 1.1  # between the median of a common ratio and its quartiles
_OTHER = 1.5  # ratio, or one in so many, that is another scale


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


def doubts(found: engines.Match, truth: np.ndarray) -> list[str]:
    """Returns whether the truth looks as if it were stored in another scale.

    Wrong matches differ from the truth in many ways, a wrong scale in one: everywhere
    the truth is the same number of times what was matched.

    Args:
        found: disparities of the left view.
        truth: pixels, [h, w]; NaN where unknown.

    Returns:
        A line of text, or none.
    """
    both = found.valid & (found.disparity > 0) & (truth > 0)
    if both.sum() < _FEWEST:
        return []
    ratio = truth[both].astype(np.float64) / found.disparity[both]
    low, middle, high = np.percentile(ratio, (25, 50, 75))
    is_common = high <= _SPREAD * middle and _SPREAD * low >= middle
    if not is_common or 1 / _OTHER <= middle <= _OTHER:
        return []
    return [
        "The truth seems to have another scale: nearly everywhere it is "
        f"{middle:.3g} times what was matched (median). Is --scale to be {middle:.3g} "
        "times as large?"
    ]


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
