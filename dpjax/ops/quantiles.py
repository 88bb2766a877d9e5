"""Quantiles of the valid pixels of each image."""

from collections.abc import Sequence

import jax
from jax import numpy as jnp

from dpjax import errors


def quantiles(
    values: jax.Array, valid: jax.Array, shares: Sequence[float]
) -> tuple[jax.Array, ...]:
    """Returns quantiles over valid entries, linear between neighbours as NumPy's.

    Args:
        values: [b, ...]; anything where nothing is valid.
        valid: the entries that count, bool, of that shape.
        shares: of the entries below each quantile, in [0, 1]; 0.5 is the median.

    Returns:
        float32 [b] for each share; 0 for images without valid entries.

    Raises:
        UserError: shapes that differ, or a share out of range.
    """
    if values.shape != valid.shape or not all(0 <= share <= 1 for share in shares):
        raise errors.UserError(
            "Quantiles want values and valid of one shape and shares in [0, 1], got "
            f"{list(values.shape)}, {list(valid.shape)} and {tuple(shares)}."
        )
    flat = values.astype(jnp.float32).reshape(len(values), -1)
    valid = valid.reshape(flat.shape)
    count = valid.sum(1)
    last = jnp.maximum(count - 1, 0)
    # One sort for all: it is what quantiles of large maps cost.
    rising = jnp.sort(jnp.where(valid, flat, jnp.inf), axis=1)

    def at(number):
        found = jnp.take_along_axis(rising, number[:, None], 1)[:, 0]
        # Infinite where nothing is valid; replaced before it meets a product.
        return jnp.where(count > 0, found, 0.0)

    found = []
    for share in shares:
        place = share * last.astype(jnp.float32)
        lower = jnp.floor(place).astype(jnp.int32)
        low, high = at(lower), at(jnp.minimum(lower + 1, last))
        found.append(low + (place - lower) * (high - low))
    return tuple(found)
