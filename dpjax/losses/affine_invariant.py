"""Losses that forget scale and shift of a map (Ranftl et al., MiDaS, TPAMI 2020).

Films and disparities without calibration leave both open.  As a control for `ranking`:
what is lost by knowing nothing but the order?
"""

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.losses import gradient_matching
from dpjax.ops import quantiles

_ROUNDING = 1e-6  # spread of a constant map in float32, relative to its mean


def fit(
    output: jax.Array, target: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the scale s and shift t of each image with the least sum (s o + t - g)^2.

    Args:
        output: o, prediction, [b, ...].
        target: g, of that shape; anything where nothing is valid.
        valid: whether a pixel counts, bool, of that shape.

    Returns:
        float32 [b] and float32 [b]; 0 and the mean of the target where the output is
        constant, 0 and 0 for images without valid pixels.

    Raises:
        UserError: arrays of different shapes, which would be broadcast.
    """
    output, target, valid = _flat(output, target, valid)
    count = jnp.maximum(valid.sum(1), 1)
    # Around the means: the textbook's sums of squares lose the digits of far maps.
    output_mean, target_mean = (x.sum(1) / count for x in (output, target))
    away = jnp.where(valid, output - output_mean[:, None], 0.0)
    spread = jnp.square(away).sum(1)
    varies = spread > count * jnp.square(_ROUNDING * output_mean)
    scale = (away * (target - target_mean[:, None])).sum(1)
    scale = jnp.where(varies, scale / jnp.where(varies, spread, 1.0), 0.0)
    return scale, target_mean - scale * output_mean


def squared_error(
    output: jax.Array, target: jax.Array, valid: jax.Array, *, gradient: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Returns 1/2 sum (s o + t - g)^2 after the best fit, and the number of pixels.

    "ssimse" of the paper, eq. 2-4.  It is in the square of the target's unit: bring
    targets of several sets to one range first.

    Args:
        output: o, prediction, [b, ...]; with the gradient term [b, h, w].
        target: g, of that shape; anything where nothing is valid.
        valid: whether a pixel counts, bool, of that shape.
        gradient: weight of `gradient_matching` of the fitted output, 0.5 in the paper.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where no pixel is valid.

    Raises:
        UserError: arrays of different shapes, which would be broadcast, or a negative
            weight.
    """
    _check_weight(gradient)
    scale, shift = (_beside(x, output) for x in fit(output, target, valid))
    # Whatever is not valid must not meet the gradient of the scale.
    fitted = scale * jnp.where(valid, output.astype(jnp.float32), 0.0) + shift
    miss = jnp.where(valid, fitted - target.astype(jnp.float32), 0.0)
    total = jnp.square(miss).reshape(len(miss), -1).sum(1) / 2
    return _with_slopes(total, fitted, target, valid, gradient)


def trimmed_error(
    output: jax.Array,
    target: jax.Array,
    valid: jax.Array,
    *,
    trim: float = 0.2,
    gradient: float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """Returns 1/2 sum |o' - g'| over the pixels that miss least, and the number of all.

    o' and g' are output and target less their median, divided by their mean absolute
    distance from it; the largest misses, errors of the target as like as not, are left
    out ("ssitrim" of the paper, eq. 5-7; "ssimae" without trimming).

    Args:
        output: o, prediction, [b, ...]; with the gradient term [b, h, w].
        target: g, of that shape; anything where nothing is valid.
        valid: whether a pixel counts, bool, of that shape.
        trim: share of the pixels that is left out, in [0, 1).
        gradient: weight of `gradient_matching` of o' and g', 0.5 in the paper.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where no pixel is valid.

    Raises:
        UserError: arrays of different shapes, which would be broadcast, or options out
            of range.
    """
    _check_weight(gradient)
    if not 0 <= trim < 1:
        raise errors.UserError(f"trimmed_error wants trim in [0, 1), got {trim!r}.")
    _flat(output, target, valid)
    ours, theirs = (_normalised(x, valid) for x in (output, target))
    miss = _size(jnp.where(valid, ours - theirs, 0.0)).reshape(len(output), -1)
    flat = valid.reshape(miss.shape)
    kept = jnp.floor((1 - trim) * flat.sum(1))
    rising = jnp.sort(jnp.where(flat, miss, jnp.inf), axis=1)
    is_kept = jnp.arange(miss.shape[1]) < kept[:, None]
    total = jnp.where(is_kept, rising, 0.0).sum(1) / 2
    return _with_slopes(total, ours, theirs, valid, gradient)


def _normalised(values, valid):
    """Values less their median, in mean absolute distances from it; 0 if constant."""
    values = jnp.where(valid, values.astype(jnp.float32), 0.0)
    (middle,) = quantiles.quantiles(values, valid, (0.5,))
    away = jnp.where(valid, values - _beside(middle, values), 0.0)
    axes = tuple(range(1, values.ndim))
    count = jnp.maximum(valid.sum(axes), 1)
    spread = _beside(_size(away).sum(axes) / count, values)
    return away / jnp.where(spread > 0, spread, 1.0)


def _with_slopes(total, output, target, valid, gradient):
    """Sum and number of pixels; the gradient term is a mean and counts for all."""
    count = valid.reshape(len(valid), -1).sum(1).astype(jnp.float32)
    if gradient:
        slopes, _ = gradient_matching.gradient_matching(output, target, valid)
        total += gradient * count * slopes
    return total, count


def _flat(output, target, valid):
    """All as [b, n], and 0 where nothing is valid."""
    if not output.shape == target.shape == valid.shape:
        raise errors.UserError(
            "Output, target and valid want one shape, got "
            f"{list(output.shape)}, {list(target.shape)} and {list(valid.shape)}. A "
            "map [b, h, w, 1] loses its last axis by [..., 0]."
        )
    valid = valid.reshape(len(valid), -1)
    flat = (x.astype(jnp.float32).reshape(valid.shape) for x in (output, target))
    return *(jnp.where(valid, x, 0.0) for x in flat), valid


def _beside(numbers, maps):
    """One number for each image, to be broadcast over its map."""
    return numbers.reshape(-1, *(1,) * (maps.ndim - 1))


def _size(x):
    """|x|, whose slope at 0 is 0; that of jnp.abs is 1 there."""
    return x * lax.stop_gradient(jnp.sign(x))


def _check_weight(gradient):
    if not gradient >= 0:
        raise errors.UserError(
            f"The gradient term wants a weight of at least 0, got {gradient!r}."
        )
