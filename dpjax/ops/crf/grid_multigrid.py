"""Conjugate gradients on the pixel grid, preconditioned by multigrid.

If 2 x 2 pixels share one value, what is left of the energy is the same graph on half
the rows and columns: its weights are sums of those of the pixels.  So the long waves,
which conjugate gradients alone would pass on by one pixel in each iteration, are left
to coarser and coarser grids (Galerkin's multigrid with constant interpolation; Braess,
"Towards algebraic multigrid for elliptic problems of second order", Computing 55, 1995,
on its use as a preconditioner), and what is rough to a few Chebyshev steps on each
(Adams et al., "Parallel multigrid smoothing", J. Comput. Phys. 188, 2003).

Unlike the constant-coefficient Laplacian that a cosine transform inverts, the coarse
grids keep the edges of the image.  Iterations grow with the contrast of the weights,
hardly with the size of the image.
"""

from collections.abc import Callable

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from dpjax.ops.crf import grid_graph

_SMALLEST = 128  # pixels of the coarsest grid at most, whose matrix is inverted
_SWEEPS = 3  # Chebyshev steps before and after each coarser grid
# They damp eigenvalues of D^-1 A in [2/20, 2]; below, the coarser grid is at work.
_HIGHEST = 2.0  # an upper bound of all of them
_SMOOTHED = 20.0


def solve(
    grid: grid_graph.Grid, b: jax.Array, tolerance: float, max_iterations: int
) -> tuple[jax.Array, jax.Array]:
    """Returns A^-1 b of one image, and how many iterations it took.

    Not differentiable; see `grid_precision`.

    Args:
        grid: A, positive definite.
        b: [h, w].
        tolerance: iterations end when |b - A x| <= tolerance |b|.
        max_iterations: or after this many.

    Returns:
        [h, w], NaN if b is not finite, and an int32.
    """
    height, width = b.shape
    grids = _hierarchy(grid)
    fine = grids[0]
    extra = [(0, now - was) for now, was in zip(fine.unary.shape, b.shape, strict=True)]
    b = jnp.pad(b, extra)
    precondition = _preconditioner(grids)
    enough = tolerance**2 * _dot(b, b)

    def goes_on(state):
        _, residual, _, _, count = state
        return (_dot(residual, residual) > enough) & (count < max_iterations)

    def iterate(state):
        x, residual, direction, gain, count = state
        image = grid_graph.multiply(fine, direction)
        step = gain / _dot(direction, image)
        x, residual = x + step * direction, residual - step * image
        z = precondition(residual)
        new = _dot(residual, z)
        return x, residual, z + new / gain * direction, new, count + 1

    z = precondition(b)
    # A count that varies over the devices of a shard_map as b does.
    none = jnp.where(False, b[0, 0], 0).astype(jnp.int32)
    start = (jnp.zeros_like(b), b, z, _dot(b, z), none)
    x, *_, count = lax.while_loop(goes_on, iterate, start)
    # Comparisons with NaN end the loop, and leave x at 0.
    x = jnp.where(jnp.isfinite(enough), x, jnp.nan)
    return x[:height, :width], count


def _hierarchy(grid: grid_graph.Grid) -> list[grid_graph.Grid]:
    """The grid, with isolated pixels until it can be halved, and coarser ones."""
    height, width = grid.unary.shape
    levels = 0
    while -(-height >> levels) * -(-width >> levels) > _SMALLEST:
        levels += 1
    down, right = (-n % 2**levels for n in (height, width))
    padded = grid_graph.Grid(
        jnp.pad(grid.right, ((0, down), (0, right))),
        jnp.pad(grid.down, ((0, down), (0, right))),
        jnp.pad(grid.unary, ((0, down), (0, right)), constant_values=1),
    )
    grids = [padded]
    for _ in range(levels):
        grids.append(_coarser(grids[-1]))
    return grids


def _coarser(grid: grid_graph.Grid) -> grid_graph.Grid:
    right, down = grid.right[:, 1::2], grid.down[1::2]
    return grid_graph.Grid(
        right[::2] + right[1::2], down[:, ::2] + down[:, 1::2], _sums(grid.unary)
    )


def _sums(x):
    """Of 2 x 2 pixels."""
    return (x[::2, ::2] + x[::2, 1::2]) + (x[1::2, ::2] + x[1::2, 1::2])


def _repeated(x):
    """Each value in 2 x 2 pixels."""
    height, width = x.shape
    wide = jnp.broadcast_to(x[:, None, :, None], (height, 2, width, 2))
    return wide.reshape(2 * height, 2 * width)


def _preconditioner(
    grids: list[grid_graph.Grid],
) -> Callable[[jax.Array], jax.Array]:
    """b to an approximation of A^-1 b, linear, symmetric and positive definite."""
    scales = [
        1 / (grid.unary + grid_graph.degrees(grid.right, grid.down)) for grid in grids
    ]
    inverse = _inverse(grids[-1])
    steps = jnp.asarray(_chebyshev_steps(), inverse.dtype)

    def cycle(level, b):
        if level == len(grids) - 1:
            flat = jnp.matmul(inverse, b.reshape(-1), precision="highest")
            return flat.reshape(b.shape)
        grid, scale = grids[level], scales[level]

        def smooth(x):
            # In a loop also because XLA would merge steps written out for a processor,
            # and then computes every neighbour of a neighbour anew.
            def step(x, size):
                missing = b - grid_graph.multiply(grid, x)
                return x + size * scale * missing, None

            return lax.scan(step, x, steps)[0]

        x = smooth(jnp.zeros_like(b))
        missing = _sums(b - grid_graph.multiply(grid, x))
        return smooth(x + _repeated(cycle(level + 1, missing)))

    return lambda b: cycle(0, b)


def _chebyshev_steps() -> np.ndarray:
    """Richardson's steps whose error is Chebyshev's polynomial, [_SWEEPS]."""
    low, high = _HIGHEST / _SMOOTHED, _HIGHEST
    angles = np.pi * (2 * np.arange(_SWEEPS) + 1) / (2 * _SWEEPS)
    return 2 / (high + low + (high - low) * np.cos(angles))


def _inverse(grid):
    """The inverse of A, [h w, h w]."""
    shape, count = grid.unary.shape, grid.unary.size
    unit = jnp.eye(count, dtype=grid.unary.dtype)
    a = jax.vmap(lambda e: grid_graph.multiply(grid, e.reshape(shape)).reshape(-1))(
        unit
    )
    # A little more than A, lest rounding leaves a grid that hardly touches its
    # measurements without a factor.  A preconditioner may be inexact.
    a += count * jnp.finfo(a.dtype).eps * jnp.diag(jnp.diagonal(a))
    factor = jnp.linalg.cholesky(a, symmetrize_input=False)
    return jax.scipy.linalg.cho_solve((factor, True), unit)


def _dot(x, y):
    return (x * y).sum()
