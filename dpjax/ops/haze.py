"""The atmospheric scattering model: I = J t + A (1 - t) with t = exp(-beta d)."""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

Array = TypeVar("Array", np.ndarray, jax.Array)


def transmission(depth: Array, beta: float | jax.Array) -> Array:
    """Returns t = exp(-beta d), the share of light that reaches the camera.

    Args:
        depth: d, in metres, any shape.
        beta: density of the haze, per metre.

    Returns:
        Of the shape of `depth`, in (0, 1] for non-negative depth.
    """
    xp = jnp if isinstance(depth, jax.Array) or isinstance(beta, jax.Array) else np
    return xp.exp(-beta * depth)


def add_haze(clean: Array, t: Array, airlight: float | Array) -> Array:
    """Returns the hazy image, J t + A (1 - t).

    Args:
        clean: J, [h, w, c] in [0, 1].
        t: transmission, [h, w].
        airlight: A, a number or one for each channel, [c].

    Returns:
        [h, w, c] in [0, 1].
    """
    return clean * t[..., None] + airlight * (1.0 - t[..., None])


def remove_haze(
    hazy: Array, t: Array, airlight: float | Array, *, least: float = 0.0
) -> Array:
    """Returns the scene behind a known haze, (I - A) / max(t, least) + A.

    Args:
        hazy: I, [h, w, c].
        t: transmission, [h, w].
        airlight: A, a number or one for each channel, [c].
        least: lower bound of the divisor; 0 inverts exactly, 0.1 keeps noise down
            where hardly any light is left.

    Returns:
        [h, w, c], not clipped.
    """
    return (hazy - airlight) / t[..., None].clip(least) + airlight
