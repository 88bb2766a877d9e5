"""The determinant of A on a pixel grid, exactly, by eliminating one line at a time.

With the pixels of line i among themselves in T_i, tridiagonal, and d_i the weights
between the lines i-1 and i,

    D_i = T_i - diag(d_i) D_{i-1}^-1 diag(d_i),       log|A| = sum_i log|D_i|.

The lines run along the shorter side, s, so the work is about 2.3 s^3 for each of the l
lines, and three times that with the slopes; memory grows with s^2 sqrt(l).
"""

import math

import jax
from jax import lax
from jax import numpy as jnp

from dpjax.ops.crf import grid_graph


def log_determinant(grid: grid_graph.Grid) -> jax.Array:
    """Returns log|A| of one image; differentiable.

    The slope by the unary weights is the diagonal of A^-1.

    Args:
        grid: A, positive definite.

    Returns:
        A number; NaN if A is not positive definite.
    """
    if grid.unary.shape[0] < grid.unary.shape[1]:
        grid = grid_graph.Grid(grid.down.T, grid.right.T, grid.unary.T)
    lines, width = grid.unary.shape
    diagonal = grid.unary + grid_graph.degrees(grid.right, grid.down)
    # What is remembered for the slopes is one matrix for each chunk of lines and for
    # each line of one chunk, not one for each line.
    size = math.isqrt(lines - 1) + 1
    missing = -lines % size

    def chunks(x, above=0, fill=0):
        x = jnp.pad(x, ((above, missing), (0, 0)), constant_values=fill)
        return x.reshape(len(x) // size, size, x.shape[1])

    def eliminate(inverse, line):
        diagonal, right, down = line
        rest = jnp.diag(diagonal) - jnp.diag(right, 1) - jnp.diag(right, -1)
        return _inverse_and_log_determinant(rest - down[:, None] * inverse * down)

    @jax.checkpoint
    def eliminate_chunk(inverse, chunk):
        inverse, found = lax.scan(eliminate, inverse, chunk)
        return inverse, found.sum()

    given = chunks(diagonal, fill=1), chunks(grid.right), chunks(grid.down, above=1)
    nothing = jnp.zeros_like(diagonal, shape=(width, width))
    return lax.scan(eliminate_chunk, nothing, given)[1].sum()


@jax.custom_jvp
def _inverse_and_log_determinant(a):
    """Of a symmetric positive definite matrix."""
    factor = jnp.linalg.cholesky(a, symmetrize_input=False)
    unit = jnp.eye(a.shape[0], dtype=a.dtype)
    inverse = jax.scipy.linalg.cho_solve((factor, True), unit)
    return inverse, 2 * jnp.log(jnp.diagonal(factor)).sum()


@_inverse_and_log_determinant.defjvp
def _inverse_and_log_determinant_jvp(primals, tangents):
    (along,) = tangents
    inverse, found = _inverse_and_log_determinant(*primals)
    half = jnp.matmul(inverse, along, precision="highest")
    change = -jnp.matmul(half, inverse, precision="highest")
    return (inverse, found), (change, (inverse * along).sum())
