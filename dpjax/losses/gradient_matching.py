"""Differences between neighbours of two maps, on several scales.

Li & Snavely (MegaDepth, CVPR 2018, eq. 3) of log depth, Ranftl et al. (MiDaS, TPAMI
2020, eq. 11) of aligned inverse depth.
"""

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors


def gradient_matching(
    output: jax.Array, target: jax.Array, valid: jax.Array, *, scales: int = 4
) -> tuple[jax.Array, jax.Array]:
    """Returns how the slopes of two maps differ in each image, and whether it counts.

    With R = output - target the sum over scales k of
    1 / M_k sum |R_k(x + 1, y) - R_k(x, y)| + |R_k(x, y + 1) - R_k(x, y)|, where R_k is
    every 2^k-th row and column of R, M_k its valid pixels, and differences count where
    both pixels are valid.  A common shift costs nothing.

    Args:
        output: prediction, in the unit of the target, [b, h, w].
        target: what it should be, of that shape; anything where nothing is valid.
        valid: whether a pixel counts, bool, of that shape.
        scales: number of them, k = 0, 1, ...

    Returns:
        float32 [b] and float32 [b], the second 1 for an image with valid pixels; 0 and
        0 otherwise.

    Raises:
        UserError: arrays of different shapes, which would be broadcast, other ranks
            than 3, or less than one scale.
    """
    if output.ndim != 3 or not output.shape == target.shape == valid.shape:
        raise errors.UserError(
            "gradient_matching wants output, target and valid of one shape [b, h, w], "
            f"got {list(output.shape)}, {list(target.shape)} and {list(valid.shape)}."
        )
    if scales < 1:
        raise errors.UserError(
            f"gradient_matching wants at least 1 scale, got {scales}."
        )
    miss = output.astype(jnp.float32) - target.astype(jnp.float32)
    miss = jnp.where(valid, miss, 0.0)
    total = jnp.zeros(len(miss))
    for k in range(scales):
        rest, known = (x[:, :: 2**k, :: 2**k] for x in (miss, valid))
        slopes = jnp.zeros(len(miss))
        for axis in (1, 2):
            step = jnp.diff(rest, axis=axis)
            ahead = lax.slice_in_dim(known, 1, None, axis=axis)
            both = ahead & lax.slice_in_dim(known, 0, -1, axis=axis)
            # The slope of |x| at 0 is 0 here; that of jnp.abs is 1.
            size = step * lax.stop_gradient(jnp.sign(step))
            slopes += jnp.where(both, size, 0.0).sum((1, 2))
        total += slopes / jnp.maximum(known.sum((1, 2)), 1)
    return total, valid.any((1, 2)).astype(jnp.float32)
