"""Gaussian CRFs by what defines them, in float64, against NumPy and SciPy."""

import functools

import jax
import numpy as np
import pytest
import scipy.stats
from jax import numpy as jnp
from jax.test_util import check_grads

from dpjax.ops.crf import dense_precision, gaussian
from tests.ops.crf import textbook
from tests.ops.crf.problems import (
    FEATURES,
    NODES,
    SOME,
    close,
    matrix,
    nll,
    precision,
    problem,
    run,
)

pytestmark = pytest.mark.usefixtures("double_precision")


def test_the_energy_is_the_sum_over_nodes_and_pairs():
    edges, similarities, beta, y, z = problem()
    weights = similarities @ beta
    want = sum((y[p] - z[p]) ** 2 for p in range(NODES))
    rough = sum(
        r * (y[p] - y[q]) ** 2 for (p, q), r in zip(edges, weights, strict=True)
    )

    def results(beta):
        made = precision(edges, similarities, beta)
        return gaussian.energy(made, y, z), made.quadratic(y)

    found, quadratic = run(results, beta)
    close(found, want + rough)
    a = matrix(edges, similarities, beta)
    close(quadratic, y @ a @ y)
    close(y @ (a - np.eye(NODES)) @ y, rough)


@pytest.mark.parametrize("weight", np.array([0.0, 0.5, 3.0]))
def test_the_normaliser_is_the_integral_of_two_nodes(weight):
    z = np.array([0.3, 0.9])
    step = 0.05  # sums over a grid are exact for functions as smooth as this
    one, two = np.meshgrid(*[np.arange(-8, 9, step)] * 2)
    density = np.exp(
        -((one - z[0]) ** 2) - (two - z[1]) ** 2 - weight * (one - two) ** 2
    )
    y = np.array([0.1, 0.4])

    def log_normaliser(weight):
        made = dense_precision.from_edges(np.array([[0, 1]]), weight, 2)
        value = gaussian.negative_log_likelihood(made, y, z)
        return value - gaussian.energy(made, y, z)

    close(run(log_normaliser, weight[None]), np.log(density.sum() * step**2))


@pytest.mark.parametrize("nodes", [3, 11, 40])
def test_the_likelihood_is_that_of_a_gaussian_and_the_expanded_form(nodes):
    edges, similarities, beta, y, z = problem(nodes, seed=nodes)
    a = matrix(edges, similarities, beta, nodes)
    covariance = np.linalg.inv(a) / 2
    library = scipy.stats.multivariate_normal(2 * covariance @ z, covariance)
    found = run(nll, edges, similarities, beta, y, z)
    close(found, -library.logpdf(y))
    close(found, textbook.negative_log_likelihood(a, y, z))


def test_the_most_probable_values_are_the_lowest_point_of_a_paraboloid():
    edges, similarities, beta, y, z = problem()
    a = matrix(edges, similarities, beta)
    mean = np.linalg.solve(a, z)

    def value(y):
        return nll(edges, similarities, beta, y, z)

    lowest, there = run(jax.value_and_grad(value), mean)
    close(there, 0)
    close(run(jax.hessian(value), y), 2 * a)
    rise = (y - mean) @ a @ (y - mean)
    assert rise > 0
    close(run(value, y) - lowest, rise)


def test_slopes_are_the_edge_form():
    edges, similarities, beta, y, z = problem()
    a = matrix(edges, similarities, beta)
    want = textbook.slopes(edges, a, y, z)
    found = run(jax.grad(nll, (1, 2, 3, 4)), edges, similarities, beta, y, z)
    close(found[0], want["weights"][:, None] * beta)
    close(found[1], similarities.T @ want["weights"])
    close(found[2], want["y"])
    close(found[3], want["z"])


def test_slopes_by_beta_are_the_matrix_form():
    edges, similarities, beta, y, z = problem(seed=1)
    a = matrix(edges, similarities, beta)
    inverse = np.linalg.inv(a)
    mean = inverse @ z
    found = run(jax.grad(nll, 2), edges, similarities, beta, y, z)
    for k in range(FEATURES):
        j = matrix(edges, similarities, np.eye(FEATURES)[k]) - np.eye(NODES)
        close(found[k], y @ j @ y - mean @ j @ mean - np.trace(inverse @ j) / 2)


def plain_nll(edges, similarities, beta, y, z, labelled=None):
    """What automatic differentiation goes through: the marginal, written out."""
    r = similarities @ beta
    p, q = edges.T
    a = jnp.eye(len(z)).at[p, p].add(r).at[q, q].add(r)
    a = a.at[p, q].add(-r).at[q, p].add(-r)
    covariance = jnp.linalg.inv(a) / 2
    mean = 2 * covariance @ z
    known = np.arange(len(z)) if labelled is None else np.flatnonzero(labelled)
    covariance = covariance[np.ix_(known, known)]
    off = y[known] - mean[known]
    value = off @ jnp.linalg.solve(covariance, off)
    value += jnp.linalg.slogdet(covariance)[1] + len(known) * np.log(2 * np.pi)
    return value / 2


@pytest.mark.parametrize("labelled", [None, SOME])
def test_first_and_second_derivatives_are_those_of_the_written_out_form(labelled):
    edges, *given = problem()

    def ours(*given):
        return nll(edges, *given, labelled=labelled)

    def plain(*given):
        return plain_nll(edges, *given, labelled=labelled)

    every = tuple(range(4))
    found, want = (run(jax.value_and_grad(f, every), *given) for f in (ours, plain))
    jax.tree.map(close, found, want)

    # One column of the second derivatives, by all that there is.
    similarities, beta, y, z = given
    along = (np.ones_like(similarities), 2 + beta, y[::-1].copy(), z**2)

    def second(function):
        return lambda *given: jax.jvp(jax.grad(function, every), given, along)[1]

    found, want = (run(second(f), *given) for f in (ours, plain))
    jax.tree.map(close, found, want)


def test_finite_differences_confirm_the_slopes():
    edges, similarities, beta, y, z = problem()

    value = jax.jit(functools.partial(nll, edges))
    given = similarities, beta, y, z
    check_grads(value, given, order=1, modes=["rev"], rtol=1e-6)

    def of_z(z):
        return value(similarities, beta, y, z)

    check_grads(of_z, (z,), order=2, modes=["rev"], rtol=1e-6)


def test_sums_and_bounds_of_z_are_kept():
    edges, similarities, beta, _, z = problem()
    unit = np.eye(NODES)

    def results(beta):
        made = precision(edges, similarities, beta)
        matrices = jax.vmap(made.times)(unit), jax.vmap(made.solve)(unit)
        means = [gaussian.map_estimate(made, x) for x in (z, np.full(NODES, 0.7))]
        return *matrices, made.inverse_diagonal(), made.log_determinant(), *means

    a, inverse, diagonal, log_determinant, mean, constant = run(results, beta)
    close(a, matrix(edges, similarities, beta))
    close(inverse, np.linalg.inv(a))
    close(a.sum(1), 1)
    close(inverse.sum(1), 1)
    assert inverse.min() >= 0
    eigenvalues = np.linalg.eigvalsh(a)
    close(eigenvalues[0], 1)
    close(diagonal, inverse.diagonal())
    close(log_determinant, np.log(eigenvalues).sum())
    close(mean.sum(), z.sum())
    assert z.min() <= mean.min() < mean.max() <= z.max()
    close(constant, 0.7)


def test_samples_spread_as_the_slope_of_the_determinant_says():
    edges, similarities, beta, _, z = problem()
    a = matrix(edges, similarities, beta)
    inverse = np.linalg.inv(a)
    mean = inverse @ z
    rng = np.random.default_rng(0)
    samples = rng.multivariate_normal(mean, inverse / 2, 200_000)
    j = matrix(edges, similarities, np.eye(FEATURES)[0]) - np.eye(NODES)
    spread = np.einsum("si,ij,sj->s", samples, j, samples).mean() - mean @ j @ mean

    def half_log_determinant(beta):
        made = precision(edges, similarities, beta)
        return made.log_determinant() / 2, gaussian.deviations(made)

    slope, deviations = run(jax.grad(half_log_determinant, has_aux=True), beta)
    close(slope[0], spread, 1e-2)
    close(deviations, samples.std(0), 1e-2)


def test_without_pull_it_is_least_squares_and_with_much_the_mean():
    edges, similarities, beta, y, z = problem()
    want = ((y - z) ** 2).sum() + NODES / 2 * np.log(np.pi)
    close(run(nll, edges, similarities, 0 * beta, y, z), want)

    def mean(beta):
        return gaussian.map_estimate(precision(edges, similarities, beta), z)

    close(run(mean, 1e9 * beta), z.mean(), 1e-7)


def test_two_nodes_pull_best_as_the_closed_form_says():
    apart = np.array([0.1, 0.5, 0.9])
    y = np.stack([np.full(3, 0.2), 0.2 + apart], 1)
    z = np.repeat(y.mean(1, keepdims=True), 2, 1)
    edges = np.broadcast_to([0, 1], (3, 1, 2))

    def value(weight):
        made = dense_precision.from_edges(edges, weight[:, None], 2)
        return gaussian.negative_log_likelihood(made, y, z)

    weight = np.array([0.0, 0.8, 3.0])
    want = apart**2 / 2 + weight * apart**2 - np.log(1 + 2 * weight) / 2
    close(run(value, weight), want + np.log(np.pi))
    best = (1 / apart**2 - 1) / 2
    close(run(jax.grad(lambda weight: value(weight).sum()), best), 0)


def test_slopes_of_the_most_probable_values_are_implicit():
    edges, similarities, beta, _, z = problem()
    a = matrix(edges, similarities, beta)
    v = np.random.default_rng(0).normal(size=NODES)
    w, mean = np.linalg.solve(a, np.stack([v, z], 1)).T
    p, q = edges.T

    def pulled(weights, z):
        made = dense_precision.from_edges(edges, weights, NODES)
        return v @ gaussian.map_estimate(made, z)

    by_weights, by_z = run(jax.grad(pulled, (0, 1)), similarities @ beta, z)
    close(by_z, w)
    close(by_weights, -(w[p] - w[q]) * (mean[p] - mean[q]))
