"""Precisions of graphs as they are trained with: float32, large, on many devices."""

import functools
import re

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from dpjax import errors
from dpjax.ops.crf import dense_precision, gaussian
from tests.ops.crf import textbook

# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}
STRENGTHS = [0.0, 0.1, 1, 10, 100, 1e3, 1e4]


def problem(nodes, seed=0):
    """Smooth labels, and a network that sees them with noise; float32."""
    rng = np.random.default_rng(seed)
    places, edges = textbook.planar_graph(nodes, seed)
    weights = rng.uniform(0.05, 1, len(edges)).astype(np.float32)
    y = 0.5 + 0.3 * np.sin(places[:, 0] / 9) * np.cos(places[:, 1] / 7)
    z = y + rng.normal(0, 0.1, nodes)
    return edges.astype(np.int32), weights, y.astype(np.float32), z.astype(np.float32)


def run(function, *given):
    return jax.jit(function, compiler_options=QUICKLY)(*given)


def nll(edges, weights, y, z, **options):
    made = dense_precision.from_edges(edges, weights, y.shape[-1])
    return gaussian.negative_log_likelihood(made, y, z, **options)


def relative(got, want):
    """The largest difference, relative to the largest value."""
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    return np.abs(got - want).max() / np.abs(want).max()


@pytest.mark.parametrize("nodes", [2, 64, 300, 1024])
def test_single_precision_is_enough_for_every_strength(nodes):
    if nodes == 2:
        edges, weights = np.array([[0, 1]], np.int32), np.ones(1, np.float32)
        y, z = np.float32([0.2, 0.6]), np.float32([0.3, 0.4])
    else:
        edges, weights, y, z = problem(nodes)
    compiled = jax.jit(jax.value_and_grad(nll, (1, 2, 3)), compiler_options=QUICKLY)
    for strength in STRENGTHS:
        r = np.float32(strength) * weights
        a = textbook.precision_matrix(edges, r.astype(np.float64), nodes)
        exact = [x.astype(np.float64) for x in (y, z)]
        value, slopes = compiled(edges, r, y, z)
        want = textbook.negative_log_likelihood(a, *exact)
        assert abs(value - want) <= 1e-5 * abs(want)
        want = textbook.slopes(edges, a, *exact)
        for name, slope in zip(("weights", "y", "z"), slopes, strict=True):
            assert slope.dtype == jnp.float32
            assert relative(slope, want[name]) < 1e-5, (strength, name)


def plain_nll(edges, weights, y, z):
    """The same by a solve that automatic differentiation goes through."""
    p, q = edges.T
    a = jnp.eye(len(z)).at[p, p].add(weights).at[q, q].add(weights)
    a = a.at[p, q].add(-weights).at[q, p].add(-weights)
    lower = jnp.linalg.cholesky(a)
    r = y - jax.scipy.linalg.cho_solve((lower, True), z)
    value = r @ a @ r - jnp.log(jnp.diagonal(lower)).sum()
    return value + len(z) / 2 * jnp.log(jnp.pi)


@pytest.mark.parametrize(("double", "tolerance"), [(False, 1e-5), (True, 1e-10)])
def test_slopes_are_those_of_automatic_differentiation(double, tolerance):
    edges, *given = problem(300)
    with jax.enable_x64(double):
        if double:
            given = [x.astype(np.float64) for x in given]
        found, want = (
            run(jax.grad(functools.partial(f, edges), (0, 1, 2)), *given)
            for f in (nll, plain_nll)
        )
        for got, wanted in zip(found, want, strict=True):
            assert got.dtype == given[0].dtype
            assert relative(got, wanted) < tolerance


def batch(graphs=8, nodes=20):
    """Graphs with their last node, and more edges of the last, missing."""
    parts = [problem(nodes, seed) for seed in range(graphs)]
    count = max(len(p[0]) for p in parts)
    edges = np.zeros((graphs, count, 2), np.int32)
    weights = np.zeros((graphs, count), np.float32)
    for i, (e, w, *_) in enumerate(parts):
        edges[i, : len(e)], weights[i, : len(e)] = e, w
    valid = np.arange(nodes) < nodes - np.arange(graphs)[:, None] % 2
    return edges, weights, *(np.stack([p[i] for p in parts]) for i in (2, 3)), valid


def slopes(edges, weights, y, z, valid):
    def total(weights, y, z):
        made = dense_precision.from_edges(edges, weights, y.shape[-1], valid=valid)
        labelled = y > 0.4
        return gaussian.negative_log_likelihood(made, y, z, labelled=labelled).sum()

    return jax.value_and_grad(total, (0, 1, 2))(weights, y, z)


def test_one_device_many_and_vmap_agree():
    given = batch()
    value, want = run(slopes, *given)
    values, found = run(jax.vmap(slopes), *given)
    np.testing.assert_allclose(values.sum(), value, atol=1e-4)  # of terms of about 5
    shares = [x.reshape(4, 2, *x.shape[1:]) for x in given]
    _, spread = jax.pmap(slopes)(*shares)
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Auto,))
    mapped = jax.shard_map(
        lambda *x: slopes(*x)[1], mesh=mesh, in_specs=P("batch"), out_specs=P("batch")
    )
    for others in (found, spread, run(mapped, *given)):
        for got, wanted in zip(others, want, strict=True):
            np.testing.assert_allclose(
                got.reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-5
            )


def test_accelerators_which_take_all_graphs_at_once_compute_the_same(monkeypatch):
    given = batch()
    want = run(slopes, *given)

    def as_there(*arrays, cpu, default):
        return default(*arrays)

    monkeypatch.setattr(dense_precision.lax, "platform_dependent", as_there)
    jax.tree.map(
        lambda got, wanted: np.testing.assert_allclose(got, wanted, 1e-5, 1e-5),
        run(slopes, *given),
        want,
    )


def test_half_precision_is_computed_in_single():
    edges, *given = problem(30)
    rounded = [jnp.asarray(x, jnp.bfloat16) for x in given]
    differentiate = jax.value_and_grad(nll, (1, 2, 3))
    want = run(differentiate, edges, *map(jnp.float32, rounded))
    value, found = run(differentiate, edges, *rounded)
    assert value.dtype == jnp.float32
    np.testing.assert_allclose(value, want[0], rtol=1e-6)
    for got, wanted in zip(found, want[1], strict=True):
        assert got.dtype == jnp.bfloat16
        assert relative(got, wanted) < 2**-7


@pytest.mark.parametrize("nodes", [1, 2])
def test_without_edges_the_nodes_are_alone(nodes):
    edges, weights = np.zeros((3, 0, 2), np.int32), np.zeros((3, 0), np.float32)
    y, z = np.random.default_rng(0).random((2, 3, nodes), np.float32)

    def results(edges, weights, y, z):
        made = dense_precision.from_edges(edges, weights, nodes)
        value = gaussian.negative_log_likelihood(made, y, z)
        return value, gaussian.map_estimate(made, z), gaussian.deviations(made)

    value, mean, deviations = run(results, edges, weights, y, z)
    want = ((y - z) ** 2).sum(-1) + nodes / 2 * np.log(np.pi)
    np.testing.assert_allclose(value, want, rtol=1e-6)
    np.testing.assert_array_equal(mean, z)
    np.testing.assert_allclose(deviations, np.sqrt(0.5), rtol=1e-6)


def test_the_matrix_is_factorised_once_and_nothing_else_is_solved():
    edges, *given = problem(60)
    text = jax.jit(jax.value_and_grad(nll, (1, 2, 3))).lower(edges, *given).as_text()
    assert re.findall(r"lapack_\w+", text) == ["lapack_spotrf_ffi"]


def test_lapack_gets_single_matrices_which_cannot_wait_for_each_other():
    shapes = r"@lapack_spotrf_ffi.* : \(tensor<([\dx]+)xf32>"
    for function in (slopes, jax.vmap(slopes)):
        text = jax.jit(function).lower(*batch()).as_text()
        assert set(re.findall(shapes, text)) == {"20x20"}


def test_slopes_take_less_memory_than_automatic_differentiation():
    edges, *given = problem(300)

    def bytes_of(function):
        def total(edges, *given):
            return jax.vmap(functools.partial(function, edges))(*given).sum()

        def of_batch(edges, *given):
            return nll(edges, *given).sum()

        chosen = of_batch if function is nll else total
        many = [jnp.stack([x] * 8) for x in given]
        same = jnp.stack([edges] * 8) if function is nll else edges
        compiled = jax.jit(jax.grad(chosen, (1, 2, 3)), compiler_options=QUICKLY)
        return (
            compiled.lower(same, *many).compile().memory_analysis().temp_size_in_bytes
        )

    assert bytes_of(nll) < bytes_of(plain_nll) / 2


def test_negative_weights_give_no_number():
    edges = np.array([[0, 1]], np.int32)
    y = np.zeros(2, np.float32)
    assert np.isnan(run(nll, edges, np.array([-2.0], np.float32), y, y))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edges": np.zeros((5, 3), int)}, r"wants edges \[..., e, 2\].*got \[5, 3\]"),
        ({"weights": np.ones(4)}, r"got \[5, 2\] and \[4\]"),
        ({"edges": np.zeros((5, 2))}, "whole numbers, got float32"),
        ({"valid": np.ones(3, bool)}, r"valid bool \[4\], got bool \[3\]"),
        ({"valid": np.ones(4)}, "got float32"),
        ({"nodes": 0}, "at least one"),
    ],
)
def test_graphs_that_cannot_be_are_refused(change, message):
    given = {"edges": np.zeros((5, 2), int), "weights": np.ones(5), "nodes": 4}
    with pytest.raises(errors.UserError, match=message):
        dense_precision.from_edges(**given | change)


@pytest.mark.parametrize("name", ["times", "solve", "quadratic", "restricted"])
def test_arrays_of_other_graphs_are_refused(name):
    edges, weights, *_ = problem(9)
    made = dense_precision.from_edges(edges, weights, 9)
    with pytest.raises(errors.UserError, match=r"want an array \[9\].*got \[2, 9\]"):
        getattr(made, name)(np.ones((2, 9)))
