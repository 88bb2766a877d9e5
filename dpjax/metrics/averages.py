"""Scores of a set from the rows of its images, and how sure they are.

Published depth scores average in two ways, which differ: "image" is the mean over
images of each image's value (Godard et al., CVPR 2017, and most work on KITTI);
"pooled" treats all pixels of the set as one image (Laina et al., 3DV 2016), so that a
root is taken last.  Both come from the same rows.

A row is what one image leaves, a line of numbers; the first one counts its pixels.  A
metric is two functions.  `values` turns rows [..., k] into named values [...]; `pool`
turns rows [n, k] and weights [r, n], how often each image counts, into the rows [r, k]
of the sets that they make.
"""

from collections.abc import Callable, Mapping

import numpy as np

from dpjax import errors

Values = Callable[[np.ndarray], Mapping[str, np.ndarray]]
Pool = Callable[[np.ndarray, np.ndarray], np.ndarray]

RESAMPLES = 1000
LEVEL = 0.95


def add(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the rows of sets whose columns are sums.

    Args:
        rows: of the images, [n, k].
        weights: how often each image counts, [r, n].

    Returns:
        float64 [r, k].
    """
    return weights @ rows


def summary(rows: np.ndarray, values: Values, pool: Pool = add) -> dict[str, float]:
    """Returns both averages of every value, side by side.

    Args:
        rows: of the images, [n, k]; those whose first number is 0 are left out.
        values: see above.
        pool: see above.

    Returns:
        For each value "<name>_image" and "<name>_pooled".

    Raises:
        UserError: no image has pixels.
    """
    rows = counted(rows)
    found = _averages(rows, values, pool, np.ones((1, len(rows))))
    return {name: float(value[0]) for name, value in found.items()}


def intervals(
    rows: np.ndarray,
    values: Values,
    pool: Pool = add,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, tuple[float, float]]:
    """Returns confidence intervals over images for what `summary` returns.

    Percentile bootstrap (Efron & Tibshirani, 1993, chapter 13): sets of as many
    images are drawn with replacement; the interval lies between the quantiles of
    their averages.  All averages see the same sets.

    Args:
        rows: of the images, [n, k]; those whose first number is 0 are not drawn.
        values: see above.
        pool: see above.
        seed: of the draws.
        resamples: number of sets.
        level: share of sets within the interval, in (0, 1).

    Returns:
        For each entry of `summary` its lower and upper bound; equal for one image,
        which says nothing about others.

    Raises:
        UserError: no image has pixels, or an option out of range.
    """
    if resamples < 1 or not 0 < level < 1:
        raise errors.UserError(
            "A bootstrap wants at least 1 resample and a level in (0, 1), got "
            f"{resamples} and {level}."
        )
    rows = counted(rows)
    n = len(rows)
    drawn = np.random.default_rng(seed).integers(n, size=(resamples, n))
    # How often each image is drawn is all that an average needs.
    places = drawn + n * np.arange(resamples)[:, None]
    draws = np.bincount(places.ravel(), minlength=resamples * n).reshape(-1, n)
    found = _averages(rows, values, pool, draws.astype(np.float64))
    ends = (50 * (1 - level), 50 * (1 + level))
    return {
        name: tuple(float(end) for end in np.percentile(value, ends))
        for name, value in found.items()
    }


def counted(rows: np.ndarray) -> np.ndarray:
    """Returns the rows that have pixels.

    Args:
        rows: of the images, [n, k].

    Returns:
        float64 [m, k].

    Raises:
        UserError: there are none.
    """
    rows = np.asarray(rows, np.float64)
    found = rows[rows[:, 0] > 0] if rows.ndim == 2 else rows[:0]
    if not len(found):
        raise errors.UserError(
            f"A score wants at least one image with valid pixels, got {len(rows)} "
            "images and none with any. Check the unit of the depth, its mask, and the "
            "range and crop of the protocol."
        )
    return found


def _averages(
    rows: np.ndarray, values: Values, pool: Pool, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Both averages of each value in each of r sets, [r]."""
    pooled = values(pool(rows, weights))
    images = weights.sum(1)
    found = {}
    for name, by_image in values(rows).items():
        found[f"{name}_image"] = weights @ by_image / images
        found[f"{name}_pooled"] = pooled[name]
    return found
