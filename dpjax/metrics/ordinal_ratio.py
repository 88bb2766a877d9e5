"""How often predicted depth orders points of dense truth wrongly; counts, on the host.

Pairs of valid pixels are drawn at random.  Prediction and truth order each by the ratio
of its depths, and the score is the share of pairs where they differ: WHDR as VNL's code
has it (Yin et al., ICCV 2019), a common factor of all depths changing nothing.
"""

import numpy as np

from dpjax import errors
from dpjax.metrics import averages

ENDS = (0.98, 1.02)  # VNL's code; not symmetric, 1 / 1.02 is 0.9804

COUNTS = ("pairs", "equal", "unequal", "wrong_equal", "wrong_unequal")


def draw_pairs(
    valid: np.ndarray, *, seed: int, share: float = 0.6, most: int | None = None
) -> np.ndarray:
    """Returns random pairs of different valid pixels of one image.

    As in VNL's code: a share of the pixels in random order, and again, side by side;
    a pixel beside itself is left out.

    Args:
        valid: the pixels that count, bool [h, w].
        seed: of the draw; the same for all methods that are compared.
        share: of the valid pixels, in (0, 1].
        most: largest number of pairs.

    Returns:
        int64 [p, 2], row * w + column.

    Raises:
        UserError: an option out of range.
    """
    if not 0 < share <= 1 or (most is not None and most < 1):
        raise errors.UserError(
            "draw_pairs wants a share in (0, 1] and at least 1 pair, got "
            f"{share!r} and {most}."
        )
    pixels = np.flatnonzero(valid)
    count = int(share * len(pixels))
    count = count if most is None else min(count, most)
    rng = np.random.default_rng(seed)
    sides = [rng.permutation(pixels)[:count] for _ in range(2)]
    drawn = np.stack(sides, 1).astype(np.int64)
    return drawn[drawn[:, 0] != drawn[:, 1]]


def counts(
    prediction: np.ndarray,
    truth: np.ndarray,
    valid: np.ndarray,
    pairs: np.ndarray,
    *,
    ends: tuple[float, float] = ENDS,
) -> np.ndarray:
    """Returns the row of one image.

    Both maps are read in the same way: +1 where d_i / d_j is above the upper end, -1
    where it is below the lower end, else 0.

    Args:
        prediction: positive depth, [h, w].
        truth: positive depth, [h, w]; anything where it is not valid.
        valid: the pixels that count, bool [h, w].
        pairs: pixels of both points of each pair, row * w + column, int [p, 2], as from
            `draw_pairs`.
        ends: of the ratios that count as equal depth.

    Returns:
        int64 [5], the entries of `COUNTS`; pairs are equal or not by the truth.

    Raises:
        UserError: shapes that differ, pairs of pixels that are not valid, depths that
            are not positive numbers there, or ends that do not hold 1.
    """
    d, g, valid = (np.asarray(x) for x in (prediction, truth, valid))
    pairs = np.asarray(pairs)
    if not d.shape == g.shape == valid.shape or valid.dtype != bool:
        raise errors.UserError(
            "Ordinal metrics want prediction, truth and a bool mask of one shape, got "
            f"{list(d.shape)}, {list(g.shape)} and {valid.dtype} {list(valid.shape)}."
        )
    if not 0 < ends[0] < 1 < ends[1]:
        raise errors.UserError(f"Ends of ratios lie around 1, got {ends}.")
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not _all_in(pairs, valid):
        raise errors.UserError(
            f"Pairs want valid pixels [p, 2] of an image {list(d.shape)}, got "
            f"{list(pairs.shape)}, or pixels that are not valid. Use `draw_pairs`."
        )
    told = []
    for name, depth in (("predicted", d), ("true", g)):
        found = depth.ravel()[pairs].astype(np.float64)
        if not (np.isfinite(found) & (found > 0)).all():
            raise errors.UserError(
                f"The {name} depth must be a positive number at every point of a pair. "
                "Clamp it, or predict the logarithm."
            )
        told.append(_told(found[:, 0] / found[:, 1], *ends))
    wrong, equal = told[0] != told[1], told[1] == 0
    return np.array(
        [
            len(equal),
            equal.sum(),
            (~equal).sum(),
            (wrong & equal).sum(),
            (wrong & ~equal).sum(),
        ],
        np.int64,
    )


def summary(rows: np.ndarray) -> dict[str, float]:
    """Returns the scores of a set.

    Args:
        rows: from `counts`, [m, 5].

    Returns:
        "whdr_ratio", "whdr_ratio_equal" and "whdr_ratio_unequal", each with "_image"
        and "_pooled" behind it, as far as there are such pairs; "images" and "pairs".

    Raises:
        UserError: no image has pairs.
    """
    rows = averages.counted(rows)
    total, equal, unequal, wrong_equal, wrong_unequal = rows.T
    parts = {
        "whdr_ratio": (total, wrong_equal + wrong_unequal),
        "whdr_ratio_equal": (equal, wrong_equal),
        "whdr_ratio_unequal": (unequal, wrong_unequal),
    }
    found = {}
    for name, (whole, wrong) in parts.items():
        if whole.any():
            part = np.stack([whole, wrong], 1)
            found.update(averages.summary(part, lambda r, name=name: _share(name, r)))
    return {**found, "images": len(rows), "pairs": int(total.sum())}


def _told(values, low, high):
    """+1 above the upper end, -1 below the lower one, else 0."""
    return (values > high).astype(np.int8) - (values < low).astype(np.int8)


def _share(name, rows):
    """Wrong ones as a share of all, from rows [..., 2]."""
    return {name: rows[..., 1] / rows[..., 0]}


def _all_in(pairs, valid):
    inside = (pairs >= 0) & (pairs < valid.size)
    return inside.all() and valid.ravel()[pairs].all()
