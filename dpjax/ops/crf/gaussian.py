"""The Gaussian CRF of DCNF in closed form (Liu, Shen, Lin & Reid, PAMI 2016).

A network regresses z for the n nodes of a graph; neighbours p, q pull each other with
the strength R_pq >= 0.  The energy of the values y and the density it stands for are

    E(y) = sum_p (y_p - z_p)^2 + sum_{p<q} R_pq (y_p - y_q)^2
         = (y - mu)' A (y - mu) + constant,       A = I + diag(R 1) - R,
    p(y) = N(mu, A^-1 / 2 tau),                   mu = A^-1 z,

so the most probable values, their deviations and the exact likelihood are linear
algebra with A, the precision.  tau is 1 in the paper: the unary term has a weight of 1
whatever the noise of the labels is.  For labels in [0, 1] that is far too small and the
likelihood answers with an R far too large; a scale that is learned or found in closed
form mends it.

What is known about the graph is in the precision: `dense_precision.DensePrecision` for
superpixels, and any other class with the methods of `Precision`.
"""

from collections.abc import Sequence
from typing import Literal, Protocol, Self

import jax
import numpy as np
from jax import numpy as jnp

from dpjax import errors

Tau = float | jax.Array | None


class Precision(Protocol):
    """A = I + sum_e R_e (e_p - e_q)(e_p - e_q)', the graphs of a batch.

    A pytree.  Values of nodes have the shape of `valid` and the type `dtype`; batch
    axes come first.  All results are differentiable in x and in the weights.

    Attributes:
        valid: False for nodes that are padding, bool [..., n]; they have no edges.
        node_axes: how many of its axes are nodes: 1, or 2 for a grid.
    """

    valid: jax.Array
    node_axes: int

    @property
    def dtype(self) -> jnp.dtype:
        """Type of all results, float32 at least."""

    def times(self, x: jax.Array) -> jax.Array:
        """Returns A x.

        Args:
            x: [..., n].

        Returns:
            [..., n].

        Raises:
            UserError: another shape.
        """

    def solve(self, x: jax.Array) -> jax.Array:
        """Returns A^-1 x.

        Args:
            x: [..., n].

        Returns:
            [..., n].

        Raises:
            UserError: another shape.
        """

    def quadratic(self, x: jax.Array) -> jax.Array:
        """Returns x'A x, summed over nodes and edges, so never below 0.

        Args:
            x: [..., n].

        Returns:
            [...].

        Raises:
            UserError: another shape.
        """

    def log_determinant(self) -> jax.Array:
        """Returns log |A|, 0 or more.

        Returns:
            [...].
        """

    def inverse_diagonal(self) -> jax.Array:
        """Returns the diagonal of A^-1, between 0 and 1.

        Returns:
            [..., n].
        """

    def restricted(self, nodes: jax.Array) -> Self:
        """Returns the precision of some nodes, the others being known.

        Args:
            nodes: which stay, bool [..., n].

        Returns:
            A with the rows and columns of the other nodes replaced by the unit
            matrix's: m A m + diag(1 - m).

        Raises:
            UserError: another shape.
        """


def edge_weights(similarities: jax.Array, beta: jax.Array) -> jax.Array:
    """Returns R_e = sum_k beta_k S^k_e.

    Args:
        similarities: S, of both ends of each edge in each feature, [..., k].
        beta: strength of each feature, 0 or more, [k].

    Returns:
        [...] in float32 at least.

    Raises:
        UserError: other shapes.
    """
    if jnp.ndim(beta) != 1 or jnp.shape(similarities)[-1:] != jnp.shape(beta):
        raise errors.UserError(
            "edge_weights wants similarities [..., k] and beta [k], got "
            f"{list(jnp.shape(similarities))} and {list(jnp.shape(beta))}."
        )
    dtype = jnp.promote_types(jnp.result_type(similarities, beta), jnp.float32)
    parts = jnp.asarray(similarities, dtype), jnp.asarray(beta, dtype)
    return jnp.matmul(*parts, precision="highest")


def check_weights(weights: jax.Array) -> None:
    """Refuses weights that make no precision, which compiled code cannot.

    Args:
        weights: R, concrete, of any shape.

    Raises:
        UserError: one of them is negative or not finite.
    """
    weights = np.asarray(weights)
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise errors.UserError(
            f"A Gaussian CRF wants weights of 0 or more, got {wrong.sum()} others of "
            f"{weights.size}, such as {weights[wrong][0]}. Keep beta at 0 or above, or "
            "pass it through softplus."
        )


def map_estimate(precision: Precision, z: jax.Array) -> jax.Array:
    """Returns mu = A^-1 z, the most probable values, which are also the mean.

    Args:
        precision: A.
        z: what the network says, [..., n].

    Returns:
        [..., n], 0 for padding; between the extremes of z, and of the same sum.

    Raises:
        UserError: another shape.
    """
    (z,) = _masked(precision, precision.valid, z=z)
    return precision.solve(z)


def energy(precision: Precision, y: jax.Array, z: jax.Array) -> jax.Array:
    """Returns E(y) = sum_p (y_p - z_p)^2 + sum_e R_e (y_p - y_q)^2.

    Args:
        precision: A.
        y: values, [..., n].
        z: what the network says, [..., n].

    Returns:
        [...].

    Raises:
        UserError: other shapes.
    """
    y, z = _masked(precision, precision.valid, y=y, z=z)
    rough = precision.quadratic(y) - _sum(precision, y * y)
    return _sum(precision, (y - z) ** 2) + rough


def negative_log_likelihood(
    precision: Precision,
    y: jax.Array,
    z: jax.Array,
    *,
    labelled: jax.Array | None = None,
    tau: Tau | Literal["profiled"] = None,
) -> jax.Array:
    """Returns -log p(y), exactly, also where only some nodes have labels.

        tau r'A r - 1/2 log|A| - n/2 log tau + n/2 log pi,      r = y - mu.

    Of nodes without labels (U) the density is integrated over.  With r_U filled in so
    that r'A r is smallest, the formula stays and log|A| becomes log|A| - log|A_UU|.

    Args:
        precision: A.
        y: labels, [..., n]; anything, also NaN, where there are none.
        z: what the network says, [..., n].
        labelled: which nodes have labels, bool [..., n]; None is all of them.
        tau: scale of the energy.  None is 1, the paper; a positive number, or an array
            that broadcasts to the result, may be learned; "profiled" takes the best one
            for each graph, n / 2 r'A r, which needs more than one label and leaves the
            likelihood without a bound as r approaches 0.

    Returns:
        [...], not divided by n; 0 where nothing has a label.

    Raises:
        UserError: other shapes, or a word for tau that is not "profiled".
    """
    if isinstance(tau, str) and tau != "profiled":
        raise errors.unknown_name("tau", tau, ["profiled"])
    misfit, count, rest = _residual(precision, y, z, labelled)
    log_determinant = precision.log_determinant()
    if rest is not None:
        log_determinant -= rest.log_determinant()
    if isinstance(tau, str):
        misfit = _above_zero(misfit)
        value = count / 2 * (1 + jnp.log(2 * misfit / jnp.maximum(count, 1)))
    else:
        tau = _scale(precision, tau)
        value = tau * misfit - count / 2 * jnp.log(tau)
    return value - log_determinant / 2 + count / 2 * jnp.log(jnp.pi)


def best_tau(
    precision: Precision,
    y: jax.Array,
    z: jax.Array,
    *,
    labelled: jax.Array | None = None,
) -> jax.Array:
    """Returns tau* = n / 2 r'A r, the scale of the greatest likelihood, of each graph.

    For one scale of many graphs take their harmonic mean, weighted by n.

    Args:
        precision: A.
        y: labels, [..., n].
        z: what the network says, [..., n].
        labelled: as for `negative_log_likelihood`.

    Returns:
        [...]; 0 where nothing has a label.

    Raises:
        UserError: other shapes.
    """
    misfit, count, _ = _residual(precision, y, z, labelled)
    return count / (2 * _above_zero(misfit))


def deviations(precision: Precision, tau: Tau = None) -> jax.Array:
    """Returns the standard deviation of each node's value, sqrt((A^-1)_pp / 2 tau).

    Args:
        precision: A.
        tau: scale of the energy, a number or an array [...]; None is 1.

    Returns:
        [..., n], 0 for padding.

    Raises:
        UserError: a tau of another shape.
    """
    tau = _scale(precision, tau)
    tau = tau.reshape(tau.shape + (1,) * precision.node_axes)
    found = jnp.sqrt(precision.inverse_diagonal() / (2 * tau))
    return jnp.where(precision.valid, found, 0)


def _residual(precision, y, z, labelled):
    """r'A r, the count of labels, and the precision of nodes without (None: none)."""
    if labelled is None:
        known, rest = precision.valid, None
    else:
        _check(precision, labelled=labelled)
        known = precision.valid & labelled
        rest = precision.restricted(precision.valid & ~known)
    (y,) = _masked(precision, known, y=y)
    (z,) = _masked(precision, precision.valid, z=z)
    count = _sum(precision, known.astype(precision.dtype))
    return _misfit(precision, rest, known, y, z), count, rest


@jax.custom_jvp
def _misfit(precision, rest, known, y, z):
    """r'A r with r = y - mu, y being filled in where it is not known.

    As a function of A, y and z it is both a minimum over what is filled in and, as

        r'A r = y'A y - 2 z'y + max_m (2 z'm - m'A m),

    a maximum over the mean.  So its slope is the one with both held fixed: there is
    nothing to be solved on the way back, and an inexact solution for m changes the
    value by the square of its error only.
    """
    return _misfit_at(precision, known, y, z, *_optima(precision, rest, known, y, z))


@_misfit.defjvp
def _misfit_jvp(primals, tangents):
    optima = _optima(*primals)
    precision, _, known, y, z = primals
    along = (tangents[0], tangents[3], tangents[4])

    def at_optima(precision, y, z):
        return _misfit_at(precision, known, y, z, *optima)

    return jax.jvp(at_optima, (precision, y, z), along)


def _optima(precision, rest, known, y, z):
    """The mean, and the most probable values given those that are known."""
    mean = precision.solve(z)
    if rest is None:
        return mean, y
    pull = jnp.where(precision.valid & ~known, z - precision.times(y), 0)
    return mean, jnp.where(known, y, rest.solve(pull))


def _misfit_at(precision, known, y, z, mean, filled):
    r = jnp.where(known, y, filled) - mean
    # The second term is 0 up to the error of the mean, its slope is not.
    off = precision.times(mean) - z
    return precision.quadratic(r) + 2 * _sum(precision, r * off)


def _above_zero(x):
    return jnp.maximum(x, jnp.finfo(x.dtype).tiny)


def _sum(precision, x):
    return x.sum(tuple(range(-precision.node_axes, 0)))


def _scale(precision, tau):
    tau = jnp.asarray(1 if tau is None else tau, precision.dtype)
    batch = precision.valid.shape[: -precision.node_axes]
    try:
        fits = jnp.broadcast_shapes(tau.shape, batch) == batch
    except ValueError:
        fits = False
    if not fits:
        raise errors.UserError(
            f"tau wants a number or an array {list(batch)}, got {list(tau.shape)}."
        )
    return tau


def _masked(precision, where, **arrays) -> Sequence[jax.Array]:
    _check(precision, **arrays)
    return [
        jnp.where(where, jnp.asarray(x, precision.dtype), 0) for x in arrays.values()
    ]


def _check(precision, **arrays):
    for name, x in arrays.items():
        if jnp.shape(x) != precision.valid.shape:
            raise errors.UserError(
                f"This Gaussian CRF wants {name} {list(precision.valid.shape)}, as its "
                f"nodes are, got {list(jnp.shape(x))}."
            )
