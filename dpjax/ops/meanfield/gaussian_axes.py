"""Sums over all pixels with Gaussian weights of their distance, exact to rounding.

The Gaussian of a distance in the plane is a product of one over rows and one over
columns, so that each axis is a product with a small matrix.  Its entries below 1e-12
are nothing beside the 1 of the pixel itself, and only a band is left: of every block of
lines, one product with the lines that it can see.
"""

import math

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

_LEAST_WEIGHT = 1e-12
_BLOCK = 64  # lines of a product


def apply(values: jax.Array, theta: float) -> jax.Array:
    """Returns sum_j exp(-|p_i - p_j|^2 / 2 theta^2) values_j for every pixel i.

    Args:
        values: [h, w, k].
        theta: width of the Gaussian, pixels.

    Returns:
        [h, w, k].
    """
    height, width, _ = values.shape
    lines, weights = _band(height, theta, values.dtype)
    seen = values[lines]  # [blocks, window, w, k]
    values = jnp.einsum("biv,bvwk->biwk", weights, seen, precision="highest")
    values = values.reshape(-1, *values.shape[2:])[:height]
    lines, weights = _band(width, theta, values.dtype)
    seen = values[:, lines]  # [h, blocks, window, k]
    values = jnp.einsum("biv,hbvk->hbik", weights, seen, precision="highest")
    return values.reshape(height, -1, values.shape[-1])[:, :width]


def _band(length, theta, dtype):
    """Lines that each block can see, [blocks, window]; weights [blocks, block, window].

    All windows lie inside; those at the border see further on the other side instead.
    """
    reach = math.ceil(theta * math.sqrt(-2 * math.log(_LEAST_WEIGHT)))
    block, window = _BLOCK, _BLOCK + 2 * reach
    if window >= length:
        block = window = length
    own = np.arange(-(-length // block) * block).reshape(-1, block)
    first = (own[:, :1] - reach).clip(0, length - window)
    seen = first + np.arange(window)
    apart = (own[:, :, None] - seen[:, None, :]) / theta
    weights = jnp.asarray(np.exp(-0.5 * apart**2), dtype)
    # XLA would multiply what is constant while it compiles, for seconds, and warn.
    return seen, lax.optimization_barrier(weights)
