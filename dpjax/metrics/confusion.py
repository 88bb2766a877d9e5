"""How often each class was taken for each, counted in whole numbers."""

import numpy as np

from dpjax import errors


def confusion(labels: np.ndarray, told: np.ndarray, classes: int) -> np.ndarray:
    """Returns how often each class was taken for each.

    Args:
        labels: true classes, int [n].
        told: classes that were told, int [n].
        classes: how many there are.

    Returns:
        int64 [classes, classes]; rows are true classes.

    Raises:
        UserError: a class that there is not.
    """
    labels, told = (np.asarray(x, np.int64) for x in (labels, told))
    for kind, found in (("labels", labels), ("answers", told)):
        if found.size and not 0 <= found.min() <= found.max() < classes:
            raise errors.UserError(
                f"A confusion matrix of {classes} classes wants {kind} from 0 to "
                f"{classes - 1}, got {found.min()} to {found.max()}. Leave out what "
                "has no class."
            )
    pairs = labels * classes + told
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
