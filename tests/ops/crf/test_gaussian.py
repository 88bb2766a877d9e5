"""Gaussian CRFs by what defines them, in float64, against NumPy and SciPy."""

import functools
import itertools

import jax
import numpy as np
import pytest
import scipy.stats
from jax import numpy as jnp
from jax.test_util import check_grads

from dpjax import errors
from dpjax.ops.crf import dense_precision, gaussian
from tests.ops.crf import textbook

NODES = 11
FEATURES = 3
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def problem(nodes=NODES, seed=0, strength=1.0):
    """Edges, similarities, beta, labels and what a network says, for one graph."""
    rng = np.random.default_rng(seed)
    _, edges = textbook.planar_graph(nodes, seed)
    similarities = rng.uniform(0.1, 1, (len(edges), FEATURES))
    beta = strength * rng.uniform(0.2, 1, FEATURES)
    y, z = rng.uniform(0, 1, (2, nodes))
    return edges, similarities, beta, y, z


def matrix(edges, similarities, beta, nodes=NODES):
    return textbook.precision_matrix(edges, similarities @ beta, nodes)


def precision(edges, similarities, beta, nodes=NODES):
    weights = gaussian.edge_weights(similarities, beta)
    return dense_precision.from_edges(edges, weights, nodes)


def run(function, *given):
    return jax.jit(function, compiler_options=QUICKLY)(*given)


def nll(edges, similarities, beta, y, z, **options):
    made = precision(edges, similarities, beta, len(y))
    return gaussian.negative_log_likelihood(made, y, z, **options)


def close(got, want, tolerance=1e-10):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


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


SOME = np.arange(NODES) % 3 != 1


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


def test_deviations_can_be_learned_from():
    edges, similarities, beta, _, _ = problem()

    @jax.jit
    def spread(beta, tau):
        return gaussian.deviations(precision(edges, similarities, beta), tau)

    check_grads(spread, (beta, 3.0), order=2, modes=["rev"], rtol=1e-5)


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
