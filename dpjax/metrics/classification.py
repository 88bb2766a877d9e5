"""How well classes are told, in float64 on the host."""

import numpy as np

from dpjax import errors

BINS = 15  # Guo et al., ICML 2017


def log_probabilities(scores: np.ndarray) -> np.ndarray:
    """Returns the logarithms of the class probabilities of one image.

    Several views of an image are averaged as probabilities, not as scores.

    Args:
        scores: before the softmax, [k], or [n, k] of several views.

    Returns:
        float64 [k].
    """
    scores = np.atleast_2d(scores).astype(np.float64)
    top = scores.max(-1, keepdims=True)
    logs = scores - top - np.log(np.exp(scores - top).sum(-1, keepdims=True))
    highest = logs.max(0)
    with np.errstate(divide="ignore", invalid="ignore"):  # a class at -infinity
        mean = np.log(np.exp(logs - highest).mean(0)) + highest
    return mean if len(logs) > 1 else logs[0]


def rank(scores: np.ndarray, label: int) -> int:
    """Returns how many classes come before the true one.

    Args:
        scores: of each class, [k], increasing with its probability.
        label: the true class.

    Returns:
        0 if it comes first; among equals the lower number comes first.  Where a score
        is not a number, the true class counts as the last one.
    """
    own = scores[label]
    if np.isnan(scores).any():
        return len(scores) - 1
    return int((scores > own).sum() + (scores[:label] == own).sum())


def calibration_error(
    confidences: np.ndarray, right: np.ndarray, *, bins: int = BINS
) -> float:
    """Returns the expected calibration error: how far confidence is from accuracy.

    sum_b n_b / n |accuracy_b - confidence_b| over bins (0, 1/bins], (1/bins, 2/bins],
    ... of the confidence (Guo et al., ICML 2017).

    Args:
        confidences: probability of the class that was told, [n].
        right: whether it was the true one, [n].
        bins: number of bins of equal width.

    Returns:
        0 to 1.

    Raises:
        UserError: no examples.
    """
    if not len(confidences):
        raise errors.UserError("The calibration error wants examples, got none.")
    confidences = np.asarray(confidences, np.float64)
    right = np.asarray(right, np.float64)
    place = np.clip(np.ceil(confidences * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=right - confidences, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidences))
