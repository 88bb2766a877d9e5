"""How often each class was taken for each, counted in whole numbers."""

import numpy as np


def confusion(labels: np.ndarray, told: np.ndarray, classes: int) -> np.ndarray:
    """Returns how often each class was taken for each.

    Args:
        labels: true classes, int [n].
        told: classes that were told, int [n].
        classes: how many there are.

    Returns:
        int64 [classes, classes]; rows are true classes.
    """
    pairs = np.asarray(labels, np.int64) * classes + np.asarray(told, np.int64)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def frequent(matrix: np.ndarray, most: int) -> list[tuple[int, int, int, float]]:
    """Returns the most frequent confusions.

    Args:
        matrix: from `confusion`.
        most: how many, at most.

    Returns:
        (true class, told class, times, percent of the true class), falling.
    """
    wrong = matrix * (1 - np.eye(len(matrix), dtype=matrix.dtype))
    pairs = np.argwhere(wrong)
    order = np.argsort(-wrong[tuple(pairs.T)], kind="stable")[:most]
    totals = matrix.sum(1)
    return [
        (int(a), int(b), int(wrong[a, b]), 100 * float(wrong[a, b] / totals[a]))
        for a, b in pairs[order]
    ]
