"""Strengths between neighbouring pixels that follow an image.

As between the superpixels of DCNF (Liu, Shen, Lin & Reid, PAMI 2016).
"""

import jax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops.crf import grid_graph


def from_images(
    images: jax.Array, beta: float | jax.Array, gamma: float | jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns R = sum_k beta_k exp(-gamma_k |I_p - I_q| / sqrt(c)) of neighbours.

    Weights of several images, of features for example, add up.

    Args:
        images: uint8, or floats of any scale, photographs in [0, 1]; [..., h, w, c].
        beta: strengths, 0 or more, a number or [k].
        gamma: how fast they fall, in 1 / the unit of the images, a number or [k].

    Returns:
        R to the right and down, [..., h, w-1] and [..., h-1, w]; float32 at least.

    Raises:
        UserError: images without axes for pixels and channels, or strengths that are
            neither numbers nor lists of the same length.
    """
    images = jnp.asarray(images)
    if images.ndim < 3 or images.shape[-1] < 1:
        raise errors.UserError(
            f"from_images wants images [..., h, w, c], got {list(images.shape)}. Add "
            "an axis for the channels."
        )
    terms = jnp.shape(beta) or jnp.shape(gamma)
    shapes = {jnp.shape(beta), jnp.shape(gamma)} - {()}
    if len(shapes) > 1 or len(terms) > 1:
        raise errors.UserError(
            "from_images wants numbers, or lists of the same length, for beta and "
            f"gamma, got {list(jnp.shape(beta))} and {list(jnp.shape(gamma))}."
        )
    dtype = jnp.promote_types(jnp.result_type(images, beta, gamma), jnp.float32)
    levels = 255 if images.dtype == jnp.uint8 else 1
    images = images.astype(dtype) / levels
    beta, gamma = (
        jnp.broadcast_to(jnp.asarray(x, dtype), terms).reshape(-1)
        for x in (beta, gamma)
    )

    def similarity(steps):
        square = (steps**2).mean(0)
        # The slope of a root at 0 is infinite, and parts of many images are flat.
        distance = jnp.sqrt(jnp.where(square > 0, square, 1))
        distance = jnp.where(square > 0, distance, 0)
        pairs = zip(beta, gamma, strict=True)
        return sum(b * jnp.exp(-g * distance) for b, g in pairs)

    right, down = grid_graph.differences(jnp.moveaxis(images, -1, 0))
    return similarity(right), similarity(down)
