"""Inverse factors by halves against NumPy's."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.ops.crf import cholesky


def _matrices(rows, batch=2, seed=0):
    """Laplacians of dense graphs and the unit matrix."""
    pull = np.random.default_rng(seed).random((batch, rows, rows)) ** 4
    pull = np.tril(pull, -1) + np.tril(pull, -1).mT
    return np.eye(rows) * (1 + pull.sum(-1, keepdims=True)) - pull


@pytest.mark.parametrize("rows", [1, 2, 64, 65, 130, 300])
def test_inverse_factors_are_those_of_numpy(rows):
    a = _matrices(rows)
    want = np.linalg.inv(np.linalg.cholesky(a))
    with jax.enable_x64(True):
        found = jax.jit(cholesky.inverse_factor)(a)
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(np.triu(found, 1), 0)


def test_only_the_lower_triangle_is_read():
    a = _matrices(100, batch=1)
    factor = jax.jit(cholesky.inverse_factor)
    spoilt = np.where(np.tri(100, dtype=bool), a, np.nan)
    np.testing.assert_array_equal(factor(spoilt), factor(a))


@pytest.mark.parametrize("rows", [3, 100])
def test_without_positive_eigenvalues_there_is_no_number(rows):
    a = _matrices(rows, batch=1)
    a[0, -1, -1] = -1
    assert jnp.isnan(jax.jit(cholesky.inverse_factor)(a)).any()
