"""Precisions of Gaussian CRFs on the pixels of an image, which nothing factorises.

    A = diag(u) + sum_e R_e d_e d_e',    d_e = e_p - e_q for neighbours p and q,

as `dense_precision` has it for graphs of some hundred nodes, for the 4-neighbour grid.
It smooths any map that belongs to an image, along with the image, and fills holes:

    right, down = grid_weights.from_images(images, beta=100.0, gamma=10.0)
    precision = grid_precision.from_weights(right, down, unary=is_measured)
    smooth = precision.mean(depth)

Solutions come from conjugate gradients (`grid_multigrid`) in milliseconds.  Their
slopes are implicit: with w = A^-1 v for a slope v by the solution mu,

    d/db = w,    d/dR_e = -(w_p - w_q)(mu_p - mu_q),    d/du_p = -w_p mu_p.

The determinant and the diagonal of the inverse are exact (`grid_elimination`), which
takes a processor seconds for 480 x 640 pixels; `grid_estimates` scales.

u is 1 in the CRF of depth.  A is positive definite if R and u are 0 or more and each
connected part of the graph has a pixel with u > 0.
"""

import dataclasses
from typing import Self

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import images_in_turns
from dpjax.ops.crf import grid_elimination, grid_graph, grid_multigrid


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class GridPrecision:
    """Precision of the pixels of a batch of images; made by `from_weights`.

    A pytree, with the methods that `gaussian` asks for, whose functions take u as 1.

    Attributes:
        right: R between a pixel and the one to its right, [..., h, w-1].
        down: R between a pixel and the one below, [..., h-1, w].
        unary: u, [..., h, w].
        valid: False for pixels that are padding, which have no edges, bool [..., h, w].
    """

    right: jax.Array
    down: jax.Array
    unary: jax.Array
    valid: jax.Array

    node_axes = 2

    @property
    def dtype(self) -> jnp.dtype:
        """Type of all results: that of the weights."""
        return self.unary.dtype

    @property
    def grid(self) -> grid_graph.Grid:
        """The weights alone."""
        return grid_graph.Grid(self.right, self.down, self.unary)

    def times(self, x: jax.Array) -> jax.Array:
        """Returns A x.

        Args:
            x: [..., h, w].

        Returns:
            [..., h, w].

        Raises:
            UserError: another shape.
        """
        return grid_graph.multiply(self.grid, self._checked(x))

    def solve(
        self, x: jax.Array, *, tolerance: float = 1e-5, max_iterations: int = 1000
    ) -> jax.Array:
        """Returns A^-1 x, by conjugate gradients.

        The error is at most tolerance |x| over the smallest eigenvalue of A, which is 1
        where u is.  Weights that differ by orders of magnitude from pixel to pixel need
        hundreds of iterations, and thousands if most of u is 0 as well.

        Args:
            x: [..., h, w].
            tolerance: for each image, of |x - A y| / |x|.
            max_iterations: which end it whatever the tolerance; see
                `solve_and_count`.

        Returns:
            [..., h, w].

        Raises:
            UserError: another shape, or limits that are not positive.
        """
        options = {"tolerance": tolerance, "max_iterations": max_iterations}
        return self.solve_and_count(x, **options)[0]

    def solve_and_count(
        self, x: jax.Array, *, tolerance: float = 1e-5, max_iterations: int = 1000
    ) -> tuple[jax.Array, jax.Array]:
        """Returns A^-1 x and how many iterations each image took.

        Args:
            x: as for `solve`.
            tolerance: as for `solve`.
            max_iterations: as for `solve`.

        Returns:
            [..., h, w], and int32 [...], `max_iterations` where that was not enough.

        Raises:
            UserError: as `solve`.
        """
        if not (tolerance > 0 and max_iterations > 0):
            raise errors.UserError(
                "solve wants a positive tolerance and number of iterations, got "
                f"{tolerance} and {max_iterations}. Leave them out."
            )

        def solve_one(grid, x):
            return grid_multigrid.solve(grid, x, tolerance, max_iterations)

        grid, x = _varying_alike((self.grid, self._checked(x)))

        def multiply(x):
            return grid_graph.multiply(grid, x)

        def solve(_, x):
            return images_in_turns.for_each(solve_one, x.ndim - 2)(grid, x)

        return lax.custom_linear_solve(multiply, x, solve, symmetric=True, has_aux=True)

    def mean(self, z: jax.Array, *, tolerance: float = 1e-5) -> jax.Array:
        """Returns A^-1 (u z), the y of the least u (y - z)^2 + R (y_p - y_q)^2.

        Args:
            z: measurements, anything, also NaN, where u is 0 or padding; [..., h, w].
            tolerance: as for `solve`.

        Returns:
            [..., h, w], 0 for padding; between the extremes of z.

        Raises:
            UserError: as `solve`.
        """
        is_known = self.valid & (self.unary > 0)
        pull = jnp.where(is_known, self._checked(z), 0) * self.unary
        return self.solve(pull, tolerance=tolerance)

    def quadratic(self, x: jax.Array) -> jax.Array:
        """Returns x'A x, summed over pixels and edges, so never below 0.

        Args:
            x: [..., h, w].

        Returns:
            [...].

        Raises:
            UserError: another shape.
        """
        x = self._checked(x)
        right, down = grid_graph.differences(x)
        parts = (self.unary * x * x, self.right * right * right, self.down * down**2)
        return sum(part.sum((-2, -1)) for part in parts)

    def log_determinant(self) -> jax.Array:
        """Returns log |A|, exactly; the work grows with the number of pixels squared.

        Returns:
            [...], NaN where A is not positive definite.
        """
        one = grid_elimination.log_determinant
        return images_in_turns.for_each(one, self.unary.ndim - 2)(self.grid)

    def inverse_diagonal(self) -> jax.Array:
        """Returns the diagonal of A^-1, exactly; it is d log|A| / du.

        Returns:
            [..., h, w]; between 0 and 1 where u is 1.
        """

        def total(unary):
            return dataclasses.replace(self, unary=unary).log_determinant().sum()

        return jax.grad(total)(self.unary)

    def restricted(self, nodes: jax.Array) -> Self:
        """Returns the precision of some pixels, the others being known.

        Args:
            nodes: which stay, bool [..., h, w].

        Returns:
            A with the rows and columns of the other pixels replaced by the unit
            matrix's.

        Raises:
            UserError: another shape.
        """
        self._check(nodes)
        right, down = _inner_edges(nodes, self.right, self.down)
        # Edges to known pixels are edges to the ground.
        cut = grid_graph.degrees(self.right - right, self.down - down)
        unary = jnp.where(nodes, self.unary + cut, 1)
        return dataclasses.replace(self, right=right, down=down, unary=unary)

    def _checked(self, x):
        self._check(x)
        return jnp.asarray(x, self.dtype)

    def _check(self, x):
        if jnp.shape(x) != self.unary.shape:
            raise errors.UserError(
                f"This CRF wants maps {list(self.unary.shape)}, as its pixels are, got "
                f"{list(jnp.shape(x))}. Resize or batch them alike."
            )


def from_weights(
    right: jax.Array,
    down: jax.Array,
    *,
    unary: jax.Array | None = None,
    valid: jax.Array | None = None,
) -> GridPrecision:
    """Returns A = diag(u) + sum_e R_e (e_p - e_q)(e_p - e_q)' of the pixel grid.

    Args:
        right: R between a pixel and the one to its right, [..., h, w-1].
        down: R between a pixel and the one below, [..., h-1, w].  Both must be 0 or
            more, which compiled code cannot check: below, A may not be positive
            definite, and what `solve` returns is meaningless.
        unary: u, how much a pixel's measurement counts, 0 where there is none,
            [..., h, w] or bool; None is 1.
        valid: False for pixels that are padding, bool [..., h, w]; None has no padding.
            Their edges are left out.

    Returns:
        The precision, of the type of the weights and in float32 at least.

    Raises:
        UserError: shapes that do not belong together.
    """
    right, down = jnp.asarray(right), jnp.asarray(down)
    shape = (*right.shape[:-1], down.shape[-1]) if min(right.ndim, down.ndim) else ()
    height, width = shape[-2:] if len(shape) > 1 else (0, 0)
    if (right.shape, down.shape) != (
        (*shape[:-1], width - 1),
        (*shape[:-2], height - 1, width),
    ) or min(height, width) < 1:
        raise errors.UserError(
            "A CRF on pixels wants weights [..., h, w-1] to the right and [..., h-1, "
            f"w] down, got {list(right.shape)} and {list(down.shape)}."
        )
    for name, x in (("unary", unary), ("valid", valid)):
        if x is not None and jnp.shape(x) != shape:
            raise errors.UserError(
                f"A CRF on pixels with these weights wants {name} {list(shape)}, got "
                f"{list(jnp.shape(x))}."
            )
    dtype = jnp.promote_types(jnp.result_type(right, down), jnp.float32)
    right, down = right.astype(dtype), down.astype(dtype)
    unary = jnp.ones(shape, dtype) if unary is None else jnp.asarray(unary, dtype)
    if valid is None:
        return GridPrecision(right, down, unary, jnp.ones(shape, bool))
    valid = jnp.asarray(valid, bool)
    right, down = _inner_edges(valid, right, down)
    return GridPrecision(right, down, jnp.where(valid, unary, 1), valid)


def _varying_alike(arrays):
    """The arrays, each of which varies over the devices that any of them varies over.

    Inside a shard_map a solution asks for that, and constants such as u = 1 do not.
    """
    leaves = [x for x in jax.tree.leaves(arrays) if x.size]
    nothing = sum(jnp.where(False, x.ravel()[0], 0) for x in leaves)
    return jax.tree.map(lambda x: x + nothing, arrays)


def _inner_edges(nodes, right, down):
    """Weights of the edges between two of some pixels, 0 for all other edges."""
    both_right = nodes[..., :-1] & nodes[..., 1:]
    both_down = nodes[..., :-1, :] & nodes[..., 1:, :]
    return jnp.where(both_right, right, 0), jnp.where(both_down, down, 0)
