"""Precisions of Gaussian CRFs on graphs of some hundred nodes, factorised.

A = I + sum_e R_e d_e d_e' with d_e = e_p - e_q is factorised, A = L L'.  With W = L^-1,

    A^-1 x = W'W x,                    d(A^-1 x) / dR_e = -A^-1 d_e (d_e'A^-1 x),
    log|A| = -2 sum_p log W_pp,        d log|A| / dR_e  = d_e'A^-1 d_e = |W d_e|^2.

The last is (A^-1)_pp + (A^-1)_qq - 2 (A^-1)_pq, the effective resistance of the edge if
A is read as a network in which each node is connected to the ground by a conductance of
1.  So the slope takes differences of columns of W, and no pass back through the
factorisation; in float32 they are accurate where entries of A^-1 would cancel.

Node n, one past the last, stands for the ground: an edge that ends there has d_e = e_p,
and an edge that ends there on both sides is none.  With it the diagonal of A^-1 is a
row of resistances too, and the precision of some nodes, given the others, is the same
graph with the others connected to the ground.
"""

import dataclasses
from collections.abc import Callable
from typing import Self

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import images_in_turns
from dpjax.ops.crf import cholesky, gaussian


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class DensePrecision(gaussian.Precision):
    """Precision of graphs with n nodes and e edges each; made by `from_edges`.

    Attributes:
        edges: both ends of each edge, n for the ground, int32 [..., e, 2].
        weights: R of each edge, float32 or float64 [..., e].
        valid: False for nodes that are padding, bool [..., n].
        inverse_factor: W, which carries no gradient, [..., n, n].
    """

    edges: jax.Array
    weights: jax.Array
    valid: jax.Array
    inverse_factor: jax.Array

    node_axes = 1

    @property
    def dtype(self) -> jnp.dtype:
        """Type of all results: that of the weights."""
        return self.weights.dtype

    def times(self, x: jax.Array) -> jax.Array:
        return self._for_each(_times)(self.edges, self.weights, self._checked(x))

    def solve(self, x: jax.Array) -> jax.Array:
        def solve(_, x):
            found = self._nearly_solve(x)
            # In float32 the diagonal, 1 + sum R, loses most of the 1 where R is large,
            # and with it the mean of the solution.  The edges tell what is missing.
            return found + self._nearly_solve(x - self.times(found))

        x = self._checked(x)
        return lax.custom_linear_solve(self.times, x, solve, symmetric=True)

    def quadratic(self, x: jax.Array) -> jax.Array:
        x = self._checked(x)
        steps = self._for_each(_differences)(x, self.edges)
        return (x * x).sum(-1) + (self.weights * steps * steps).sum(-1)

    def log_determinant(self) -> jax.Array:
        return _log_determinant(self)

    def inverse_diagonal(self) -> jax.Array:
        nodes = self.valid.shape[-1]
        to_ground = jnp.stack([jnp.arange(nodes), jnp.full(nodes, nodes)], -1)
        pairs = jnp.broadcast_to(to_ground, (*self.valid.shape, 2))
        return _resistances(self, pairs)

    def restricted(self, nodes: jax.Array) -> Self:
        def one(edges, nodes):
            count = nodes.shape[0]
            stay = nodes.at[edges].get(mode="fill", fill_value=False)
            return jnp.where(stay, edges, count)

        edges = self._for_each(one)(self.edges, self._checked(nodes, bool))
        return _factorised(edges, self.weights, self.valid)

    def _nearly_solve(self, x):
        for sums in ("...ij,...j->...i", "...ji,...j->...i"):
            x = jnp.einsum(sums, self.inverse_factor, x, precision="highest")
        return x

    def _checked(self, x, dtype=None):
        if jnp.shape(x) != self.valid.shape:
            raise errors.UserError(
                f"These graphs want an array {list(self.valid.shape)}, as their nodes "
                f"are, got {list(jnp.shape(x))}."
            )
        return jnp.asarray(x, dtype or self.dtype)

    def _for_each(self, function: Callable) -> Callable:
        return _vmap(function, self.valid.ndim - 1)


def from_edges(
    edges: jax.Array,
    weights: jax.Array,
    nodes: int,
    *,
    valid: jax.Array | None = None,
) -> DensePrecision:
    """Returns A = I + sum_e R_e (e_p - e_q)(e_p - e_q)', factorised.

    Args:
        edges: both ends of each edge, each edge once, int [..., e, 2].  Edges to
            padding, to themselves or out of range count as padding.
        weights: R of each edge, 0 for padding, [..., e].  They must be 0 or more, which
            compiled code cannot check: far below, A is not positive definite and
            solutions and determinants are NaN; little below, they are finite and
            belong to no CRF.  See `gaussian.check_weights`.
        nodes: n, with padding.
        valid: False for nodes that are padding, bool [..., n]; None has no padding.

    Returns:
        The precision, of the type of the weights and in float32 at least.

    Raises:
        UserError: shapes that do not belong together, or edges that are not integers.
    """
    edges, weights = jnp.asarray(edges), jnp.asarray(weights)
    batch = weights.shape[:-1]
    if edges.shape != (*weights.shape, 2) or weights.ndim < 1:
        raise errors.UserError(
            "A CRF on a graph wants edges [..., e, 2] and weights [..., e], got "
            f"{list(edges.shape)} and {list(weights.shape)}."
        )
    if not jnp.issubdtype(edges.dtype, jnp.integer):
        raise errors.UserError(
            f"Edges are pairs of whole numbers, got {edges.dtype}. Cast them to int32."
        )
    valid = jnp.asarray(jnp.ones((*batch, nodes), bool) if valid is None else valid)
    if valid.shape != (*batch, nodes) or valid.dtype != bool or nodes < 1:
        raise errors.UserError(
            f"A CRF on {nodes} nodes wants at least one and valid bool "
            f"{[*batch, nodes]}, got {valid.dtype} {list(valid.shape)}."
        )
    dtype = jnp.promote_types(weights.dtype, jnp.float32)
    real = _vmap(_is_real, len(batch))(edges, valid)
    edges = jnp.where(real[..., None], edges, nodes).astype(jnp.int32)
    return _factorised(edges, jnp.where(real, weights, 0).astype(dtype), valid)


def _is_real(edges, valid):
    """Which edges of one graph join two of its nodes."""
    p, q = (
        valid.at[edges[:, end]].get(
            mode="fill", fill_value=False, wrap_negative_indices=False
        )
        for end in (0, 1)
    )
    return p & q & (edges[:, 0] != edges[:, 1])


def _factorised(edges, weights, valid):
    nodes = valid.shape[-1]

    def one(edges, weights):
        low, high = edges.min(-1), edges.max(-1)
        a = jnp.eye(nodes, dtype=weights.dtype)
        for end in (low, high):
            a = a.at[end, end].add(weights, mode="drop")
        return cholesky.inverse_factor(a.at[high, low].add(-weights, mode="drop"))

    # Solutions and determinants know their slopes; there is none through the factor.
    held = lax.stop_gradient(weights)
    factorise = images_in_turns.for_each(one, valid.ndim - 1, under_vmap=True)
    return DensePrecision(edges, weights, valid, factorise(edges, held))


def _vmap(function, axes):
    for _ in range(axes):
        function = jax.vmap(function)
    return function


def _times(edges, weights, x):
    """A x of one graph."""
    flow = weights * _differences(x, edges)
    x = x.at[edges[:, 0]].add(flow, mode="drop")
    return x.at[edges[:, 1]].add(-flow, mode="drop")


def _differences(x, edges):
    """d_e'x of one graph, the ground being at 0; x is [n] or [n, k]."""
    p, q = (x.at[edges[:, end]].get(mode="fill", fill_value=0) for end in (0, 1))
    return p - q


@jax.custom_jvp
def _log_determinant(precision):
    diagonal = jnp.diagonal(precision.inverse_factor, axis1=-2, axis2=-1)
    return -2 * jnp.log(diagonal).sum(-1)


@_log_determinant.defjvp
def _log_determinant_jvp(primals, tangents):
    (precision,), (along,) = primals, tangents
    slope = _resistances(precision, precision.edges)
    return _log_determinant(precision), (slope * along.weights).sum(-1)


@jax.custom_jvp
def _resistances(precision, pairs):
    """(e_p - e_q)' A^-1 (e_p - e_q) of pairs of nodes, [..., k, 2] to [..., k]."""

    def one(w, pairs):
        # A column of zeros for the ground.  It also keeps XLA from reading the
        # transposed matrix in place, with strides, which takes several times as long.
        columns = jnp.pad(w.T, ((0, 1), (0, 0)))
        p, q = (
            columns.at[pairs[:, end]].get(mode="promise_in_bounds") for end in (0, 1)
        )
        return ((p - q) ** 2).sum(-1)

    axes = precision.valid.ndim - 1
    of_graphs = images_in_turns.for_each(one, axes, under_vmap=True)
    return of_graphs(precision.inverse_factor, pairs)


@_resistances.defjvp
def _resistances_jvp(primals, tangents):
    """-(d_e' A^-1 d_f)^2 for pair e and weight f: for second derivatives, all pairs."""
    (precision, pairs), (along, _) = primals, tangents
    p, q = (
        jax.nn.one_hot(
            pairs[..., end], precision.valid.shape[-1], dtype=precision.dtype
        )
        for end in (0, 1)
    )
    solved = jax.vmap(precision.solve, -2, -2)(p - q)  # [..., k, n]
    steps = precision._for_each(_differences)(solved.mT, precision.edges)
    change = -(along.weights[..., None] * steps**2).sum(-2)
    return _resistances(precision, pairs), change
