"""How far depth is from the truth, from sums that join over images; float64, host.

With prediction d and truth g in metres, e = ln d - ln g, over T pixels (Eigen et al.,
NIPS 2014):

    delta_k    share of pixels with max(d / g, g / d) < 1.25^k, k = 1, 2, 3
    rel        mean |d - g| / g
    sqrel      mean (d - g)^2 / g
    sqrel_vnl  mean (d - g)^2 / g^2, which the code of VNL (Yin et al., ICCV 2019)
               calls by the same name
    rms        sqrt mean (d - g)^2, metres
    rmslog     sqrt mean e^2
    log10      mean |log10 d - log10 g|
    silog      100 sqrt(mean e^2 - (mean e)^2)

The two published ways to average them over a set are those of `metrics.averages`.
"""

import numpy as np

from dpjax import errors
from dpjax.metrics import averages

# What `sums` counts and adds up.  The last one is the sum of squares of e around its
# mean in the image: mean e^2 - (mean e)^2 would lose all digits where e is constant.
SUMS = (
    "pixels",
    "below_1",
    "below_2",
    "below_3",
    "rel",
    "sqrel",
    "sqrel_vnl",
    "squares",
    "log10",
    "logs",
    "log_spread",
)
_PIXELS, _SQUARES, _LOGS, _SPREAD = (
    SUMS.index(name) for name in ("pixels", "squares", "logs", "log_spread")
)
_MEANS = {
    "delta1": 1,
    "delta2": 2,
    "delta3": 3,
    "rel": 4,
    "sqrel": 5,
    "sqrel_vnl": 6,
    "log10": 8,
}
_THRESHOLD = 1.25


def sums(prediction: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Returns the row of one image.

    Args:
        prediction: d, metres, [h, w].
        truth: g, metres, [h, w]; anything but NaN where it is not valid.
        valid: the pixels that count, bool [h, w].

    Returns:
        float64 [11], the entries of `SUMS`; zeros where no pixel counts.

    Raises:
        UserError: shapes that differ, a truth that is NaN anywhere or not a positive
            number at a valid pixel, or a prediction that is not one there.
    """
    check_shapes(prediction=prediction, truth=truth, valid=valid)
    if np.isnan(truth).any():
        raise errors.UserError(
            f"The true depth is NaN at {np.isnan(truth).sum()} pixels. Give pixels "
            "without depth the value 0, or False in the mask."
        )
    d, g = (np.asarray(x)[valid].astype(np.float64) for x in (prediction, truth))
    check_positive("true depth", g, "Leave such pixels out of the mask.")
    check_positive(
        "predicted depth",
        d,
        "Clamp the prediction, as most protocols do, or predict the logarithm.",
    )
    if not d.size:
        return np.zeros(len(SUMS))
    ratio = np.maximum(d / g, g / d)
    miss = np.abs(d - g)
    e = np.log(d) - np.log(g)
    return np.array(
        [
            d.size,
            *((ratio < _THRESHOLD**k).sum() for k in (1, 2, 3)),
            (miss / g).sum(),
            (miss**2 / g).sum(),
            ((miss / g) ** 2).sum(),
            (miss**2).sum(),
            np.abs(np.log10(d) - np.log10(g)).sum(),
            e.sum(),
            ((e - e.mean()) ** 2).sum(),
        ]
    )


def values(rows: np.ndarray) -> dict[str, np.ndarray]:
    """Returns every metric of images, or of sets that `pool` made.

    Args:
        rows: from `sums` or `pool`, [..., 11].

    Returns:
        delta1, delta2, delta3, rel, sqrel, sqrel_vnl, rms, rmslog, log10, silog,
        float64 [...]; NaN for images without pixels.
    """
    rows = np.asarray(rows, np.float64)
    pixels = rows[..., _PIXELS]
    with np.errstate(invalid="ignore"):
        means = rows / pixels[..., None]
    found = {name: means[..., column] for name, column in _MEANS.items()}
    variance = means[..., _SPREAD]
    log10 = found.pop("log10")
    return {
        **found,
        "rms": np.sqrt(means[..., _SQUARES]),
        "rmslog": np.sqrt(variance + means[..., _LOGS] ** 2),
        "log10": log10,
        "silog": 100 * np.sqrt(variance),
    }


def pool(rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Returns the rows of sets, as if all their pixels were one image's.

    Args:
        rows: from `sums`, of images with pixels, [n, 11].
        weights: how often each image counts, [r, n]; at least one in each set.

    Returns:
        float64 [r, 11].
    """
    pooled = weights @ rows
    # The spread of a set is that within images and that of their means, which are
    # taken around a common mean for the same reason as in `SUMS`.
    pixels = rows[:, _PIXELS]
    middle = rows[:, _LOGS].sum() / pixels.sum()
    away = rows[:, _LOGS] / pixels - middle
    between = weights @ (pixels * away**2)
    between -= (weights @ (pixels * away)) ** 2 / pooled[:, _PIXELS]
    pooled[:, _SPREAD] += np.maximum(between, 0)
    return pooled


def summary(rows: np.ndarray) -> dict[str, float]:
    """Returns the scores of a set.

    Args:
        rows: from `sums`, [n, 11].

    Returns:
        For each metric "<metric>_image" and "<metric>_pooled"; "images" and "pixels"
        that they come from; "images_without_depth", which contribute nothing.

    Raises:
        UserError: no image has valid pixels.
    """
    rows = np.asarray(rows, np.float64)
    used = averages.counted(rows)
    return {
        **averages.summary(used, values, pool),
        "images": len(used),
        "images_without_depth": len(rows) - len(used),
        "pixels": int(used[:, _PIXELS].sum()),
    }


def intervals(rows: np.ndarray, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """Returns 95 % confidence intervals over images of the metrics in `summary`.

    Args:
        rows: from `sums`, [n, 11].
        seed: see `averages.intervals`.

    Returns:
        Lower and upper bounds by name.

    Raises:
        UserError: no image has valid pixels.
    """
    return averages.intervals(rows, values, pool, seed=seed)


def check_shapes(**maps: np.ndarray) -> None:
    """Raises unless maps belong to the same image.

    Args:
        **maps: by what they are called; one named valid must be bool.

    Raises:
        UserError: shapes that differ, or a mask of another type.
    """
    shapes = {name: list(np.shape(x)) for name, x in maps.items()}
    if len({tuple(shape) for shape in shapes.values()}) > 1:
        raise errors.UserError(
            "Depth metrics want maps of one shape, got "
            f"{', '.join(f'{name} {shape}' for name, shape in shapes.items())}. "
            "Resize the prediction to the truth first."
        )
    valid = maps.get("valid")
    if valid is not None and np.asarray(valid).dtype != bool:
        raise errors.UserError(
            f"The mask of valid pixels must be bool, got {np.asarray(valid).dtype}. "
            "Compare it with what marks a pixel as valid."
        )


def check_positive(name: str, found: np.ndarray, advice: str) -> None:
    """Raises unless all values are positive and finite.

    Args:
        name: what they are.
        found: the values at valid pixels, [n].
        advice: what to do, a sentence.

    Raises:
        UserError: one is 0, negative, infinite or NaN.
    """
    wrong = ~(np.isfinite(found) & (found > 0))
    if wrong.any():
        raise errors.UserError(
            f"The {name} must be a positive number at every valid pixel, got "
            f"{found[wrong][0]:g} at the first of {wrong.sum()} others. {advice}"
        )
