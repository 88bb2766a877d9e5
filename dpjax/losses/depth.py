"""Losses of depth maps, as sums and counts of each image.

Each compares a prediction with a target in one unit, whichever it is: natural
logarithms of metres (Eigen, Puhrsch & Fergus, NIPS 2014; Eigen & Fergus, ICCV 2015) or
metres (the berHu loss of Laina et al., 3DV 2016).  Dividing the sums by the counts over
all devices gives the mean over pixels, or over images where the loss is one number for
an image.
"""

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors


def log_depth(depth: jax.Array, valid: jax.Array) -> jax.Array:
    """Returns ln depth, and 0 where nothing is known.

    Args:
        depth: metres, [b, ...]; anything where nothing is valid.
        valid: whether a pixel counts and its depth is above 0, bool [b, ...].

    Returns:
        float32 [b, ...].
    """
    return jnp.log(jnp.where(valid, depth.astype(jnp.float32), 1.0))


def absolute_error(
    output: jax.Array, target: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns sum |e| and the number of pixels, with e = output - target.

    Args:
        output: prediction, in the unit of the target, [b, ...].
        target: what it should be, [b, ...]; anything where nothing is valid.
        valid: whether a pixel counts, bool [b, ...].

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where no pixel is valid.

    Raises:
        UserError: arrays of different shapes, which would be broadcast.
    """
    e, valid = _residuals(output, target, valid)
    return _sum(_size(e)), _sum(valid)


def squared_error(
    output: jax.Array, target: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns sum e^2 and the number of pixels, with e = output - target.

    Args:
        output: prediction, in the unit of the target, [b, ...].
        target: what it should be, [b, ...]; anything where nothing is valid.
        valid: whether a pixel counts, bool [b, ...].

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where no pixel is valid.

    Raises:
        UserError: arrays of different shapes, which would be broadcast.
    """
    e, valid = _residuals(output, target, valid)
    return _sum(jnp.square(e)), _sum(valid)


def berhu(
    output: jax.Array, target: jax.Array, valid: jax.Array, *, share: float = 0.2
) -> tuple[jax.Array, jax.Array]:
    """Returns the sum of the reversed Huber loss and the number of pixels.

    B(e) = |e| up to c and (e^2 + c^2) / 2c above; both have the value c and the slope 1
    at c (Laina et al., 3DV 2016).  The paper takes c = max |e| / 5 over all
    pixels of the batch; here it is that of each image, so that the number of devices
    changes nothing.  It is a constant for gradients.

    Args:
        output: prediction, in the unit of the target, [b, ...].
        target: what it should be, [b, ...]; anything where nothing is valid.
        valid: whether a pixel counts, bool [b, ...].
        share: c as a share of the largest |e| of an image, above 0.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where no pixel is valid.

    Raises:
        UserError: arrays of different shapes, which would be broadcast, or a share that
            is not above 0.
    """
    if not share > 0:
        raise errors.UserError(f"berhu wants a share above 0, got {share!r}.")
    e, valid = _residuals(output, target, valid)
    size = _size(e)
    axes = tuple(range(1, e.ndim))
    c = lax.stop_gradient(share * size.max(axes, keepdims=True))
    is_small = size <= c
    # Where everything is predicted exactly, c is 0 and nothing is above it.
    large = jnp.square(e) + jnp.square(c)
    large = large / jnp.where(c > 0, 2 * c, 1.0)
    return _sum(jnp.where(is_small, size, large)), _sum(valid)


def scale_invariant(
    output: jax.Array,
    target: jax.Array,
    valid: jax.Array,
    *,
    invariance: float = 0.5,
    gradient: float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """Returns the scale-invariant error of each image, and whether it counts.

    With e = output - target in logarithms and n valid pixels it is
    sum e^2 / n - invariance (sum e)^2 / n^2 (Eigen et al., NIPS 2014, eq. 4, where
    invariance is lambda), and in addition gradient * sum (d_x e)^2 + (d_y e)^2 / n over
    pairs of valid neighbours (Eigen & Fergus, ICCV 2015, eq. 1, with gradient = 1).
    Their released code divides the last by the number of pairs instead, and sums over a
    batch before it divides.

    Args:
        output: predicted ln depth, [b, h, w]; without the gradient term [b, ...].
        target: true ln depth, of that shape; anything where nothing is valid.
        valid: whether a pixel counts, bool, of that shape.
        invariance: 0 for the mean square; 1 forgets a common factor of all depths.
        gradient: weight of the differences between neighbours.

    Returns:
        float32 [b] and float32 [b], the second 1 for an image with valid pixels; 0 and
        0 otherwise.

    Raises:
        UserError: arrays of different shapes, which would be broadcast, other ranks
            than 3 with a gradient term, or weights out of range.
    """
    if not 0 <= invariance <= 1 or not gradient >= 0:
        raise errors.UserError(
            "scale_invariant wants an invariance from 0 to 1 and a gradient weight of "
            f"at least 0, got {invariance!r} and {gradient!r}."
        )
    e, valid = _residuals(output, target, valid)
    axes = tuple(range(1, e.ndim))
    count = _sum(valid)
    n = jnp.maximum(count, 1.0).reshape(-1, *(1,) * len(axes))
    mean = e.sum(axes, keepdims=True) / n
    # As variance and mean: a difference of the two sums would lose digits near 1.
    spread = jnp.where(valid, e - mean, 0.0)
    values = jnp.square(spread) + (1 - invariance) * jnp.where(valid, mean**2, 0.0)
    if gradient:
        if e.ndim != 3:
            raise errors.UserError(
                f"The gradient term wants maps [b, h, w], got {list(e.shape)}."
            )
        for axis in (1, 2):
            step = jnp.diff(e, axis=axis)
            ahead = lax.slice_in_dim(valid, 1, None, axis=axis)
            known = ahead & lax.slice_in_dim(valid, 0, -1, axis=axis)
            step = gradient * jnp.square(jnp.where(known, step, 0.0))
            pads = [(0, int(a == axis), 0) for a in range(3)]
            values = values + lax.pad(step, 0.0, pads)
    return _sum(values / n), (count > 0).astype(jnp.float32)


def calibration(
    deviation: jax.Array, output: jax.Array, target: jax.Array, valid: jax.Array
) -> jax.Array:
    """Returns (e^2 / s^2 + ln s^2) / 2, with mean squares over each image.

    e^2 is that of the errors and s^2 that of the deviations, so it is least where both
    are the same on average: the negative log-likelihood of errors whose variance is
    known up to a factor, but for what varies within an image.

    Args:
        deviation: standard deviations of the prediction, above 0, [b, ...].
        output: prediction, of that shape; errors are constants for gradients.
        target: what it should be, of that shape; anything where nothing is valid.
        valid: whether a pixel counts, bool, of that shape.

    Returns:
        float32 [b]; 0 where no pixel is valid.

    Raises:
        UserError: arrays of different shapes, which would be broadcast.
    """
    e, _ = _residuals(lax.stop_gradient(output), target, valid)
    s, _ = _residuals(deviation, jnp.zeros_like(deviation), valid)
    has_pixels = _sum(valid) > 0
    error, spread = (jnp.where(has_pixels, _sum(x * x), 1.0) for x in (e, s))
    count = jnp.where(has_pixels, _sum(valid), 1.0)
    value = (error / spread + jnp.log(spread / count)) / 2
    return jnp.where(has_pixels, value, 0.0)


def _residuals(output, target, valid):
    """output - target in float32, 0 where nothing is valid, whatever is there."""
    if not output.shape == target.shape == valid.shape:
        raise errors.UserError(
            "Output, target and valid want one shape, got "
            f"{list(output.shape)}, {list(target.shape)} and {list(valid.shape)}. A "
            "map [b, h, w, 1] loses its last axis by [..., 0]."
        )
    e = output.astype(jnp.float32) - target.astype(jnp.float32)
    return jnp.where(valid, e, 0.0), valid


def _size(e):
    """|e|, whose slope at 0 is 0; that of jnp.abs is 1 there."""
    return e * lax.stop_gradient(jnp.sign(e))


def _sum(values):
    return values.astype(jnp.float32).sum(tuple(range(1, values.ndim)))
