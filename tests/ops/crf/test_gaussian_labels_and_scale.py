"""Missing labels of Gaussian CRFs, the scale of their precision, deviations."""

import functools

import jax
import numpy as np
import pytest
import scipy.stats
from jax.test_util import check_grads

from dpjax.ops.crf import gaussian
from tests.ops.crf.problems import (
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


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_missing_labels_are_integrated_over(share):
    edges, similarities, beta, y, z = problem(20, seed=3)
    labelled = np.random.default_rng(4).random(20) < share
    a = matrix(edges, similarities, beta, 20)
    covariance = np.linalg.inv(a) / 2
    mean = 2 * covariance @ z
    library = scipy.stats.multivariate_normal(
        mean[labelled], covariance[np.ix_(labelled, labelled)]
    )
    y = np.where(labelled, y, np.nan)
    marginal = functools.partial(nll, labelled=labelled)
    found = run(marginal, edges, similarities, beta, y, z)
    close(found, -library.logpdf(y[labelled]))


def test_with_all_labels_the_marginal_is_the_likelihood_and_without_any_it_is_0():
    given = problem()
    every, none = np.ones(NODES, bool), np.zeros(NODES, bool)

    def marginal(labelled, *given):
        return nll(*given, labelled=labelled)

    differentiate = jax.value_and_grad(marginal, (2, 3, 4, 5))
    close(run(differentiate, every, *given)[0], run(nll, *given))
    value, slopes = run(differentiate, none, *given)
    close(value, 0)
    for slope in slopes:
        close(slope, 0)


def test_unlabelled_nodes_speak_through_the_mean_of_the_others_only():
    edges, similarities, beta, y, z = problem()
    a = matrix(edges, similarities, beta)
    # Another z with the same mean at the labelled nodes.
    change = a @ np.where(SOME, 0.0, 1.0)
    marginal = functools.partial(nll, labelled=SOME)
    found = run(marginal, edges, similarities, beta, y, z)
    close(run(marginal, edges, similarities, beta, y, z + change), found)
    wide = [np.concatenate([x, [0.4]]) for x in (y, z)]
    marginal = functools.partial(nll, labelled=np.concatenate([SOME, [False]]))
    close(run(marginal, edges, similarities, beta, *wide), found)


@pytest.mark.parametrize("labelled", [None, SOME])
def test_the_best_scale_is_flat_and_what_profiling_takes(labelled):
    edges, similarities, beta, y, z = problem()
    given = edges, similarities, beta
    known = slice(None) if labelled is None else labelled
    covariance = np.linalg.inv(matrix(*given))
    r = (y - covariance @ z)[known]
    misfit = r @ np.linalg.solve(covariance[known][:, known], r)

    def value(tau):
        return nll(*given, y, z, labelled=labelled, tau=tau)

    def best():
        return gaussian.best_tau(precision(*given), y, z, labelled=labelled)

    tau = run(best)
    close(tau, len(r) / (2 * misfit))
    lowest, slope = run(jax.value_and_grad(value), tau)
    close(slope, 0)
    close(run(lambda: value("profiled")), lowest)
    higher = run(jax.vmap(value), np.array([0.9 * tau, 1.1 * tau, 1]))
    assert lowest < higher[:2].min()
    close(higher[2], run(lambda: value(None)))


def test_a_scale_is_that_of_the_gaussian():
    edges, similarities, beta, y, z = problem()
    tau = 7.5
    covariance = np.linalg.inv(matrix(edges, similarities, beta)) / (2 * tau)
    library = scipy.stats.multivariate_normal(2 * tau * covariance @ z, covariance)

    def value(similarities, beta, y, z, tau):
        return nll(edges, similarities, beta, y, z, tau=tau)

    given = similarities, beta, y, z, tau
    close(run(value, *given), -library.logpdf(y))
    check_grads(jax.jit(value), given, order=1, modes=["rev"], rtol=1e-6)

    def deviations(tau):
        return gaussian.deviations(precision(edges, similarities, beta), tau)

    close(run(deviations, tau), np.sqrt(covariance.diagonal()))


def test_the_best_scale_moves_with_everything():
    edges, *given = problem()
    profiled = functools.partial(nll, edges, labelled=SOME, tau="profiled")
    check_grads(jax.jit(profiled), tuple(given), order=1, modes=["rev"], rtol=1e-6)


def test_deviations_can_be_learned_from():
    edges, similarities, beta, _, _ = problem()

    @jax.jit
    def spread(beta, tau):
        return gaussian.deviations(precision(edges, similarities, beta), tau)

    check_grads(spread, (beta, 3.0), order=2, modes=["rev"], rtol=1e-5)
