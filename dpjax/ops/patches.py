"""Square surroundings of points, cut out of images and resized."""

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors

# Patches of an image that are cut at once, channel by channel.  TPUs pad a last axis of
# three to 128, and would take 20 GB for the 768 patches of DCNF.
_TOGETHER = 32


def around(images: jax.Array, centres: jax.Array, box: int, side: int) -> jax.Array:
    """Returns a patch around each point, bilinear, repeating the edge of the image.

    Sample i of a side lies (i + 1/2) box / side - box / 2 from the point.

    Args:
        images: [b, h, w, c].
        centres: row and column in pixels, the first pixel's centre being 0,
            float [b, n, 2].
        box: side of what is cut out, pixels.
        side: side of the result, pixels.

    Returns:
        [b, n, side, side, c] of the type of the images, summed in float32 at least.

    Raises:
        UserError: shapes that do not belong together, or sides below 1.
    """
    if images.ndim != 4 or centres.shape != (len(images), centres.shape[1], 2):
        raise errors.UserError(
            "Patches want images [b, h, w, c] and centres [b, n, 2], got "
            f"{list(images.shape)} and {list(centres.shape)}."
        )
    if min(box, side) < 1:
        raise errors.UserError(
            f"Patches want a box and a side of at least 1 pixel, got {box} and {side}."
        )
    kind = jnp.promote_types(images.dtype, jnp.float32)
    steps = (jnp.arange(side, dtype=kind) + 0.5) * (box / side) - box / 2
    places = [
        jnp.clip(centres[..., axis, None].astype(kind) + steps, 0, length - 1)
        for axis, length in enumerate(images.shape[1:3])
    ]

    def of_image(image, *places):
        planes = jnp.unstack(image, axis=-1)
        cut = lax.map(
            lambda ends: [_patch(plane, *ends) for plane in planes],
            places,
            batch_size=_TOGETHER,
        )
        return jnp.stack(cut, -1)

    found = jax.vmap(of_image)(images.astype(kind), *places)
    return found.astype(images.dtype)


def _patch(plane: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """[side, side] from [h, w] and the places of samples, [side] each."""
    total = 0
    for i in (0, 1):
        for j in (0, 1):
            row, row_share = _neighbour(rows, i, plane.shape[0])
            column, column_share = _neighbour(columns, j, plane.shape[1])
            total += row_share[:, None] * column_share * plane[row[:, None], column]
    return total


def _neighbour(places: jax.Array, end: int, length: int) -> tuple[jax.Array, jax.Array]:
    """The sample before (0) or behind (1) each place, and its share."""
    first = jnp.floor(places)
    share = places - first
    index = jnp.minimum(first.astype(jnp.int32) + end, length - 1)
    return index, share if end else 1 - share
