"""Sums over all pairs of pixels with Gaussian weights, exact, tile by tile.

The matrix K_ij = exp(-|f_i - f_j|^2 / 2) of n pixels has n^2 entries: 90 GB for a
photograph of 320 x 480.  Here a tile of it is made, multiplied and forgotten.  Three
things keep the work down:

- K is symmetric, so a tile above the diagonal serves the one below as well.
- Pixels are put in the order of a curve that fills the space of features, so that the
  pixels of a tile are alike.  Where even the nearest corners of the boxes around two
  tiles are so far apart that every weight between them is below 1e-12, the pair is left
  out; all that is left out weighs less than the rounding of float32.  In photographs of
  320 x 480 and with theta_beta = 3, a quarter to a half of the pairs remain, with 13
  nearly all.
- Distances are sums of squared differences: the large terms of |f|^2 + |g|^2 - 2 f g
  would cancel.  Differences come before the division by the width, since those of
  whole pixels and levels are exact.
"""

from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp

_LEAST_WEIGHT = 1e-12
_CURVE_BITS = 30  # of the place on the curve, shared among the axes of the features


class Tiles(NamedTuple):
    """What the sums need to know about the pixels.

    Attributes:
        features: in the order of the curve, [t, tile, d]; the last pixel is repeated
            until the last tile is full.
        widths: of the Gaussian along each feature, [d].
        order: number of the pixel at each place of the curve, [n].
        pairs: tiles (first, second) with first <= second, those within reach first,
            [p, 2].
        count: how many pairs are within reach.
    """

    features: jax.Array
    widths: jax.Array
    order: jax.Array
    pairs: jax.Array
    count: jax.Array


def prepare(features: jax.Array, widths: jax.Array, *, tile: int = 1024) -> Tiles:
    """Returns the pixels sorted into tiles, and which tiles matter to each other.

    Args:
        features: place and colour, [h, w, d].
        widths: of the Gaussian along each of them, [d].
        tile: pixels in a tile; changes speed and memory, not the result.

    Returns:
        What `apply` needs.
    """
    points = features.reshape(-1, features.shape[-1])
    tile = min(tile, len(points))
    order = jnp.argsort(_place_on_curve(points / widths))
    missing = -len(points) % tile
    points = jnp.pad(points[order], ((0, missing), (0, 0)), mode="edge")
    tiles = points.reshape(-1, tile, points.shape[-1])
    pairs = jnp.stack(jnp.triu_indices(len(tiles)), axis=-1)
    low, high = tiles.min(1), tiles.max(1)
    first, second = pairs[:, 0], pairs[:, 1]
    gap = jnp.maximum(low[first] - high[second], low[second] - high[first])
    gap = jnp.square(jnp.maximum(gap, 0.0) / widths).sum(-1)
    is_near = gap < -2.0 * jnp.log(_LEAST_WEIGHT)
    return Tiles(tiles, widths, order, pairs[jnp.argsort(~is_near)], is_near.sum())


def apply(tiles: Tiles, values: jax.Array, transpose: bool = False) -> jax.Array:
    """Returns sum_j exp(-|f_i - f_j|^2 / 2) values_j for every pixel i.

    Args:
        tiles: of `prepare`.
        values: [h, w, k].
        transpose: changes nothing, the matrix is symmetric.

    Returns:
        [h, w, k].
    """
    del transpose
    count, tile, _ = tiles.features.shape
    flat = values.reshape(-1, values.shape[-1])
    missing = count * tile - len(flat)
    # Padding has no value and so no influence.
    given = jnp.pad(flat[tiles.order], ((0, missing), (0, 0)))
    # Channels before pixels: a tall weight matrix that is turned around for a product
    # from the left costs processors ten times one from the right.
    given = jnp.moveaxis(given.reshape(count, tile, -1), 1, 2)  # [t, k, tile]

    def add_pair(i, sums):
        first, second = tiles.pairs[i, 0], tiles.pairs[i, 1]
        weights = _weights(*tiles.features[tiles.pairs[i]], tiles.widths)
        ahead = jnp.matmul(given[second], weights.T, precision="highest")
        back = jnp.matmul(given[first], weights, precision="highest")
        back = jnp.where(first == second, 0.0, back)  # the diagonal counts once
        return sums.at[first].add(ahead).at[second].add(back)

    sums = lax.fori_loop(0, tiles.count, add_pair, jnp.zeros_like(given))
    sums = jnp.moveaxis(sums, 1, 2).reshape(-1, flat.shape[-1])[: len(flat)]
    return jnp.zeros_like(flat).at[tiles.order].set(sums).reshape(values.shape)


def _weights(features, others, widths):
    """exp(-|f - g|^2 / 2), [tile, tile], without an array [tile, tile, d]."""
    square = sum(
        jnp.square((features[:, None, axis] - others[None, :, axis]) / widths[axis])
        for axis in range(len(widths))
    )
    return jnp.exp(-0.5 * square)


def _place_on_curve(points):
    """Bits of all axes in turns (Morton's curve), int32 [n]."""
    axes = points.shape[-1]
    bits = _CURVE_BITS // axes
    low = points.min(0)
    # One step for all axes: the tiles shall be as wide in each as in the others.
    step = jnp.maximum((points.max(0) - low).max(), 1e-6) / (2**bits - 1)
    cells = ((points - low) / step).astype(jnp.int32)
    place = jnp.zeros(len(points), jnp.int32)
    for bit in reversed(range(bits)):
        for axis in range(axes):
            place = (place << 1) | ((cells[:, axis] >> bit) & 1)
    return place
