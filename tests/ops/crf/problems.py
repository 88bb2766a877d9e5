"""Small Gaussian CRFs on graphs: what is given, solved quickly, compared closely."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from dpjax.ops.crf import dense_precision, gaussian
from tests.ops.crf import textbook

NODES = 11
FEATURES = 3
SOME = np.arange(NODES) % 3 != 1  # of the nodes
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


def problem(
    nodes: int = NODES, seed: int = 0, strength: float = 1.0
) -> tuple[np.ndarray, ...]:
    """Edges, similarities, beta, labels and what a network says, for one graph."""
    rng = np.random.default_rng(seed)
    _, edges = textbook.planar_graph(nodes, seed)
    similarities = rng.uniform(0.1, 1, (len(edges), FEATURES))
    beta = strength * rng.uniform(0.2, 1, FEATURES)
    y, z = rng.uniform(0, 1, (2, nodes))
    return edges, similarities, beta, y, z


def matrix(
    edges: np.ndarray, similarities: np.ndarray, beta: np.ndarray, nodes: int = NODES
) -> np.ndarray:
    """A by the textbook, [n, n]."""
    return textbook.precision_matrix(edges, similarities @ beta, nodes)


def precision(
    edges: ArrayLike, similarities: ArrayLike, beta: ArrayLike, nodes: int = NODES
) -> dense_precision.DensePrecision:
    """A by dpjax."""
    weights = gaussian.edge_weights(similarities, beta)
    return dense_precision.from_edges(edges, weights, nodes)


def nll(
    edges: ArrayLike,
    similarities: ArrayLike,
    beta: ArrayLike,
    y: ArrayLike,
    z: ArrayLike,
    **options: Any,
) -> jax.Array:
    """The negative log-likelihood by dpjax."""
    made = precision(edges, similarities, beta, len(y))
    return gaussian.negative_log_likelihood(made, y, z, **options)


def run(function: Callable, *given: Any) -> Any:
    """What the compiled function returns."""
    return jax.jit(function, compiler_options=QUICKLY)(*given)


def close(got: Any, want: Any, tolerance: float = 1e-10) -> None:
    """Asserts that both are equal but for rounding in float64."""
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)
