"""Gaussian sums by lattice, axes, tiles and windows against whole matrices."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.ops.meanfield import (
    dense_crf,
    gaussian_axes,
    gaussian_lattice,
    gaussian_tiles,
    gaussian_window,
)
from tests.ops.meanfield.textbook import (
    crop,
    features_of,
    gaussian_matrix,
    normalised,
)

KERNELS = dense_crf.PUBLISHED
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


def filtered(module, features, values, *, prepare=None, **options):
    def run(features, values):
        widths = jnp.ones(features.shape[-1])
        prepared = module.prepare(features, widths, **(prepare or {}))
        return module.apply(prepared, values, **options)

    given = (np.asarray(array, np.float32) for array in (features, values))
    return np.asarray(jax.jit(run, compiler_options=QUICKLY)(*given))


@pytest.mark.parametrize("name", ["crf_rnn", "deeplab", "library_demo"])
def test_one_pass_of_the_lattice_is_as_near_as_the_public_one(name):
    _, image = crop(32, 40, seed=4)
    features, _ = features_of(image, KERNELS[name])
    q = np.random.default_rng(5).dirichlet(np.ones(5), (32, 40))
    matrix = normalised(gaussian_matrix(features), "after")
    want = (matrix @ q.reshape(-1, 5)).reshape(q.shape)
    ones = np.ones((32, 40, 1))
    grid = features.reshape(32, 40, 5)
    got = filtered(gaussian_lattice, grid, np.concatenate([q, ones], -1))
    got = got[..., :5] / got[..., 5:]
    assert np.abs(got - want).mean() < 0.013
    assert np.abs(got - want).max() < 0.27
    np.testing.assert_allclose(got.sum(-1), 1, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (130, 65), (64, 95)])
@pytest.mark.parametrize("theta", [0.5, 2.0, 50.0])
def test_bands_of_the_axes_are_the_whole_sums(size, theta):
    values = np.random.default_rng(25).normal(size=(*size, 2))
    want = values
    for axis, length in enumerate(size):
        places = np.arange(length)[:, None] / theta
        matrix = gaussian_matrix(places)
        want = np.moveaxis(np.tensordot(matrix, want, (1, axis)), 0, axis)
    call = functools.partial(gaussian_axes.apply, theta=theta)
    with jax.enable_x64(True):
        got = jax.jit(call, compiler_options=QUICKLY)(values)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_a_lattice_of_more_cells_than_pixels_is_whole():
    # Pixels that resemble no others hear nothing but themselves.
    rng = np.random.default_rng(24)
    features = 40 * rng.permutation(48 * 64).reshape(48, 64, 1) + rng.random(
        (48, 64, 5)
    )
    values = rng.random((48, 64, 2))
    values[..., 1] = 1
    given = features.astype(np.float32), np.ones(5, np.float32)
    prepared = jax.jit(gaussian_lattice.prepare)(*given)
    assert prepared.count > 5 * 48 * 64
    got = filtered(gaussian_lattice, features, values)
    np.testing.assert_allclose(got[..., 0] / got[..., 1], values[..., 0], rtol=1e-4)


@pytest.mark.parametrize("tile", [5, 64, 10_000])
def test_tiles_of_any_size_give_the_same_sums(tile):
    _, image = crop(13, 19, seed=6)
    features, _ = features_of(image, KERNELS["deeplab_v2_resnet101"])
    features = features.astype(np.float32).astype(float)  # its rounding is not theirs
    values = np.random.default_rng(7).normal(size=(13, 19, 3))
    want = (gaussian_matrix(features) @ values.reshape(-1, 3)).reshape(values.shape)
    grid = features.reshape(13, 19, 5)
    got = filtered(gaussian_tiles, grid, values, prepare={"tile": tile})
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_tiles_that_cannot_reach_each_other_are_left_out():
    # Two halves 100 deviations apart, each as wide as one deviation.
    features = np.random.default_rng(8).random((16, 16, 5), np.float32)
    features[:, 8:] += 100
    prepare = functools.partial(gaussian_tiles.prepare, tile=32)
    prepared = jax.jit(prepare)(features, np.ones(5, np.float32))
    assert prepared.pairs.shape == (36, 2)
    assert prepared.count == 20  # twice 4 tiles with each other and themselves
    want = gaussian_matrix(features.reshape(-1, 5).astype(float)).sum(1)
    ones = np.ones((16, 16, 1))
    got = filtered(gaussian_tiles, features, ones, prepare={"tile": 32})
    np.testing.assert_allclose(got.ravel(), want, rtol=1e-5)


@pytest.mark.parametrize("reach", [0, 2, 30])
def test_windows_are_the_sums_without_what_is_outside(reach):
    _, image = crop(11, 14, seed=9)
    features, places = features_of(image, dense_crf.Kernels(10, 20, 1, 1, 1))
    values = np.random.default_rng(10).normal(size=(11, 14, 3))
    away = np.abs(places[:, None] - places[None]).max(-1)
    matrix = gaussian_matrix(features) * (away <= reach)
    want = (matrix @ values.reshape(-1, 3)).reshape(values.shape)
    grid = features.reshape(11, 14, 5)
    got = filtered(gaussian_window, grid, values, reach=reach)
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("module", [gaussian_tiles, gaussian_lattice, gaussian_window])
def test_the_transpose_is_the_transpose(module):
    _, image = crop(15, 18, seed=11)
    features, _ = features_of(image, KERNELS["crf_rnn"])
    grid = features.reshape(15, 18, 5)
    rng = np.random.default_rng(12)
    a, b = rng.normal(size=(2, 15, 18, 2))
    there = (filtered(module, grid, a) * b).sum()
    back = (filtered(module, grid, b, transpose=True) * a).sum()
    assert there == pytest.approx(back, rel=1e-4)


def test_the_lattice_of_one_axis_is_the_blur_of_a_line():
    """A*_1 is a line of cells sqrt(3/2) deviations apart; all is known by hand."""
    place = np.random.default_rng(13).uniform(-4, 4, 50)
    values = np.random.default_rng(14).normal(size=50)
    # The plane is the line (x, -x); keys step by 1 in x, lifted = place * 2 / sqrt(3).
    lifted = place * 2 * np.sqrt(2 / 3) / np.sqrt(2)
    grid = np.arange(-20, 21)
    share = np.maximum(1 - np.abs(lifted[:, None] - grid), 0)
    is_cell = share.sum(0) > 0
    step = 0.5 * (np.abs(grid[:, None] - grid) == 1) * is_cell * is_cell[:, None]
    blur = np.eye(len(grid)) + step
    want = share @ (blur @ (blur @ (share.T @ values)))
    got = filtered(gaussian_lattice, place.reshape(5, 10, 1), values.reshape(5, 10, 1))
    np.testing.assert_allclose(got.ravel(), want, rtol=1e-4, atol=1e-4)
