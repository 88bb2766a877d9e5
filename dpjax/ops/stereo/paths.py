"""Straight paths through an image, from one line of pixels to the next.

Along a path each pixel knows what the pixel before it knew.  The pixels of a row do not
depend on each other where paths come from the row before, straight or slanted, so a
scan over rows serves three directions, one over columns two, and both of them backwards
the rest of eight.
"""

import jax
from jax import lax
from jax import numpy as jnp

ACROSS = (0,)
DOWN = (0, 1, -1)


def moved(
    values: jax.Array, steps: int, *, axis: int = -1, entering: float = 0
) -> jax.Array:
    """Returns values moved forward along an axis.

    Args:
        values: of any shape.
        steps: -1, 0 or 1.
        axis: along which they move.
        entering: what comes in at the end that they leave.

    Returns:
        Of the shape and type of `values`.
    """
    if steps == 0:
        return values
    length = values.shape[axis]
    new = jnp.full_like(lax.slice_in_dim(values, 0, 1, axis=axis), entering)
    if steps > 0:
        kept = lax.slice_in_dim(values, 0, length - 1, axis=axis)
        return jnp.concatenate([new, kept], axis)
    kept = lax.slice_in_dim(values, 1, length, axis=axis)
    return jnp.concatenate([kept, new], axis)
