"""Which pairs of points a relative depth is judged by, and what each image leaves.

    points  the pairs of the record, which people or depth have put in order: WHDR as on
            DIW, WKDR where points may be equally far, as on NYUv2 (Chen et al., NIPS
            2016)
    dense   pairs that are drawn from dense truth, the same ones for every method, put
            in order by the truth; of true depth besides the WHDR by ratios of VNL (Yin
            et al., ICCV 2019), for which the prediction is read as a logarithm

A prediction is brought to the size of the picture or of the truth first.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from dpjax import errors
from dpjax.metrics import ordinal, ordinal_ratio
from dpjax.ops import ordinal as relations

PROTOCOLS = ("dense", "points")
THRESHOLD = 0.02  # of ratios, or of the range of disparities; Xian et al., CVPR 2018

_PAIRS = 20_000
_SEED = 0
_LARGEST_LOG = 50.0  # a ratio beyond it is one of a network that is not trained

Rows = Mapping[str, np.ndarray]


def dense(
    prediction: np.ndarray,
    truth: np.ndarray,
    valid: np.ndarray,
    *,
    is_disparity: bool = False,
) -> Rows:
    """Returns what one image with dense truth leaves.

    Args:
        prediction: larger for farther, [h, w].
        truth: positive depth, or disparity of any sign, in any unit, [h, w].
        valid: where there is truth, bool [h, w].
        is_disparity: whether the truth is larger for nearer.

    Returns:
        "order" from `metrics.ordinal.counts`; of true depth "ratio" from
        `metrics.ordinal_ratio.counts`.

    Raises:
        UserError: a prediction of another size, or one that is not finite.
    """
    pairs = ordinal_ratio.draw_pairs(valid, seed=_SEED, most=_PAIRS)
    first, second = truth.ravel()[pairs].astype(np.float64).T
    if is_disparity:
        ends = np.quantile(truth[valid], relations.RANGE) if valid.any() else (0, 0)
        differs = np.abs(first - second) > THRESHOLD * (ends[1] - ends[0])
        relation = np.where(differs, np.sign(second - first), 0)
    else:
        factor = 1 + THRESHOLD
        relation = np.where(first >= factor * second, 1, 0)
        relation -= np.where(second >= factor * first, 1, 0)
    points = np.stack(np.unravel_index(pairs, valid.shape), -1)
    found = {"order": ordinal.counts(prediction, points, relation.astype(int))}
    if not is_disparity:
        logs = prediction - np.median(prediction)
        depth = np.exp(np.clip(logs, -_LARGEST_LOG, _LARGEST_LOG))
        found["ratio"] = ordinal_ratio.counts(depth, truth, valid, pairs)
    return found


def points(
    prediction: np.ndarray, where: np.ndarray, relation: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns what one image with pairs of points leaves.

    Args:
        prediction: larger for farther, of the size of the picture, [h, w].
        where: row and column of both points of each pair, int [p, 2, 2].
        relation: +1, -1 or 0, int [p].

    Returns:
        "order" from `metrics.ordinal.counts`.

    Raises:
        UserError: see there.
    """
    return {"order": ordinal.counts(prediction, where, relation)}


def own(found: Rows) -> dict[str, float]:
    """Returns what one image is told by.

    Args:
        found: of `dense` or `points`.

    Returns:
        "whdr"; nothing if no pair has an order.
    """
    row = dict(zip(ordinal.COUNTS, found["order"].tolist(), strict=False))
    if not row["unequal"]:
        return {}
    return {"whdr": row["wrong_order"] / row["unequal"]}


def summary(images: Sequence[Rows]) -> dict[str, float]:
    """Returns the scores of a set.

    Args:
        images: what `dense` or `points` returned for each.

    Returns:
        What `metrics.ordinal.summary` returns, and where there is true depth
        "whdr_ratio" and its parts, with "_image" and "_pooled" behind them.

    Raises:
        UserError: no image has a pair with an order.
    """
    found = ordinal.summary(_stacked(images, "order"))
    if "whdr_image" not in found:
        raise errors.UserError(
            "All pairs of points are equally far, so there is no order to judge. Score "
            "on other images."
        )
    if all("ratio" in image for image in images):
        ratio = ordinal_ratio.summary(_stacked(images, "ratio"))
        found.update({n: v for n, v in ratio.items() if n.startswith("whdr_ratio")})
    return found


def intervals(images: Sequence[Rows]) -> dict[str, tuple[float, float]]:
    """Returns 95 % confidence intervals over images of WHDR and WKDR.

    Args:
        images: what `dense` or `points` returned for each.

    Returns:
        Lower and upper bounds by name.
    """
    return ordinal.intervals(_stacked(images, "order"))


def sweep(images: Sequence[Rows]) -> list[tuple[float, float, float, float]]:
    """Returns WKDR at every threshold of the prediction's differences.

    Args:
        images: what `dense` or `points` returned for each.

    Returns:
        Threshold, WKDR, that of equal pairs and that of the others, means over images;
        nothing if no pair is equally far.
    """
    rows = _stacked(images, "order")
    if not rows[:, ordinal.COUNTS.index("equal")].any():
        return []
    found = ordinal.sweep(rows)
    names = ("wkdr", "wkdr_equal", "wkdr_unequal")
    columns = (found[name].tolist() for name in names)
    return list(zip(ordinal.THRESHOLDS, *columns, strict=True))


def _stacked(images, kind):
    return np.stack([np.asarray(image[kind]) for image in images])
