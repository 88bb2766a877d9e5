"""Random estimates for Gaussian CRFs on pixels: samples, determinants, variances.

Noise is drawn for each term of the energy and the noisy energy is minimised: that is a
sample (Papandreou & Yuille, "Gaussian sampling by local perturbations", NIPS 2010).
Variances of samples are the diagonal of A^-1 and the slopes of log|A|, which itself
comes from stochastic Lanczos quadrature (`lanczos`).
"""

import dataclasses

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import images_in_turns
from dpjax.ops.crf import grid_graph, grid_precision, lanczos


def samples(
    precision: grid_precision.GridPrecision, key: jax.Array, count: int
) -> jax.Array:
    """Returns draws from N(0, A^-1); the CRF's are mu plus these over sqrt(2 tau).

    Args:
        precision: A.
        key: of the draws.
        count: how many.

    Returns:
        [count, ..., h, w].
    """
    grid = precision.grid
    right, down, unary = (
        jnp.sqrt(weights)
        * jax.random.normal(key, (count, *weights.shape), precision.dtype)
        for key, weights in zip(jax.random.split(key, 3), grid, strict=True)
    )
    noise = unary + grid_graph.divergence(right, down)
    return images_in_turns.for_each(precision.solve, 1)(noise)


def estimated(
    precision: grid_precision.GridPrecision,
    key: jax.Array,
    *,
    probes: int = 16,
    steps: int = 40,
) -> "EstimatedGridPrecision":
    """Returns the same A with estimates of its determinant and inverse.

    Args:
        precision: A.
        key: of the probes.  Use another one in each training step.
        probes: how many; errors fall with their square root.
        steps: products with A for each probe of the determinant.

    Returns:
        The precision.

    Raises:
        UserError: fewer than 1 probe or step.
    """
    if min(probes, steps) < 1:
        raise errors.UserError(
            f"Estimates want 1 or more probes and steps, got {probes} and {steps}."
        )
    return EstimatedGridPrecision(*precision.grid, precision.valid, key, probes, steps)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EstimatedGridPrecision(grid_precision.GridPrecision):
    """A precision whose determinant and inverse are estimates; made by `estimated`.

    Errors are proportional to 1 / sqrt(probes).  One probe misses about a thousandth of
    log |A| of an image.  Of the slope by a single weight it misses sqrt(2) times the
    whole, of a single variance somewhat less; sums over an image, as the slope by beta
    is, are far better.

    Attributes:
        key: of the probes.
        probes: how many.
        steps: products with A for each probe of the determinant; too few leave it a
            little high.
    """

    key: jax.Array
    probes: int = dataclasses.field(metadata={"static": True})
    steps: int = dataclasses.field(metadata={"static": True})

    def log_determinant(self) -> jax.Array:
        """Returns an estimate of log |A|, without bias but for the `steps`.

        The logarithms of A's own diagonal are exact; what is estimated is the rest,
        tr log(D^-1/2 A D^-1/2).  The slope is an estimate of its own, from `samples`:
        the variances of x_p (by u) and of x_p - x_q (by R).

        Returns:
            [...].
        """
        return _log_determinant(self)

    def inverse_diagonal(self) -> jax.Array:
        """Returns an estimate of the diagonal of A^-1, without bias and above 1 / A_pp.

        That is the variance of a pixel whose neighbours are known, and exact; what is
        estimated is the variance of their weighted mean (Papandreou & Yuille,
        "Efficient variational inference in large-scale Bayesian compressed sensing",
        2011), so the estimate is better than a mean of squares.

        Returns:
            [..., h, w].
        """
        x = samples(self, self.key, self.probes)
        diagonal = self.unary + grid_graph.degrees(self.right, self.down)
        around = x - grid_graph.multiply(self.grid, x) / diagonal
        return 1 / diagonal + (around**2).mean(0)


@jax.custom_jvp
def _log_determinant(precision):
    def one(grid, signs):
        diagonal = grid.unary + grid_graph.degrees(grid.right, grid.down)
        scale = lax.rsqrt(diagonal)

        def multiply(x):
            return scale * grid_graph.multiply(grid, scale * x)

        rest = lanczos.quadratic_log(multiply, signs, precision.steps)
        return jnp.log(diagonal).sum() + rest

    shape = precision.unary.shape
    # Samples are drawn from the key itself; the slope must not know these signs.
    key = jax.random.fold_in(precision.key, 1)
    signs = jax.random.rademacher(key, (precision.probes, *shape), precision.dtype)
    each = images_in_turns.for_each(one, len(shape) - 2)
    probe = images_in_turns.for_each(lambda signs: each(precision.grid, signs), 1)
    return probe(signs).mean(0)


@_log_determinant.defjvp
def _log_determinant_jvp(primals, tangents):
    (precision,), (along,) = primals, tangents
    x = samples(precision, precision.key, precision.probes)
    parts = (*grid_graph.differences(x), x)
    change = sum(
        ((part**2).mean(0) * tangent).sum((-2, -1))
        for part, tangent in zip(parts, along.grid, strict=True)
    )
    return _log_determinant(precision), change
