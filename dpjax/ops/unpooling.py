"""Unpooling by switches (Noh et al., ICCV 2015): what a pool took goes back in place.

Windows are 2x2 with a step of 2; a last row or column without a partner is in none.
"""

import jax
from jax import numpy as jnp


def switches(x: jax.Array) -> jax.Array:
    """Returns which pixel of each window is the largest, the first among equals.

    Args:
        x: [b, h, w, c].

    Returns:
        0 to 3 in the order of reading, int8 [b, h // 2, w // 2, c].
    """
    height, width = (side // 2 * 2 for side in x.shape[1:3])
    x = x[:, :height, :width]
    pixels = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    largest = jnp.maximum(
        jnp.maximum(pixels[0], pixels[1]), jnp.maximum(pixels[2], pixels[3])
    )
    places = [jnp.int8(place) for place in range(3)]
    return jnp.select([p == largest for p in pixels[:3]], places, jnp.int8(3))


def unpool(x: jax.Array, places: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Returns a map with each value where a switch says, and zeros elsewhere.

    Args:
        x: [b, h, w, c].
        places: what `switches` gave, [b, h, w, c].
        size: rows and columns of the result: 2h or 2h + 1, 2w or 2w + 1.

    Returns:
        [b, *size, c].
    """
    b, height, width, c = x.shape
    order = jnp.arange(4, dtype=places.dtype).reshape(2, 2, 1)
    here = places[:, :, :, None, None] == order  # [b, h, w, 2, 2, c]
    spread = jnp.where(here, x[:, :, :, None, None], 0)
    spread = spread.transpose(0, 1, 3, 2, 4, 5)
    spread = spread.reshape(b, 2 * height, 2 * width, c)
    missing = [(0, n - 2 * side) for n, side in zip(size, (height, width), strict=True)]
    return jnp.pad(spread, [(0, 0), *missing, (0, 0)])
