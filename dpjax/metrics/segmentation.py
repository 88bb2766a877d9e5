"""How well pixels are named, from whole numbers that add up over images.

Everingham et al. (IJCV 2010) for the intersection over union, Long et al. (CVPR 2015)
for the accuracies, Csurka et al. (BMVC 2013) for the boundaries.
"""

from typing import Literal

import numpy as np

Absent = Literal["union", "truth", "one"]

# Csurka et al.: share of the image's diagonal within which boundaries count as equal.
TOLERANCE = 0.0075
# Columns of `boundary_counts`.
_CLASS, _TOLD_HIT, _TOLD, _TRUTH_HIT, _TRUTH = range(5)


def intersection_over_union(matrix: np.ndarray, absent: Absent = "union") -> np.ndarray:
    """Returns TP / (TP + FP + FN) of each class.

    Args:
        matrix: pixels, int [k, k]; rows are true classes.
        absent: what of classes that are not in the truth.  "union" leaves out those
            that were not told either and counts the others as 0 (VOC's kit, FCN);
            "truth" leaves out all of them (RefineNet's and DeepLab's code); "one"
            counts those that were not told either as 1 (light-weight RefineNet's code).

    Returns:
        float64 [k], NaN for classes that are left out.
    """
    matrix = np.asarray(matrix, np.int64)
    right = matrix.diagonal()
    truth, told = matrix.sum(1), matrix.sum(0)
    union = truth + told - right
    with np.errstate(invalid="ignore"):
        values = right / union
    if absent == "truth":
        return np.where(truth > 0, values, np.nan)
    return np.where(union > 0, values, 1.0 if absent == "one" else np.nan)


def accuracies(matrix: np.ndarray) -> np.ndarray:
    """Returns the share of the pixels of each class that were told right.

    Args:
        matrix: pixels, int [k, k]; rows are true classes.

    Returns:
        float64 [k], NaN for classes without pixels.
    """
    matrix = np.asarray(matrix, np.int64)
    with np.errstate(invalid="ignore"):
        return matrix.diagonal() / matrix.sum(1)


def summary(matrix: np.ndarray, absent: Absent = "union") -> dict[str, float]:
    """Returns the four scores of Long et al., percent.

    Args:
        matrix: pixels of a whole set, int [k, k]; rows are true classes.
        absent: see `intersection_over_union`.

    Returns:
        miou; pixel_accuracy; mean_accuracy, over the classes that have pixels; fwiou,
        the intersections over unions weighted by the classes' pixels.  NaN where
        there are no pixels at all.
    """
    matrix = np.asarray(matrix, np.int64)
    total = matrix.sum()
    if not total:
        names = ("miou", "pixel_accuracy", "mean_accuracy", "fwiou")
        return dict.fromkeys(names, float("nan"))
    present = matrix.sum(1) > 0
    iou = intersection_over_union(matrix, absent)
    shares = matrix.sum(1) / total
    return {
        "miou": 100 * float(np.nanmean(iou)),
        "pixel_accuracy": 100 * float(matrix.trace() / total),
        "mean_accuracy": 100 * float(np.nanmean(accuracies(matrix))),
        "fwiou": 100 * float((shares[present] * iou[present]).sum()),
    }


def boundary_counts(
    truth: np.ndarray, told: np.ndarray, valid: np.ndarray
) -> np.ndarray:
    """Returns how many boundary pixels of each class lie near a true one.

    A boundary pixel has one of its four neighbours in another class; neighbours beyond
    the border or without a label do not count.  Near is within `TOLERANCE` of the
    image's diagonal, in a straight line.  Where what has no label is a line of up to
    twice that width, such as VOC draws around things and people leave between the areas
    that they label, its pixels count as labelled like the nearest ones that are.

    Args:
        truth: true classes, int [h, w].
        told: classes that were told, int [h, w].
        valid: whether a pixel has a label, bool [h, w].

    Returns:
        int64 [m, 5], a row for each class with a boundary: the class; its told boundary
        pixels near a true one, and all of them; its true boundary pixels near a told
        one, and all of them.
    """
    reach = (TOLERANCE * np.hypot(*truth.shape)) ** 2
    truth, valid = _without_lines(truth, valid, reach)
    maps = (np.asarray(m, np.int64) for m in (truth, told))  # -1 is no class
    edges = [np.where(_is_boundary(m, valid), m, -1) for m in maps]
    rows = []
    for k in np.union1d(*(edge[edge >= 0] for edge in edges)):
        true, said = (edge == k for edge in edges)
        hits = [(a & _is_near(b, reach)).sum() for a, b in ((said, true), (true, said))]
        rows.append((k, hits[0], said.sum(), hits[1], true.sum()))
    return np.array(rows, np.int64).reshape(-1, 5)


def boundary_f(counts: np.ndarray, classes: int) -> np.ndarray:
    """Returns the boundary F-score of each class in one image.

    Args:
        counts: from `boundary_counts`.
        classes: how many there are.

    Returns:
        float64 [classes]: 2 P R / (P + R) of precision and recall of the boundary
        pixels; 0 where only one side has the class, NaN where neither does.
    """
    scores = np.full(classes, np.nan)
    counts = np.asarray(counts, np.int64).reshape(-1, 5)
    precision = counts[:, _TOLD_HIT] / np.maximum(counts[:, _TOLD], 1)
    recall = counts[:, _TRUTH_HIT] / np.maximum(counts[:, _TRUTH], 1)
    both = np.where(precision + recall > 0, precision + recall, 1)
    scores[counts[:, _CLASS]] = 2 * precision * recall / both
    return scores


def _without_lines(
    truth: np.ndarray, valid: np.ndarray, squared: float
) -> tuple[np.ndarray, np.ndarray]:
    """The labels and where they are, after thin lines without any got the nearest."""
    from scipy import ndimage

    if valid.all() or not valid.any():
        return truth, valid
    away, nearest = ndimage.distance_transform_edt(~valid, return_indices=True)
    inner = np.rint(away**2) > squared  # no line is so wide that it has such pixels
    known = valid | ~_is_near(inner, squared)
    return np.where(known, truth[tuple(nearest)], truth), known


def _is_boundary(labels: np.ndarray, valid: np.ndarray) -> np.ndarray:
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        one, two = (_without(labels, axis, end) for end in (-1, 0))
        differs = one != two
        differs &= _without(valid, axis, -1) & _without(valid, axis, 0)
        _without(edge, axis, -1)[...] |= differs
        _without(edge, axis, 0)[...] |= differs
    return edge


def _without(array: np.ndarray, axis: int, end: int) -> np.ndarray:
    """The array without its last (-1) or first (0) row or column, as a view."""
    part = slice(None, -1) if end else slice(1, None)
    return array[(part, slice(None)) if axis == 0 else (slice(None), part)]


def _is_near(mask: np.ndarray, squared: float) -> np.ndarray:
    import cv2

    if not mask.any():
        return np.zeros(mask.shape, bool)
    away = cv2.distanceTransform(
        (~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
    )
    # Squared distances of pixels are whole numbers; the root is what is rounded.
    return np.rint(away.astype(np.float64) ** 2) <= squared
