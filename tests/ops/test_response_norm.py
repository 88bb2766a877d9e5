"""Response normalisation against loops and PyTorch."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import response_norm

X = np.random.default_rng(0).normal(0, 20, (2, 3, 4, 9)).astype(np.float32)


@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_each_channel_is_divided_by_what_its_neighbours_hold(size):
    options = {"size": size, "bias": 1.5, "alpha": 0.01, "beta": 0.6}
    wanted = np.empty(X.shape)
    for i in range(X.shape[-1]):
        near = X[..., max(i - size // 2, 0) : i + size // 2 + 1].astype(np.float64)
        wanted[..., i] = X[..., i] / (1.5 + 0.01 * (near**2).sum(-1)) ** 0.6
    found = response_norm.across_channels(X, **options)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.torch
def test_values_and_gradients_are_those_of_pytorch_with_the_size_taken_out_of_alpha():
    torch = pytest.importorskip("torch")
    x = torch.tensor(X.transpose(0, 3, 1, 2).astype(np.float64), requires_grad=True)
    y = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)(x)
    y.square().sum().backward()

    def total(x):
        return (response_norm.across_channels(x) ** 2).sum()

    found = response_norm.across_channels(X)
    there = y.detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, there, rtol=1e-5)
    slope = x.grad.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(jax.grad(total)(X), slope, rtol=1e-4, atol=1e-4)


def test_half_precision_is_summed_in_single():
    found = response_norm.across_channels(jnp.asarray(X, jnp.bfloat16))
    assert found.dtype == jnp.bfloat16
    wanted = response_norm.across_channels(X)
    np.testing.assert_allclose(found.astype(jnp.float32), wanted, rtol=0.02)


@pytest.mark.parametrize("options", [{"size": 4}, {"size": -1}, {"bias": 0.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(errors.UserError, match="odd size from 1 and a bias above 0"):
        response_norm.across_channels(X, **options)
