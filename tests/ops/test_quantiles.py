"""Quantiles of masked maps against NumPy's."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import quantiles

RNG = np.random.default_rng(0)
VALUES = RNG.normal(0, 3, (5, 9, 11)).astype(np.float32)
VALID = RNG.random(VALUES.shape) < 0.6
VALID[1] = True
VALID[2] = False
VALID[3] = False
VALID[3, 4, 4] = True
VALUES[4] = np.rint(VALUES[4])  # many equal values


def test_quantiles_are_those_of_numpy():
    shares = (0.0, 0.02, 0.5, 0.77, 1.0)
    found = quantiles.quantiles(np.where(VALID, VALUES, np.nan), VALID, shares)
    for share, one in zip(shares, found, strict=True):
        for b in (0, 1, 3, 4):
            wanted = np.quantile(VALUES[b][VALID[b]].astype(np.float64), share)
            np.testing.assert_allclose(one[b], wanted, rtol=1e-5, atol=1e-6)
        assert one[2] == 0


def test_the_slope_belongs_to_the_neighbours_of_the_quantile():
    values = jnp.array([[5.0, jnp.nan, 1.0, 4.0, 2.0]])
    valid = jnp.array([[True, False, True, True, True]])

    def total(values):
        return quantiles.quantiles(values, valid, (0.5,))[0].sum()

    np.testing.assert_array_equal(jax.grad(total)(values), [[0, 0, 0, 0.5, 0.5]])


def test_shares_and_shapes_are_checked():
    with pytest.raises(errors.UserError, match=r"shares in \[0, 1\].* 1\.5"):
        quantiles.quantiles(VALUES, VALID, (0.5, 1.5))
    with pytest.raises(errors.UserError, match="one shape"):
        quantiles.quantiles(VALUES, VALID[:1], (0.5,))
