"""How often a prediction gets the order of two points wrong; exact counts, on the host.

With the prediction z, larger for farther, and the true relation r of two points i, j
(+1 where i is farther, -1 where it is nearer, 0 where they are equally far):

    whdr           share of pairs with r = +1 or -1 where r (z_i - z_j) <= 0 (Chen et
                   al., NIPS 2016, on DIW, which has no equal pairs)
    wkdr           share of all pairs where r is not what a threshold t tells: +1 where
                   z_i - z_j > t, -1 where it is < -t, else 0 (ibid., on NYUv2)
    wkdr_equal     the same among pairs with r = 0
    wkdr_unequal   the same among the others

WKDR is told at the t that makes the larger of the last two smallest, as in the authors'
code.  t is in the unit of z, which is nobody's, and is to be found on a validation set
and used on the test set.  Without equal pairs there is no WKDR.

A row is what one image leaves; rows are averaged over images, or pooled over all pairs.
The authors' test code averages over images, their validation code pools.
"""

import numpy as np

from dpjax import errors
from dpjax.metrics import averages

# Of the authors' test code; their validation code has 0.1, 0.2, ..., 1.5.
THRESHOLDS = tuple(n / 100 for n in range(11, 151))

# What a row counts, before the pairs that each threshold gets wrong: those among the
# equal pairs, then those among the others.
COUNTS = ("pairs", "equal", "unequal", "wrong_order")
_PAIRS, _EQUAL, _UNEQUAL, _WRONG = range(len(COUNTS))


def counts(
    prediction: np.ndarray,
    points: np.ndarray,
    relation: np.ndarray,
    *,
    thresholds: tuple[float, ...] = THRESHOLDS,
) -> np.ndarray:
    """Returns the row of one image.

    Args:
        prediction: z, of the size of the picture that the points were marked in,
            [h, w].
        points: row and column of both points of each pair, pixels, int [p, 2, 2].
        relation: r, -1, 0 or +1, int [p].
        thresholds: t, rising, not below 0, n of them.

    Returns:
        int64 [4 + 2 n]: `COUNTS`, and what each threshold gets wrong.

    Raises:
        UserError: shapes that do not belong together, points outside, other relations,
            a prediction that is not finite at a point, or thresholds that do not rise.
    """
    z, points, relation = (np.asarray(x) for x in (prediction, points, relation))
    _check(z, points, relation)
    limits = np.asarray(thresholds, np.float64)
    if not (limits >= 0).all() or not (np.diff(limits) > 0).all():
        raise errors.UserError(
            f"Thresholds are to rise and not to be below 0, got {thresholds}."
        )
    first, second = (z[tuple(points[:, end].T)].astype(np.float64) for end in (0, 1))
    difference = first - second
    if not np.isfinite(difference).all():
        raise errors.UserError(
            f"The prediction is not finite at {(~np.isfinite(difference)).sum()} of "
            f"{len(difference)} pairs of points."
        )
    equal = relation == 0
    told = np.where(
        np.abs(difference[:, None]) > limits, np.sign(difference)[:, None], 0
    )
    wrong = told != relation[:, None]
    return np.concatenate(
        [
            [len(equal), equal.sum(), (~equal).sum()],
            [(~equal & (relation * difference <= 0)).sum()],
            wrong[equal].sum(0),
            wrong[~equal].sum(0),
        ]
    ).astype(np.int64)


def sweep(rows: np.ndarray, *, average: str = "image") -> dict[str, np.ndarray]:
    """Returns WKDR at every threshold.

    Args:
        rows: from `counts`, [m, 4 + 2 n].
        average: "image", over images that have such pairs, or "pooled".

    Returns:
        "wkdr", "wkdr_equal" and "wkdr_unequal", float64 [n].

    Raises:
        UserError: no image has both equal and other pairs, or an unknown average.
    """
    rows = np.asarray(rows, np.int64)
    if average not in ("image", "pooled"):
        raise errors.unknown_name("average", average, ("image", "pooled"))
    if not (rows[:, _EQUAL].any() and rows[:, _UNEQUAL].any()):
        raise errors.UserError(
            "WKDR wants pairs that are equally far and pairs that are not, got "
            f"{rows[:, _EQUAL].sum()} and {rows[:, _UNEQUAL].sum()}. DIW has none of "
            "the first; its score is WHDR."
        )
    n = _threshold_count(rows)
    wrong = rows[:, len(COUNTS) :].reshape(len(rows), 2, n)
    parts = {
        "wkdr": (rows[:, _PAIRS], wrong.sum(1)),
        "wkdr_equal": (rows[:, _EQUAL], wrong[:, 0]),
        "wkdr_unequal": (rows[:, _UNEQUAL], wrong[:, 1]),
    }
    found = {}
    for name, (total, bad) in parts.items():
        total, bad = total[total > 0, None], bad[total > 0]
        found[name] = (
            (bad / total).mean(0) if average == "image" else bad.sum(0) / total.sum()
        )
    return found


def best_threshold(
    rows: np.ndarray,
    *,
    thresholds: tuple[float, ...] = THRESHOLDS,
    average: str = "image",
) -> float:
    """Returns the threshold at which the larger of WKDR= and WKDR≠ is smallest.

    Args:
        rows: from `counts` of a validation set, [m, 4 + 2 n].
        thresholds: those that the rows were made with.
        average: "image" or "pooled".

    Returns:
        The first such threshold.

    Raises:
        UserError: as `sweep`, or rows of other thresholds.
    """
    _check_thresholds(rows, thresholds)
    found = sweep(rows, average=average)
    worse = np.maximum(found["wkdr_equal"], found["wkdr_unequal"])
    return thresholds[int(worse.argmin())]


def summary(
    rows: np.ndarray,
    *,
    threshold: float | None = None,
    thresholds: tuple[float, ...] = THRESHOLDS,
) -> dict[str, float]:
    """Returns the scores of a set.

    Args:
        rows: from `counts`, [m, 4 + 2 n].
        threshold: t, one of those that the rows were made with; None takes the best of
            this very set, which flatters it.
        thresholds: those.

    Returns:
        "whdr_image" and "whdr_pooled" where pairs are ordered, and if there are equal
        ones too the same of wkdr, wkdr_equal and wkdr_unequal, and "threshold";
        "images" and "pairs" that they come from; "images_without_pairs".

    Raises:
        UserError: no image has pairs, or a threshold that rows know nothing of.
    """
    parts = _ratios(rows, threshold, thresholds)
    found = {}
    for name, part in parts.items():
        found.update(averages.summary(part, lambda r, name=name: _share(name, r)))
    if "wkdr" in parts:
        found["threshold"] = _chosen(rows, threshold, thresholds)
    rows = np.asarray(rows, np.int64)
    return {
        **found,
        "images": int((rows[:, _PAIRS] > 0).sum()),
        "images_without_pairs": int((rows[:, _PAIRS] == 0).sum()),
        "pairs": int(rows[:, _PAIRS].sum()),
    }


def intervals(
    rows: np.ndarray,
    *,
    threshold: float | None = None,
    thresholds: tuple[float, ...] = THRESHOLDS,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Returns 95 % confidence intervals over images of the metrics in `summary`.

    The threshold is held; that it was found on some set is not part of them.

    Args:
        rows: from `counts`, [m, 4 + 2 n].
        threshold: see `summary`.
        thresholds: see `summary`.
        seed: see `averages.intervals`.

    Returns:
        Lower and upper bounds by name.

    Raises:
        UserError: as `summary`.
    """
    found = {}
    for name, part in _ratios(rows, threshold, thresholds).items():
        found.update(
            averages.intervals(part, lambda r, name=name: _share(name, r), seed=seed)
        )
    return found


def _share(name, rows):
    """Wrong ones as a share of all, from rows [..., 2]."""
    return {name: rows[..., 1] / rows[..., 0]}


def _ratios(rows, threshold, thresholds):
    """For each metric that is defined, how many pairs it has and how many are wrong."""
    rows = averages.counted(rows).astype(np.int64)
    _check_thresholds(rows, thresholds)
    found = {}
    if rows[:, _UNEQUAL].any():
        found["whdr"] = (rows[:, _UNEQUAL], rows[:, _WRONG])
        if rows[:, _EQUAL].any():
            chosen = _chosen(rows, threshold, thresholds)
            if chosen not in thresholds:
                raise errors.UserError(
                    f"WKDR was counted at {len(thresholds)} thresholds from "
                    f"{thresholds[0]:g} to {thresholds[-1]:g}, and not at {chosen!r}."
                )
            place = len(COUNTS) + thresholds.index(chosen)
            equal, unequal = rows[:, place], rows[:, place + len(thresholds)]
            found["wkdr"] = (rows[:, _PAIRS], equal + unequal)
            found["wkdr_equal"] = (rows[:, _EQUAL], equal)
            found["wkdr_unequal"] = (rows[:, _UNEQUAL], unequal)
    return {name: np.stack(part, 1) for name, part in found.items()}


def _chosen(rows, threshold, thresholds):
    if threshold is not None:
        return threshold
    return best_threshold(rows, thresholds=thresholds)


def _threshold_count(rows):
    return (np.shape(rows)[1] - len(COUNTS)) // 2


def _check_thresholds(rows, thresholds):
    if _threshold_count(rows) != len(thresholds):
        raise errors.UserError(
            f"The rows were made with {_threshold_count(rows)} thresholds, not with "
            f"these {len(thresholds)}. Pass the same to both."
        )


def _check(prediction, points, relation):
    shapes_fit = prediction.ndim == 2 and points.shape == (len(relation), 2, 2)
    if not shapes_fit or not np.issubdtype(points.dtype, np.integer):
        raise errors.UserError(
            "Ordinal metrics want a prediction [h, w], whole points [p, 2, 2] and "
            f"relations [p], got {list(prediction.shape)}, {points.dtype} "
            f"{list(points.shape)} and {list(relation.shape)}."
        )
    if not np.isin(relation, (-1, 0, 1)).all():
        raise errors.UserError(
            f"Relations are -1, 0 and 1, got {sorted({*relation.ravel().tolist()})}."
        )
    outside = (points < 0) | (points >= prediction.shape)
    if outside.any():
        pair = points[outside.any((1, 2))][0]
        raise errors.UserError(
            f"The pair of points {pair.tolist()} is not inside the prediction, of "
            f"{prediction.shape[0]} rows and {prediction.shape[1]} columns. Bring it "
            "to the size of the picture."
        )
