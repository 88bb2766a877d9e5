"""Factors by halves against NumPy's."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.ops import cholesky

SIZES = [1, 5, 256, 257, 600]


def _positive(rows, batch=2, seed=0):
    x = np.random.default_rng(seed).normal(size=(batch, rows, rows + 3))
    return x @ x.mT / rows + np.eye(rows)


@pytest.mark.parametrize("rows", SIZES)
def test_factors_and_their_inverses_are_those_of_numpy(rows):
    a = _positive(rows)
    with jax.enable_x64(True):
        lower = jax.jit(cholesky.factor)(a)
        inverse = jax.jit(cholesky.inverse)(lower)
    want = np.linalg.cholesky(a)
    np.testing.assert_allclose(lower, want, rtol=0, atol=1e-13)
    np.testing.assert_allclose(inverse, np.linalg.inv(want), rtol=0, atol=1e-12)
    for found in (lower, inverse):
        np.testing.assert_array_equal(np.triu(found, 1), 0)


def test_only_the_lower_triangle_is_read():
    a = _positive(300, batch=1).astype(np.float32)
    want = cholesky.factor(jnp.asarray(a))
    spoilt = np.where(np.tri(300, dtype=bool), a, np.nan)
    np.testing.assert_array_equal(cholesky.factor(jnp.asarray(spoilt)), want)


@pytest.mark.parametrize("rows", [3, 300])
def test_without_positive_eigenvalues_there_is_no_number(rows):
    a = _positive(rows, batch=1)
    a[0, -1, -1] = -1
    assert np.isnan(cholesky.factor(jnp.asarray(a, jnp.float32))).any()
