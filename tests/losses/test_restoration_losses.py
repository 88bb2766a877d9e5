"""Losses against sums in NumPy; padding adds nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax.losses import restoration

LOSSES = {
    "squared_error": np.square,
    "absolute_error": np.abs,
    "charbonnier": lambda d: np.sqrt(d**2 + 1e-6),
}
SLOPES = {
    "squared_error": lambda d: 2 * d,
    "absolute_error": np.sign,
    "charbonnier": lambda d: d / np.sqrt(d**2 + 1e-6),
}


def _pair():
    rng = np.random.default_rng(0)
    return rng.random((2, 3, 4, 5, 2)).astype(np.float32)


@pytest.mark.parametrize("name", LOSSES)
def test_sums_and_counts_match_numpy(name):
    output, clean = _pair()
    valid = np.array([True, False, True])
    total, count = getattr(restoration, name)(output, clean, valid)
    want = LOSSES[name]((output - clean).astype(float)).sum((1, 2, 3)) * valid
    np.testing.assert_allclose(total, want, rtol=1e-5)
    assert count.tolist() == [40, 0, 40]


@pytest.mark.parametrize("name", LOSSES)
def test_single_pixels_can_be_left_out(name):
    output, clean = _pair()
    valid = np.random.default_rng(1).random((3, 4, 5)) < 0.5
    total, count = getattr(restoration, name)(output, clean, valid)
    terms = LOSSES[name]((output - clean).astype(float)) * valid[..., None]
    np.testing.assert_allclose(total, terms.sum((1, 2, 3)), rtol=1e-5)
    assert count.tolist() == (2 * valid.sum((1, 2))).tolist()


@pytest.mark.parametrize("name", LOSSES)
def test_padding_may_hold_nan_and_has_no_gradient(name):
    output, clean = _pair()
    output[1] = np.nan
    valid = np.ones((3, 4, 5), bool)
    valid[1] = valid[2, 0, 0] = False
    output[2, 0, 0] = np.inf
    loss = lambda x: getattr(restoration, name)(x, clean, valid)[0].sum()  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(jnp.asarray(output))
    assert np.isfinite(value)
    np.testing.assert_array_equal(gradient[~valid], 0.0)
    difference = (output - clean)[valid].astype(float)
    np.testing.assert_allclose(gradient[valid], SLOPES[name](difference), rtol=1e-4)
