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
    return _sums(jnp.square, output, clean, valid)


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
    return _sums(jnp.abs, output, clean, valid)


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

    def rounded(difference):
        return jnp.sqrt(jnp.square(difference) + eps**2)

    return _sums(rounded, output, clean, valid)


def _sums(error, output, clean, valid):
    """Sum of error(output - clean) and count of each example; padding may hold NaN."""
    valid = valid.reshape(valid.shape + (1,) * (output.ndim - valid.ndim))
    valid = jnp.broadcast_to(valid, output.shape)
    axes = (1, 2, 3)
    difference = output.astype(jnp.float32) - clean.astype(jnp.float32)
    # Twice: the gradient of an error that was masked only afterwards is 0 * NaN.
    errors = jnp.where(valid, error(jnp.where(valid, difference, 0.0)), 0.0)
    return errors.sum(axes), valid.astype(jnp.float32).sum(axes)
