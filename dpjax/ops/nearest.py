"""Maps on another grid by the nearest pixel: for what has no mean, labels and masks.

Depth is such a thing too: between an object and what is behind it there is nothing at
the mean of both.
"""

from typing import Literal

import jax
import numpy as np
from jax import numpy as jnp

from dpjax import errors

Grid = Literal["half_pixel", "align_corners"]


def to_size(
    x: jax.Array, size: tuple[int, int], grid: Grid = "half_pixel"
) -> jax.Array:
    """Returns maps with the pixels nearest to the places of another grid.

    The places are those of `enlarge.to_size`; of two that are equally near, the right
    or lower pixel is taken.

    Args:
        x: maps of any type, [b, h, w, ...].
        size: rows and columns of the result.
        grid: "half_pixel" or "align_corners".

    Returns:
        [b, *size, ...] of the type of `x`.

    Raises:
        UserError: an unknown grid, maps without rows and columns, or a size below 1.
    """
    if grid not in Grid.__args__:
        raise errors.unknown_name("grid", grid, Grid.__args__)
    if x.ndim < 3 or len(size) != 2 or min(size) < 1:
        raise errors.UserError(
            "to_size wants maps [b, h, w, ...] and at least 1 row and column, got "
            f"{list(x.shape)} and {tuple(size)}."
        )
    for axis in (1, 2):
        length, wanted = x.shape[axis], int(size[axis - 1])
        if length != wanted:
            x = jnp.take(x, _index(length, wanted, grid), axis, mode="clip")
    return x


def _index(length: int, wanted: int, grid: Grid) -> np.ndarray:
    """The pixel for each place, in integers: a tie must not depend on rounding."""
    i = np.arange(wanted)
    if grid == "half_pixel":
        return (2 * i + 1) * length // (2 * wanted)
    if wanted == 1:
        return i
    return (2 * i * (length - 1) + wanted - 1) // (2 * (wanted - 1))
