"""Losses of restored images, as sums and counts over the elements of each example.

The paper minimises the squared error (Mao, Shen & Yang, NIPS 2016, eq. 1); dividing the
sums by the counts over all devices gives the mean over all elements.
"""

import jax
import jax.numpy as jnp


def squared_error(
    output: jax.Array, clean: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the sum of (output - clean)^2 and the number of elements.

    Args:
        output: restored images, [b, h, w, c].
        clean: their targets, [b, h, w, c].
        valid: False for padding, bool [b], or [b, h, w] for single pixels.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where nothing is valid.
    """
    return _sums(jnp.square(_difference(output, clean)), valid)


def absolute_error(
    output: jax.Array, clean: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the sum of |output - clean| and the number of elements.

    Args:
        output: restored images, [b, h, w, c].
        clean: their targets, [b, h, w, c].
        valid: False for padding, bool [b], or [b, h, w] for single pixels.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where nothing is valid.
    """
    return _sums(jnp.abs(_difference(output, clean)), valid)


def charbonnier(
    output: jax.Array, clean: jax.Array, valid: jax.Array, *, eps: float = 1e-3
) -> tuple[jax.Array, jax.Array]:
    """Returns the sum of sqrt((output - clean)^2 + eps^2) and the number of elements.

    Args:
        output: restored images, [b, h, w, c].
        clean: their targets, [b, h, w, c].
        valid: False for padding, bool [b], or [b, h, w] for single pixels.
        eps: half-width of the rounded corner at 0, on the scale of the images.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where nothing is valid.
    """
    return _sums(jnp.sqrt(jnp.square(_difference(output, clean)) + eps**2), valid)


def _difference(output, clean):
    return output.astype(jnp.float32) - clean.astype(jnp.float32)


def _sums(errors, valid):
    valid = valid.reshape(valid.shape + (1,) * (errors.ndim - valid.ndim))
    valid = jnp.broadcast_to(valid, errors.shape)
    axes = (1, 2, 3)
    # where, not a product: padding may hold NaN.
    total = jnp.where(valid, errors, 0.0).sum(axes)
    return total, valid.astype(jnp.float32).sum(axes)
