"""Whether depth changes where the truth does: boundary errors as in iBims-1.

Koch et al. (ECCV Workshops 2018).  Edges of the prediction are compared with edges of
the truth by distances in pixels, cut at 10:

    accuracy      mean distance of predicted edge pixels from the nearest true one;
                  those 10 pixels away or more do not count, for not every true edge is
                  known; 10 where none is left
    completeness  mean distance of true edge pixels from the nearest predicted one, each
                  at most 10

Edges are Canny's with a Gaussian of sqrt(2) pixels and thresholds 0.1 and 0.2, of the
depth stretched to [0, 1] over its valid pixels, as in public evaluators.  Those are not
one: some have the thresholds 0.15 and 0.3, or mix the distances of predicted edges into
completeness.
That set has its true edges drawn; here they may be given, or found in a dense truth in
the same way.  Points of a laser scanner are too far apart for edges.
"""

import numpy as np

from dpjax.metrics import averages, depth

FARTHEST = 10.0  # pixels
_SIGMA = 2**0.5
_LOW, _HIGH = 0.1, 0.2
_TRUE, _MISSES, _NEAR, _DISTANCES = range(4)


def edges(depths: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Returns where depth changes abruptly.

    Args:
        depths: metres, [h, w]; anything where it is not valid.
        valid: bool [h, w]; edges are not looked for at its border or at the image's.

    Returns:
        bool [h, w]; none where depth is constant.

    Raises:
        UserError: shapes that differ.
    """
    from skimage import feature

    depth.check_shapes(depth=depths, valid=valid)
    known = np.asarray(depths, np.float64)[valid]
    if not known.size or np.ptp(known) == 0:
        return np.zeros(valid.shape, bool)
    stretched = np.zeros(valid.shape)
    stretched[valid] = (known - known.min()) / np.ptp(known)
    return feature.canny(stretched, _SIGMA, _LOW, _HIGH, mask=valid)


def sums(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Returns the row of one image.

    Args:
        predicted: edge pixels of the prediction, bool [h, w].
        true: those of the truth, bool [h, w].

    Returns:
        float64 [4], which adds up over images: true edge pixels; the sum of their
        distances; predicted ones near them, and the sum of those distances; zeros
        without true edges, since nothing is known then.

    Raises:
        UserError: shapes that differ.
    """
    from scipy import ndimage

    depth.check_shapes(predicted=predicted, true=true)
    if not true.any():
        return np.zeros(4)
    misses = np.full(true.shape, FARTHEST)
    if predicted.any():
        misses = np.minimum(ndimage.distance_transform_edt(~predicted), FARTHEST)
    away = ndimage.distance_transform_edt(~true)
    near = predicted & (away < FARTHEST)
    return np.array([true.sum(), misses[true].sum(), near.sum(), away[near].sum()])


def values(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Returns both errors of images, or of sets.

    Args:
        rows: from `sums`, or sums of them, [..., 4].

    Returns:
        edge_accuracy and edge_completeness, pixels, float64 [...], at most 10; NaN
        without true edges.
    """
    rows = np.asarray(rows, np.float64)
    near = rows[..., _NEAR]
    accuracy = np.where(near > 0, rows[..., _DISTANCES] / np.maximum(near, 1), FARTHEST)
    with np.errstate(invalid="ignore"):
        completeness = rows[..., _MISSES] / rows[..., _TRUE]
    return {
        "edge_accuracy": np.where(rows[..., _TRUE] > 0, accuracy, np.nan),
        "edge_completeness": completeness,
    }


def summary(rows: np.ndarray) -> dict[str, float]:
    """Returns the boundary errors of a set.

    Args:
        rows: from `sums`, [n, 4].

    Returns:
        edge_accuracy and edge_completeness, each "_image" (as published) and "_pooled",
        unless no image has true edges; "images_without_edges", which contribute
        nothing.
    """
    rows = np.asarray(rows, np.float64)
    missing = int((rows[:, _TRUE] == 0).sum())
    found = averages.summary(rows, values) if missing < len(rows) else {}
    return {**found, "images_without_edges": missing}


def intervals(rows: np.ndarray, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Returns 95 % confidence intervals over images of the errors in `summary`.

    Args:
        rows: from `sums`, [n, 4].
        seed: see `averages.intervals`.

    Returns:
        Lower and upper bounds by name; none if no image has true edges.
    """
    rows = np.asarray(rows, np.float64)
    if not rows[:, _TRUE].any():
        return {}
    return averages.intervals(rows, values, seed=seed)
