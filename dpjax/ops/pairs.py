"""Pairs of points in images, which ordinal supervision compares.

`pair_sampling` draws them; people name them in sets such as DIW (`at`).
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp

from dpjax import errors


class Pairs(NamedTuple):
    """As many pairs for each image, of which some may not count; a pytree.

    Attributes:
        first: pixel of the first point, row * w + column, int32 [b, p].
        second: pixel of the second point, int32 [b, p].
        weight: of the pair, 0 where it does not count, float32 [b, p].
    """

    first: jax.Array
    second: jax.Array
    weight: jax.Array


def at(points: jax.Array, weight: jax.Array, size: tuple[int, int]) -> Pairs:
    """Returns the pairs between points that are known.

    Args:
        points: row and column of both points of each pair, pixels, the first being 0;
            fractions belong to the pixel that they lie in, [b, p, 2, 2].
        weight: of each pair, [b, p]; anything goes for points of pairs without.
        size: height and width of the images, pixels.

    Returns:
        The pairs; weight 0 for those with a point outside the image, and for a point
        with itself.

    Raises:
        UserError: shapes that do not belong together.
    """
    if points.ndim != 4 or points.shape != (*weight.shape, 2, 2):
        raise errors.UserError(
            "Pairs of points want rows and columns [b, p, 2, 2] and weights [b, p], "
            f"got {list(points.shape)} and {list(weight.shape)}."
        )
    # Named by people, who may point at the very edge; NaN is not inside.
    places = jnp.floor(points.astype(jnp.float32))
    limits = jnp.asarray(size, jnp.float32)
    inside = ((places >= 0) & (places < limits)).all((-2, -1))
    places = jnp.where(inside[..., None, None], places, 0.0).astype(jnp.int32)
    pixels = places[..., 0] * size[1] + places[..., 1]
    first, second = pixels[..., 0], pixels[..., 1]
    counts = inside & (first != second)
    return Pairs(first, second, jnp.where(counts, weight, 0.0).astype(jnp.float32))


def joined(*parts: Pairs) -> Pairs:
    """Returns the pairs of several draws as one.

    Args:
        *parts: of the same images.

    Returns:
        All pairs, those of the first part first.
    """
    return Pairs(*(jnp.concatenate(arrays, 1) for arrays in zip(*parts, strict=True)))


def values(maps: jax.Array, pairs: Pairs) -> tuple[jax.Array, jax.Array]:
    """Returns what maps hold at both points of each pair.

    Args:
        maps: [b, h, w]; anything at pixels of pairs that do not count.
        pairs: of images of that size.

    Returns:
        Two arrays [b, p] of the type of the maps, 0 for pairs that do not count.

    Raises:
        UserError: other shapes.
    """
    if maps.ndim != 3 or len(maps) != len(pairs.first):
        raise errors.UserError(
            f"Pairs of {len(pairs.first)} images want as many maps [b, h, w], got "
            f"{list(maps.shape)}. A map [b, h, w, 1] loses its last axis by [..., 0]."
        )
    flat = maps.reshape(len(maps), -1)
    counts = pairs.weight > 0
    return tuple(
        jnp.where(counts, jnp.take_along_axis(flat, pixels, axis=1), 0)
        for pixels in (pairs.first, pairs.second)
    )
