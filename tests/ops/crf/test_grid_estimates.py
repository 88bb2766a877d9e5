"""Random estimates against dense matrices: unbiased, and as far off as they say."""

import dataclasses

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.ops.crf import grid_estimates, grid_precision, lanczos
from tests.ops.crf.test_grid_precision import dense_matrix, random_weights, single

SIZE = (6, 7)


@pytest.fixture(scope="module")
def problem():
    right, down = (x.astype(np.float32) for x in random_weights(SIZE))
    unary = np.random.default_rng(3).uniform(0.5, 2, SIZE).astype(np.float32)
    matrix = dense_matrix(right, down, unary)
    return grid_precision.from_weights(right, down, unary=unary), matrix


def test_samples_have_the_covariance_of_the_inverse(problem):
    precision, matrix = problem
    count = 20_000
    draw = single(lambda p, key: grid_estimates.samples(p, key, count))
    x = np.asarray(draw(precision, jax.random.key(0))).reshape(count, -1)
    want = np.linalg.inv(matrix)
    deviation = np.sqrt((want**2 + np.outer(*[np.diag(want)] * 2)) / count)
    off = (x.T @ x / count - want) / deviation
    assert np.abs(off).max() < 4.5  # of 903 different entries
    assert 0.9 < off.std() < 1.1
    assert np.abs(x.mean(0) / np.sqrt(np.diag(want) / count)).max() < 4.5


@pytest.mark.parametrize("probes", [4, 64])
def test_the_determinant_is_unbiased_and_better_with_more_probes(problem, probes):
    precision, matrix = problem
    want = np.linalg.slogdet(matrix)[1]
    repeats = 100

    @single
    def estimate(key):
        given = grid_estimates.estimated(precision, key, probes=probes)
        return given.log_determinant()

    keys = jax.random.split(jax.random.key(1), repeats)
    found = np.asarray([estimate(key) for key in keys])
    # Of v' log(B) v with random signs the variance is known.
    scale = np.sqrt(np.outer(*[np.diag(matrix)] * 2))
    values, vectors = np.linalg.eigh(matrix / scale)
    log = (vectors * np.log(values)) @ vectors.T
    deviation = np.sqrt(2 * (log**2).sum() - 2 * (np.diag(log) ** 2).sum())
    deviation /= np.sqrt(probes)
    assert abs(found.mean() - want) < 4 * deviation / np.sqrt(repeats)
    assert 0.7 < found.std() / deviation < 1.3


def test_slopes_and_variances_are_unbiased(problem):
    precision, matrix = problem
    inverse = np.linalg.inv(matrix)
    probes = 5000

    @single
    def estimates(precision):
        given = grid_estimates.estimated(precision, jax.random.key(2), probes=probes)
        slope = jax.grad(lambda p: p.log_determinant(), allow_int=True)(given)
        return slope.right, slope.down, slope.unary, given.inverse_diagonal()

    *slopes, diagonal = estimates(precision)
    place = np.arange(inverse.shape[0]).reshape(SIZE)

    def resistance(p, q):
        p, q = p.ravel(), q.ravel()
        return inverse[p, p] + inverse[q, q] - 2 * inverse[p, q]

    wanted = (
        resistance(place[:, 1:], place[:, :-1]),
        resistance(place[1:], place[:-1]),
        np.diag(inverse),
    )
    for found, want in zip(slopes, wanted, strict=True):
        off = (np.ravel(found) / want - 1) / np.sqrt(2 / probes)
        assert np.abs(off).max() < 4.5
    # Of a variance, what the neighbours leave is exact.
    want, own = np.diag(inverse), 1 / np.diag(matrix)
    assert (np.ravel(diagonal) > own).all()
    off = (np.ravel(diagonal) - want) / (np.sqrt(2 / probes) * (want - own))
    assert np.abs(off).max() < 4.5
    assert 0.7 < off.std() < 1.3


def test_a_batch_and_known_pixels_are_estimated_too():
    right, down = random_weights(SIZE, (2,))
    nodes = np.ones((2, *SIZE), bool)
    nodes[1, 2:4, 1:5] = False

    @single
    def estimate(right, down):
        precision = grid_precision.from_weights(right, down)
        given = grid_estimates.estimated(
            precision, jax.random.key(3), probes=300
        ).restricted(nodes)
        exact = precision.restricted(nodes)
        return given.log_determinant(), exact.log_determinant()

    found, want = estimate(right, down)
    assert found.shape == (2,)
    assert (np.abs(found - want) > 1e-4).all()  # it is an estimate
    np.testing.assert_allclose(found, want, rtol=0.03)


def test_estimates_need_a_probe(problem):
    with pytest.raises(errors.UserError, match="1 or more probes"):
        grid_estimates.estimated(problem[0], jax.random.key(0), probes=0)


def test_an_estimated_precision_stays_one_when_it_is_copied(problem):
    given = grid_estimates.estimated(problem[0], jax.random.key(0), probes=3)
    copy = dataclasses.replace(given, unary=2 * given.unary)
    leaves, form = jax.tree.flatten(given)
    assert copy.probes == jax.tree.unflatten(form, leaves).probes == 3


@pytest.mark.parametrize("steps", [5, 30])
def test_quadrature_is_exact_for_few_eigenvalues(steps):
    rng = np.random.default_rng(4)
    basis = np.linalg.qr(rng.normal(size=(30, 30)))[0]
    values = np.repeat([0.5, 1.0, 3.0, 50.0, 900.0], 6)
    v = rng.normal(size=30)
    want = ((basis.T @ v) ** 2 * np.log(values)).sum()
    with jax.enable_x64(True):
        matrix = (basis * values) @ basis.T
        found = jax.jit(
            lambda v: lanczos.quadratic_log(lambda x: matrix @ x, v, steps)
        )(v)
    np.testing.assert_allclose(found, want, rtol=1e-9)
    assert np.isfinite(found)
