"""How far disparities are from the truth, from sums that join over images; on the host.

As Middlebury scores them (Scharstein et al., GCPR 2014): a pixel is bad if its
disparity is off by more than a threshold.  Matching leaves pixels without an answer, so
there are two shares of bad ones:

    bad_0.5, bad_1, bad_2    of all pixels; one without an answer is bad
    answered                 share of the pixels with an answer
    answered_bad_0.5, ...    of the pixels with an answer
    error                    mean |d - g| of those, pixels

The usual mask is that of pixels which both views show, from `visible`.
"""

import numpy as np

from dpjax import errors
from dpjax.metrics import averages

THRESHOLDS = (0.5, 1, 2)  # pixels
SUMS = ("pixels", "answered", *(f"missed_{t:g}" for t in THRESHOLDS), "error")


def sums(disparity: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Returns the row of one image.

    Args:
        disparity: d, pixels, [h, w]; NaN or infinite where there is no answer.
        truth: g, pixels, [h, w]; anything where it is not valid.
        valid: the pixels that count, bool [h, w].

    Returns:
        float64 [6], the entries of `SUMS`: counts of pixels, of those with an answer,
        of answers off by more than each of `THRESHOLDS`, and the sum of |d - g| over
        answers; zeros where no pixel counts.

    Raises:
        UserError: shapes that differ, a mask of another type, or a truth that is not
            finite at a valid pixel.
    """
    d, g, valid = (np.asarray(x) for x in (disparity, truth, valid))
    _check(d, g, valid)
    d, g = (x[valid].astype(np.float64) for x in (d, g))
    answered = np.isfinite(d)
    miss = np.abs(d[answered] - g[answered])
    missed = [(miss > threshold).sum() for threshold in THRESHOLDS]
    return np.array([d.size, miss.size, *missed, miss.sum()], np.float64)


def values(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Returns every score of images, or of sets of them.

    Args:
        rows: from `sums`, or sums of such rows, [..., 6].

    Returns:
        The scores above, shares of 1 and pixels, float64 [...]; NaN where no pixel
        counts, or for scores of answers where there are none.
    """
    rows = np.asarray(rows, np.float64)
    pixels, answered, *missed, error = np.moveaxis(rows, -1, 0)
    names = [f"bad_{threshold:g}" for threshold in THRESHOLDS]
    with np.errstate(invalid="ignore"):
        bad = [(count + pixels - answered) / pixels for count in missed]
        of_answers = [count / answered for count in missed]
        return {
            **dict(zip(names, bad, strict=True)),
            "answered": answered / pixels,
            **{f"answered_{n}": x for n, x in zip(names, of_answers, strict=True)},
            "error": error / answered,
        }


def summary(rows: np.ndarray) -> dict[str, float]:
    """Returns the scores of a set.

    Args:
        rows: from `sums`, [n, 6]; those without pixels are left out.

    Returns:
        For each score "<score>_image" and "<score>_pooled"; "images" and "pixels" that
        they come from.

    Raises:
        UserError: no image has valid pixels.
    """
    used = averages.counted(rows)
    found = averages.summary(used, values)
    return {**found, "images": len(used), "pixels": int(used[:, 0].sum())}


def visible(truth: np.ndarray, known: np.ndarray, *, tolerance: int = 1) -> np.ndarray:
    """Returns which pixels of the left view the right one shows, by the truth alone.

    Every known pixel is moved by its disparity, rounded, into the right view.  The
    nearest one that lands in a place hides others, whose disparities are smaller by
    more than the tolerance; what lands outside is not visible either.

    Args:
        truth: true disparities of the left view, pixels, [h, w].
        known: where there is truth, bool [h, w].
        tolerance: differences of one surface, pixels; slanted ones are no steps.

    Returns:
        bool [h, w]; False where there is no truth.

    Raises:
        UserError: as for `sums`.
    """
    truth, known = np.asarray(truth), np.asarray(known)
    _check(truth, truth, known)
    rows, columns = np.nonzero(known)
    moved = np.rint(truth[known]).astype(np.int64)
    places = columns - moved
    inside = (places >= 0) & (places < truth.shape[1])
    rows, columns, moved, places = (x[inside] for x in (rows, columns, moved, places))
    nearest = np.full(truth.shape, np.iinfo(np.int64).min)
    np.maximum.at(nearest, (rows, places), moved)
    found = np.zeros(truth.shape, bool)
    found[rows, columns] = nearest[rows, places] - moved <= tolerance
    return found


def _check(d: np.ndarray, g: np.ndarray, valid: np.ndarray) -> None:
    if d.ndim != 2 or not d.shape == g.shape == valid.shape or valid.dtype != bool:
        raise errors.UserError(
            "Scores of disparities want disparity, truth and a bool mask of one shape "
            f"[h, w], got {list(d.shape)}, {list(g.shape)} and {valid.dtype} "
            f"{list(valid.shape)}."
        )
    if not np.isfinite(g[valid]).all():
        count = int((~np.isfinite(g[valid])).sum())
        raise errors.UserError(
            f"The true disparity is not finite at {count} pixels that are to be "
            "scored. Leave them out of the mask."
        )
