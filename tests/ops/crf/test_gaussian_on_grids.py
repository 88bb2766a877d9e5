"""The Gaussian CRF is the same on a pixel grid and on a graph with the same edges."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.ops.crf import dense_precision, gaussian, grid_estimates, grid_precision

BATCH, HEIGHT, WIDTH = 2, 13, 11
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


@pytest.fixture(scope="module")
def problem():
    """Weights to the right and down, labels, what a network says, and two masks."""
    rng = np.random.default_rng(0)
    shape = (BATCH, HEIGHT, WIDTH)
    valid = np.ones(shape, bool)
    valid[1, 10:] = False
    return {
        "right": 10 ** rng.uniform(-1, 1, (BATCH, HEIGHT, WIDTH - 1)),
        "down": 10 ** rng.uniform(-1, 1, (BATCH, HEIGHT - 1, WIDTH)),
        "y": rng.normal(size=shape),
        "z": rng.normal(size=shape),
        "valid": valid,
        "labelled": rng.random(shape) < 0.4,
    }


def flat(x):
    return x.reshape(BATCH, -1)


def on_graph(given):
    place = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    right = np.stack([place[:, :-1].ravel(), place[:, 1:].ravel()], -1)
    down = np.stack([place[:-1].ravel(), place[1:].ravel()], -1)
    edges = np.broadcast_to(
        np.concatenate([right, down]), (BATCH, len(right) + len(down), 2)
    )
    weights = jnp.concatenate([flat(given["right"]), flat(given["down"])], -1)
    valid = flat(given["valid"])
    return dense_precision.from_edges(edges, weights, place.size, valid=valid)


def on_grid(given):
    return grid_precision.from_weights(
        given["right"], given["down"], valid=given["valid"]
    )


def double(function, *given):
    with jax.enable_x64(True):
        compiled = jax.jit(function, compiler_options=QUICKLY)
        return jax.tree.map(np.asarray, compiled(*given))


@pytest.mark.parametrize(("missing", "tau"), [(False, "profiled"), (True, 3.0)])
def test_likelihoods_and_their_slopes_agree(problem, missing, tau):
    names = ("right", "down", "y", "z")

    def value(parts, precision_of, shaped):
        given = {**problem, **parts}
        labelled = shaped(given["labelled"]) if missing else None
        maps = shaped(given["y"]), shaped(given["z"])
        return gaussian.negative_log_likelihood(
            precision_of(given), *maps, labelled=labelled, tau=tau
        ).sum()

    parts = {name: problem[name] for name in names}
    want, slopes = double(
        lambda parts: jax.value_and_grad(value)(parts, on_graph, flat), parts
    )
    found, ours = double(
        lambda parts: jax.value_and_grad(value)(parts, on_grid, lambda x: x), parts
    )
    np.testing.assert_allclose(found, want, rtol=1e-9)  # solutions are good to 1e-5
    for name in names:
        largest = np.abs(slopes[name]).max()
        np.testing.assert_allclose(ours[name], slopes[name], atol=1e-5 * largest)


def test_values_and_deviations_agree(problem):
    def all_of_it(precision, y, z):
        maps = gaussian.map_estimate(precision, z), gaussian.deviations(precision, 2.0)
        numbers = gaussian.energy(precision, y, z), gaussian.best_tau(precision, y, z)
        return *maps, *numbers

    want = double(
        lambda given: all_of_it(on_graph(given), flat(given["y"]), flat(given["z"])),
        problem,
    )
    found = double(
        lambda given: all_of_it(on_grid(given), given["y"], given["z"]), problem
    )
    for ours, theirs in zip(found, want, strict=True):
        np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, atol=1e-5)


def test_estimates_take_the_place_of_what_is_exact(problem):
    def value(scale, given, estimates):
        weights = {name: scale * given[name] for name in ("right", "down")}
        given = {**given, **weights}
        maps = [given[name] for name in ("y", "z", "labelled")]
        if estimates:
            precision = grid_estimates.estimated(
                on_grid(given), jax.random.key(0), probes=64, steps=20
            )
        else:
            precision, maps = on_graph(given), [flat(x) for x in maps]
        y, z, labelled = maps
        return gaussian.negative_log_likelihood(
            precision, y, z, labelled=labelled, tau=0.3
        ).sum()

    found, want = (
        double(
            functools.partial(jax.value_and_grad(value), estimates=estimates),
            1.0,
            problem,
        )
        for estimates in (True, False)
    )
    assert found[0] != want[0]
    np.testing.assert_allclose(found, want, rtol=0.05)
