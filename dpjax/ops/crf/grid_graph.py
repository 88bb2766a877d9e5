"""The graph of an image's pixels, each joined to its four neighbours.

A = diag(u) + sum_e R_e d_e d_e' with d_e = e_p - e_q for neighbours p, q is a Laplacian
and what ties each pixel to its measurement.  Every function is for one image.
"""

from typing import NamedTuple

import jax
from jax import numpy as jnp


class Grid(NamedTuple):
    """Weights of A; a pytree.

    Attributes:
        right: R between a pixel and the one to its right, [h, w-1].
        down: R between a pixel and the one below, [h-1, w].
        unary: u, [h, w].
    """

    right: jax.Array
    down: jax.Array
    unary: jax.Array


def differences(x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns d_e'x: each pixel less the one to its right, and the one below.

    Args:
        x: [..., h, w].

    Returns:
        [..., h, w-1] and [..., h-1, w].
    """
    return x[..., :-1] - x[..., 1:], x[..., :-1, :] - x[..., 1:, :]


def divergence(right: jax.Array, down: jax.Array) -> jax.Array:
    """Returns sum_e d_e f_e, the transpose of `differences`.

    Args:
        right: f of the edges to the right, [..., h, w-1].
        down: f of the edges down, [..., h-1, w].

    Returns:
        [..., h, w].
    """
    return _at_first(right, down) - _at_second(right, down)


def degrees(right: jax.Array, down: jax.Array) -> jax.Array:
    """Returns the sum of the weights of each pixel's edges.

    Args:
        right: [..., h, w-1].
        down: [..., h-1, w].

    Returns:
        [..., h, w].
    """
    return _at_first(right, down) + _at_second(right, down)


def multiply(grid: Grid, x: jax.Array) -> jax.Array:
    """Returns A x.

    Computed from differences, so constants pass without rounding however large R is.

    Args:
        grid: A; of one image, or of a batch as `x` is.
        x: [..., h, w].

    Returns:
        [..., h, w].
    """
    right, down = differences(x)
    return grid.unary * x + divergence(grid.right * right, grid.down * down)


def _at_first(right, down):
    """Sums at the pixels that edges leave: the left ones and the upper ones."""
    still = [(0, 0)] * (right.ndim - 2)
    return jnp.pad(right, [*still, (0, 0), (0, 1)]) + jnp.pad(
        down, [*still, (0, 1), (0, 0)]
    )


def _at_second(right, down):
    still = [(0, 0)] * (right.ndim - 2)
    return jnp.pad(right, [*still, (0, 0), (1, 0)]) + jnp.pad(
        down, [*still, (1, 0), (0, 0)]
    )
