"""Random colours of stereo pairs: both views alike, so that they still match.

Godard, Mac Aodha & Brostow, CVPR 2017, section 4.2.
"""

import jax
from jax import numpy as jnp

_GAMMAS = (0.8, 1.2)
_BRIGHTNESS = (0.5, 2.0)
_CHANNELS = (0.8, 1.2)
_SHARE = 0.5  # of the pairs, the others stay


def shifted(
    left: jax.Array, right: jax.Array, keys: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns half of the pairs under random gamma, brightness and colour.

    x becomes clip(x^g b c, 0, 1) with g from 0.8 to 1.2, b from 0.5 to 2 and one c from
    0.8 to 1.2 for each channel, evenly drawn; g, b and c are those of the pair.

    Args:
        left: in [0, 1], [b, h, w, c].
        right: likewise.
        keys: one for each pair, [b].

    Returns:
        Both, of the same shapes.
    """
    draws = jax.vmap(lambda key: _draw(key, left.shape[-1]))(keys)
    return tuple(jax.vmap(_applied)(view, *draws) for view in (left, right))


def _draw(key: jax.Array, channels: int):
    which, gamma, brightness, channel = jax.random.split(key, 4)
    uniform = jax.random.uniform
    return (
        jax.random.bernoulli(which, _SHARE),
        uniform(gamma, minval=_GAMMAS[0], maxval=_GAMMAS[1]),
        uniform(brightness, minval=_BRIGHTNESS[0], maxval=_BRIGHTNESS[1]),
        uniform(channel, (channels,), minval=_CHANNELS[0], maxval=_CHANNELS[1]),
    )


def _applied(image, is_chosen, gamma, brightness, channel):
    found = jnp.clip(image**gamma * brightness * channel, 0, 1)
    return jnp.where(is_chosen, found, image)
