"""Quantiles of the valid pixels of each image."""

import jax
from jax import numpy as jnp

from dpjax import errors


def quantile(values: jax.Array, valid: jax.Array, share: float) -> jax.Array:
    """Returns a quantile over valid entries, linear between neighbours as NumPy's.

    Args:
        values: [b, ...]; anything where nothing is valid.
        valid: the entries that count, bool, of that shape.
        share: of the entries below it, in [0, 1]; 0.5 is the median.

    Returns:
        float32 [b]; 0 for images without valid entries.

    Raises:
        UserError: shapes that differ, or a share out of range.
    """
    if values.shape != valid.shape or not 0 <= share <= 1:
        raise errors.UserError(
            "A quantile wants values and valid of one shape and a share in [0, 1], got "
            f"{list(values.shape)}, {list(valid.shape)} and {share!r}."
        )
    flat = values.astype(jnp.float32).reshape(len(values), -1)
    valid = valid.reshape(flat.shape)
    count = valid.sum(1)
    rising = jnp.sort(jnp.where(valid, flat, jnp.inf), axis=1)
    place = share * jnp.maximum(count - 1, 0).astype(jnp.float32)
    lower = jnp.floor(place).astype(jnp.int32)
    upper = jnp.minimum(lower + 1, jnp.maximum(count - 1, 0))
    low, high = (
        # Infinite where nothing is valid; replaced before it meets a product.
        jnp.where(count > 0, jnp.take_along_axis(rising, i[:, None], 1)[:, 0], 0.0)
        for i in (lower, upper)
    )
    return low + (place - lower) * (high - low)
