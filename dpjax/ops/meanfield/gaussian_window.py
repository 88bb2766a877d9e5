"""Sums over the pixels near by with Gaussian weights, the rest cut off.

The locality of convolutional CRFs (Teichmann & Cipolla, BMVC 2019): pixels further away
than a window reaches do not speak to each other.  Each offset is one product of shifted
arrays, which every device is good at; the work grows with the area of the window.
"""

import jax
from jax import lax
from jax import numpy as jnp

REACH = 10  # pixels from the centre of a window to its border
# So far from every feature that the weight is 0 in float32; finite, so never NaN.
_NOWHERE = 1e6


def prepare(features: jax.Array, widths: jax.Array) -> jax.Array:
    """Returns the features over their widths: there is nothing more to prepare.

    Args:
        features: place and colour, [h, w, d].
        widths: of the Gaussian along each of them, [d].

    Returns:
        What `apply` needs.
    """
    return features / widths


def apply(
    features: jax.Array,
    values: jax.Array,
    transpose: bool = False,
    *,
    reach: int = REACH,
) -> jax.Array:
    """Returns sum_j exp(-|f_i - f_j|^2 / 2) values_j over the window around i.

    Args:
        features: of `prepare`.
        values: [h, w, k].
        transpose: changes nothing, the matrix is symmetric.
        reach: pixels from the centre of a window to its border.

    Returns:
        [h, w, k].
    """
    del transpose
    side = 2 * reach + 1
    pad = ((reach, reach), (reach, reach), (0, 0))
    given = jnp.pad(values, pad)
    others = jnp.pad(features, pad, constant_values=_NOWHERE)

    def add_offset(i, sums):
        corner = (i // side, i % side, 0)
        other = lax.dynamic_slice(others, corner, features.shape)
        weight = jnp.exp(-0.5 * jnp.square(features - other).sum(-1, keepdims=True))
        return sums + weight * lax.dynamic_slice(given, corner, values.shape)

    return lax.fori_loop(0, side * side, add_offset, jnp.zeros_like(values))
