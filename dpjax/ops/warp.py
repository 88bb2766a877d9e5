"""Images seen from another place beside: each pixel is read from another column.

In a rectified stereo pair what one camera sees at column x the other sees in the same
row at x plus or minus the disparity (Godard et al., CVPR 2017; Garg et al., ECCV 2016).
"""

from typing import Literal

import jax
from jax import numpy as jnp

from dpjax import errors

Beyond = Literal["zero", "edge"]


def along_rows(
    images: jax.Array, shift: jax.Array, beyond: Beyond = "zero"
) -> jax.Array:
    """Returns out[r, c] = images[r, c + shift[r, c]], linear between two columns.

    The slope for `shift` is the difference of the two columns that it lies between; at
    a column itself, and where `images` goes on to the right, that of the right one.

    Args:
        images: [b, h, w, c].
        shift: to the right, pixels, [b, h, w].
        beyond: what is left and right of the image: "zero", where the outer columns
            fade out over a pixel as in PyTorch's grid_sample with padding_mode="zeros"
            and in Godard's code, or "edge", the outer columns repeated.

    Returns:
        [b, h, w, c], at least float32.

    Raises:
        UserError: shapes that do not belong together, or an unknown `beyond`.
    """
    if images.ndim != 4 or images.shape[:3] != shift.shape:
        raise errors.UserError(
            "along_rows wants images [b, h, w, c] and shifts [b, h, w] of their size, "
            f"got {list(images.shape)} and {list(shift.shape)}."
        )
    if beyond not in Beyond.__args__:
        raise errors.unknown_name("kind of beyond", beyond, Beyond.__args__)
    dtype = jnp.promote_types(images.dtype, jnp.float32)
    images, shift = images.astype(dtype), shift.astype(dtype)
    if beyond == "zero":
        images = jnp.pad(images, [(0, 0), (0, 0), (1, 1), (0, 0)])
    margin = (images.shape[2] - shift.shape[2]) // 2
    last = images.shape[2] - 1
    place = jnp.arange(shift.shape[2], dtype=dtype) + margin + shift
    place = jnp.clip(place, 0, last)
    left = jnp.floor(place)
    share = (place - left)[..., None]
    column = left.astype(jnp.int32)[..., None]

    def read(column):
        return jnp.take_along_axis(images, column, axis=2, mode="clip")

    # The last column has none to its right; its own share is 1 then.
    return (1 - share) * read(column) + share * read(jnp.minimum(column + 1, last))
