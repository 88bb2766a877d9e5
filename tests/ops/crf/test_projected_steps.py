"""Learning the strengths of a CRF by projected steps: identity 14, and where they end.

The negative log-likelihood is convex in the precision, so in beta, and SciPy's bounded
minimum is the only one.
"""

import jax
import numpy as np
import optax
import pytest
from jax import numpy as jnp
from scipy import optimize

from dpjax import config
from dpjax.ops.crf import dense_precision, gaussian
from dpjax.training import optimiser
from tests.ops.crf import textbook

NODES = 60


@pytest.fixture(scope="module")
def graph():
    """Edges, three similarities of each of which one misleads, and labels."""
    rng = np.random.default_rng(3)
    places, edges = textbook.planar_graph(NODES)
    y = np.sin(places[:, 0]) + np.floor(places[:, 1] / 3)
    z = y + rng.normal(0, 0.5, NODES)
    apart = np.abs(y[edges[:, 0]] - y[edges[:, 1]])
    alike = np.stack([np.exp(-3 * apart), rng.random(len(edges)), np.exp(apart)], -1)
    return edges, alike.astype(np.float32), y, z


def _projected(beta, slope, rate):
    """Where one update of the optimiser goes."""
    optim = config.Optim("sgd", lr=rate, momentum=0.0, nonnegative=("crf/beta",))
    tx = optimiser.make_optimiser(optim, 1)
    params = {"crf": {"beta": beta}}
    updates, _ = tx.update({"crf": {"beta": slope}}, tx.init(params), params)
    return optax.apply_updates(params, updates)["crf"]["beta"]


def test_projected_line_searches_go_down_to_the_minimum_with_strengths_of_0(graph):
    edges, alike, y, z = graph

    @jax.jit
    def loss(beta):
        weights = gaussian.edge_weights(alike, beta)
        precision = dense_precision.from_edges(edges, weights, NODES)
        return gaussian.negative_log_likelihood(
            precision, jnp.asarray(y, jnp.float32), jnp.asarray(z, jnp.float32)
        )

    def exact(beta):
        a = textbook.precision_matrix(edges, alike.astype(np.float64) @ beta, NODES)
        slope = textbook.slopes(edges, a, y, z)["weights"] @ alike
        return textbook.negative_log_likelihood(a, y, z), slope

    slope_of = jax.jit(jax.grad(loss))
    beta, start = jnp.ones(3), np.ones(3)
    losses = [float(loss(beta))]
    for _ in range(200):
        slope = slope_of(beta)
        for rate in 0.5 ** np.arange(25):
            other = _projected(beta, slope, rate)
            assert (other >= 0).all()
            # Armijo's condition for a projected step.
            wanted = 1e-4 * float(slope @ (beta - other))
            if float(loss(other)) <= losses[-1] - wanted:
                beta = other
                losses.append(float(loss(beta)))
                break
    assert (np.diff(losses) <= 0).all()
    assert losses[0] - losses[-1] > 1
    found = optimize.minimize(
        exact, start, jac=True, method="L-BFGS-B", bounds=[(0, None)] * 3
    )
    assert (found.x == 0).any()
    assert exact(np.asarray(beta, np.float64))[0] == pytest.approx(found.fun, abs=1e-3)
    np.testing.assert_allclose(beta, found.x, atol=0.02)


@pytest.mark.parametrize("seed", range(4))
def test_no_slope_leads_below_0(seed):
    rng = np.random.default_rng(seed)
    slope = jnp.asarray(rng.normal(0, 10.0 ** rng.integers(-2, 6), 3), jnp.float32)
    assert (_projected(jnp.asarray(rng.random(3), jnp.float32), slope, 1.0) >= 0).all()
