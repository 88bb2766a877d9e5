"""Graphs of Gaussian CRFs: padding, order, batches, edges' weights, wrong requests."""

import itertools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops.crf import dense_precision, gaussian
from tests.ops.crf.problems import (
    FEATURES,
    NODES,
    QUICKLY,
    close,
    nll,
    precision,
    problem,
    run,
)

pytestmark = pytest.mark.usefixtures("double_precision")


def test_isolated_nodes_add_half_log_pi_and_nothing_else():
    edges, similarities, beta, y, z = problem()
    more = 4
    wide = [np.concatenate([x, np.zeros(more)]) for x in (y, z)]
    differentiate = jax.value_and_grad(nll, (1, 2, 3, 4))
    value, slopes = run(differentiate, edges, similarities, beta, y, z)
    wider, their_slopes = run(differentiate, edges, similarities, beta, *wide)
    close(wider - value, more / 2 * np.log(np.pi))
    for got, want in zip(their_slopes, slopes, strict=True):
        close(got[: len(want)], want)


def test_padding_adds_nothing_whatever_is_in_it():
    edges, similarities, beta, y, z = problem()
    nodes = NODES + 3
    valid = np.arange(nodes) < NODES
    wide = [np.concatenate([x, np.full(3, np.nan)]) for x in (y, z)]
    # An edge to padding, one to itself and two out of range.
    more = [[2, NODES], [4, 4], [1, nodes], [-4, 3]]
    edges_too = np.concatenate([edges, more])
    similarities_too = np.concatenate([similarities, np.ones((4, FEATURES))])

    def everything(edges, valid):
        def results(similarities, beta, y, z):
            weights = gaussian.edge_weights(similarities, beta)
            made = dense_precision.from_edges(edges, weights, len(y), valid=valid)
            nodes = gaussian.map_estimate(made, z), gaussian.deviations(made)
            return gaussian.negative_log_likelihood(made, y, z), nodes

        return jax.value_and_grad(results, (0, 1, 2, 3), has_aux=True)

    (value, by_node), slopes = run(
        everything(edges_too, valid), similarities_too, beta, *wide
    )
    (want, theirs), their_slopes = run(
        everything(edges, None), similarities, beta, y, z
    )
    close(value, want)
    for got, wanted in zip(slopes, their_slopes, strict=True):
        close(got[: len(wanted)], wanted)
        if len(got) > len(wanted):
            np.testing.assert_array_equal(got[len(wanted) :], 0)
    for got, wanted in zip(by_node, theirs, strict=True):
        close(got[:NODES], wanted)
        np.testing.assert_array_equal(got[NODES:], 0)


def test_the_order_of_the_nodes_means_nothing():
    edges, similarities, beta, y, z = problem()
    order = np.random.default_rng(0).permutation(NODES)
    place = np.argsort(order)

    def results(edges, y, z):
        made = precision(edges, similarities, beta)
        value = gaussian.negative_log_likelihood(made, y, z)
        return value, gaussian.map_estimate(made, z)

    value, mean = run(results, edges, y, z)
    mixed_value, mixed_mean = run(results, place[edges], y[order], z[order])
    close(mixed_value, value)
    close(mixed_mean, mean[order])


def test_parts_that_are_not_connected_add_up():
    one, two = problem(7, seed=1), problem(9, seed=2)
    beta = one[2]
    edges, similarities, y, z = (
        np.concatenate(x)
        for x in (
            (one[0], two[0] + 7),
            (one[1], two[1]),
            (one[3], two[3]),
            (one[4], two[4]),
        )
    )
    apart = run(nll, *one[:2], beta, *one[3:]) + run(nll, *two[:2], beta, *two[3:])
    close(run(nll, edges, similarities, beta, y, z), apart)


def test_graphs_of_a_batch_are_independent():
    graphs = [problem(seed=seed) for seed in range(6)]
    count = max(len(g[0]) for g in graphs)
    batch = (2, 3)

    def padded(x):
        return np.concatenate([x, np.zeros((count - len(x), *x.shape[1:]), x.dtype)])

    edges, similarities = (
        np.stack([padded(g[i]) for g in graphs]).reshape(*batch, count, -1)
        for i in (0, 1)
    )
    y, z = (np.stack([g[i] for g in graphs]).reshape(*batch, NODES) for i in (3, 4))
    beta = graphs[0][2]
    tau = np.arange(1.0, 4.0)  # for each of the second axis
    labelled = np.random.default_rng(0).random(y.shape) < 0.6

    def results(edges, similarities, y, z, labelled, tau):
        made = precision(edges, similarities, beta)
        options = {"labelled": labelled, "tau": tau}
        return (
            gaussian.negative_log_likelihood(made, y, z, **options),
            gaussian.best_tau(made, y, z, labelled=labelled),
            gaussian.map_estimate(made, z),
            gaussian.deviations(made, tau),
            gaussian.energy(made, y, z),
        )

    together = run(results, edges, similarities, y, z, labelled, tau)
    compiled = jax.jit(results, compiler_options=QUICKLY)
    for at in itertools.product(*map(range, batch)):
        given = (x[at] for x in (edges, similarities, y, z, labelled))
        for got, want in zip(together, compiled(*given, tau[at[1]]), strict=True):
            close(got[at], want)


@pytest.mark.parametrize("tau", [None, 2.0, "profiled"])
@pytest.mark.parametrize(("valid", "labelled"), [(False, None), (True, False)])
def test_images_without_nodes_or_labels_cost_nothing(valid, tau, labelled):
    edges, similarities, beta, y, z = problem(4)
    options = {
        "tau": tau,
        "labelled": None if labelled is None else np.full(4, labelled),
    }

    def value(*given):
        similarities, beta, y, z = given
        made = dense_precision.from_edges(
            edges, gaussian.edge_weights(similarities, beta), 4, valid=np.full(4, valid)
        )
        return gaussian.negative_log_likelihood(made, y, z, **options)

    differentiate = jax.value_and_grad(value, (0, 1, 2, 3))
    found, slopes = run(differentiate, similarities, beta, y, z)
    close(found, 0)
    for slope in slopes:
        close(slope, 0)


def test_weights_sum_over_the_features():
    similarities = np.arange(12.0).reshape(2, 2, 3)
    found = gaussian.edge_weights(similarities, np.array([1.0, 0, 2]))
    np.testing.assert_array_equal(found, [[4, 13], [22, 31]])
    half = gaussian.edge_weights(
        jnp.ones((4, 3), jnp.bfloat16), jnp.ones(3, jnp.bfloat16)
    )
    assert half.dtype == jnp.float32


@pytest.mark.parametrize("wrong", [-1e-3, np.nan, np.inf])
def test_weights_that_make_no_precision_are_refused_on_the_host(wrong):
    gaussian.check_weights(np.array([0.0, 1.0]))
    with pytest.raises(
        errors.UserError, match="weights of 0 or more, got 1 others of 3"
    ):
        gaussian.check_weights(jnp.array([0.0, wrong, 1.0]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, x: gaussian.map_estimate(p, x[1:]), r"wants z \[11\].*got \[10\]"),
        (lambda p, x: gaussian.energy(p, x[None], x), r"wants y \[11\].*got \[1, 11\]"),
        (lambda p, x: gaussian.negative_log_likelihood(p, x, x[:3]), "wants z"),
        (
            lambda p, x: gaussian.negative_log_likelihood(p, x, x, labelled=x[:2] > 0),
            "wants labelled",
        ),
        (
            lambda p, x: gaussian.negative_log_likelihood(p, x, x, tau="profile"),
            "Did you mean profiled",
        ),
        (
            lambda p, x: gaussian.negative_log_likelihood(p, x, x, tau=x),
            r"array \[\], got",
        ),
        (lambda p, x: gaussian.deviations(p, x[:2]), r"array \[\], got \[2\]"),
        (
            lambda p, x: gaussian.edge_weights(np.ones((4, 2)), np.ones(3)),
            r"beta \[k\], got",
        ),
    ],
)
def test_wrong_requests_are_explained(call, message):
    edges, similarities, beta, y, _ = problem()
    with pytest.raises(errors.UserError, match=message):
        call(precision(edges, similarities, beta), y)
