"""Whether standard deviations of depth tell how wrong it is; float64, on the host.

A predicted pixel is a Gaussian over the logarithm of depth, which is what a continuous
CRF over log-depth gives: mean m = ln d, standard deviation s, both for the natural
logarithm of metres.  A model that works in normalised logarithms multiplies its s by
the width of the range first.  With the truth t = ln g and z = (t - m) / s:

    coverage1, coverage2   share of pixels with |z| <= 1, 2; 0.683 and 0.954 are right
    nll                    mean of ln s + z^2 / 2 + ln(2 pi) / 2, nats for each pixel
    ause_rms               sparsification of sqrt mean (d - g)^2, in metres
    ause_rel               sparsification of mean |d - g| / g

s is about the relative deviation.  Pixels are therefore removed by s for ause_rel and
by d s, the deviation in metres, for ause_rms; see `metrics.sparsification`.
"""

import math

import numpy as np

from dpjax.metrics import averages, depth, sparsification

_PIXELS, _COVERED_1, _COVERED_2, _NLL, _CURVES = range(5)
_WIDTH = 2 * sparsification.STEPS


def sums(
    mean: np.ndarray, truth: np.ndarray, deviation: np.ndarray, valid: np.ndarray
) -> np.ndarray:
    """Returns the row of one image.

    Args:
        mean: m, log-metres, [h, w].
        truth: t, log-metres, [h, w]; anything where it is not valid.
        deviation: s, of log-metres, [h, w].
        valid: the pixels that count, bool [h, w].

    Returns:
        float64 [84], which adds up over images: pixels; those within 1 and within 2
        deviations; the sum of negative log-likelihoods; and the two rows each that
        `sparsification.sums` gives for (d - g)^2 and for |d - g| / g.

    Raises:
        UserError: shapes that differ, or at a valid pixel a deviation that is not a
            positive number, or a depth that has none.
    """
    m, t, s = _checked(mean, truth, deviation, valid)
    d, g = np.exp(m), np.exp(t)
    z = (t - m) / s
    nll = np.log(s) + z**2 / 2 + math.log(2 * math.pi) / 2
    inside = [(np.abs(z) <= k).sum() for k in (1, 2)]
    return np.concatenate(
        [
            [z.size, *inside, nll.sum()],
            sparsification.sums((d - g) ** 2, d * s).ravel(),
            sparsification.sums(np.abs(d - g) / g, s).ravel(),
        ]
    )


def residuals(
    mean: np.ndarray, truth: np.ndarray, deviation: np.ndarray, valid: np.ndarray
) -> np.ndarray:
    """Returns the standardised residual z of each valid pixel.

    Args:
        mean: m, log-metres, [h, w].
        truth: t, log-metres, [h, w]; anything where it is not valid.
        deviation: s, of log-metres, [h, w].
        valid: the pixels that count, bool [h, w].

    Returns:
        (t - m) / s, float64 [pixels].

    Raises:
        UserError: see `sums`.
    """
    m, t, s = _checked(mean, truth, deviation, valid)
    return (t - m) / s


def values(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Returns every metric of images.

    Args:
        rows: from `sums`, [..., 84].

    Returns:
        coverage1, coverage2, nll, ause_rms, ause_rel, float64 [...]; NaN for images
        without pixels.
    """
    return _values(_with_kept(np.asarray(rows, np.float64)))


def summary(rows: np.ndarray) -> dict[str, float]:
    """Returns the calibration of a set.

    Args:
        rows: from `sums`, [n, 84].

    Returns:
        For each metric "<metric>_image" and "<metric>_pooled"; the pooled curves of
        sparsification remove the same share of each image.

    Raises:
        UserError: no image has valid pixels.
    """
    return averages.summary(_with_kept(averages.counted(rows)), _values)


def intervals(rows: np.ndarray, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Returns 95 % confidence intervals over images of what `summary` returns.

    Args:
        rows: from `sums`, [n, 84].
        seed: see `averages.intervals`.

    Returns:
        Lower and upper bounds by name.

    Raises:
        UserError: no image has valid pixels.
    """
    return averages.intervals(_with_kept(averages.counted(rows)), _values, seed=seed)


def _checked(mean, truth, deviation, valid) -> list[np.ndarray]:
    """m, t and s of the pixels that count, where they are what they should be."""
    depth.check_shapes(mean=mean, truth=truth, deviation=deviation, valid=valid)
    m, t, s = (
        np.asarray(x)[valid].astype(np.float64) for x in (mean, truth, deviation)
    )
    depth.check_positive(
        "standard deviation", s, "Give the model a smallest deviation."
    )
    for name, found in (("predicted depth", m), ("true depth", t)):
        depth.check_positive(name, np.exp(found), "Pass natural logarithms of metres.")
    return [m, t, s]


def _with_kept(rows: np.ndarray) -> np.ndarray:
    """Rows with the pixels that each step leaves, which add up over images as well."""
    left = sparsification.kept(rows[..., _PIXELS])
    return np.concatenate([rows, left], -1)


def _values(rows: np.ndarray) -> dict[str, np.ndarray]:
    left = rows[..., _CURVES + 2 * _WIDTH :]
    with np.errstate(invalid="ignore"):
        means = rows[..., :_CURVES] / rows[..., :1]
    found = {
        "coverage1": means[..., _COVERED_1],
        "coverage2": means[..., _COVERED_2],
        "nll": means[..., _NLL],
    }
    for i, (name, is_root) in enumerate((("ause_rms", True), ("ause_rel", False))):
        start = _CURVES + i * _WIDTH
        curves = rows[..., start : start + _WIDTH]
        curves = curves.reshape(*rows.shape[:-1], 2, sparsification.STEPS)
        found[name] = sparsification.area(curves, left, is_root=is_root)
    return found
