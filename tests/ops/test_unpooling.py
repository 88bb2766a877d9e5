"""Switches and unpooling against loops, and PyTorch's MaxUnpool2d."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.ops import unpooling


def _by_hand(x):
    """Pools and puts back, pixel by pixel."""
    kept = np.zeros_like(x)
    b, height, width, c = x.shape
    for n, i, j, k in np.ndindex(b, height // 2, width // 2, c):
        window = x[n, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2, k]
        row, column = np.unravel_index(np.argmax(window), (2, 2))
        kept[n, 2 * i + row, 2 * j + column, k] = window.max()
    return kept


def _maps(*shape):
    # Few values: many windows have equals, as rectified maps do.
    return np.random.default_rng(0).integers(0, 4, shape).astype(np.float32)


def _pool(x):
    height, width = (side // 2 for side in x.shape[1:3])
    x = x[:, : 2 * height, : 2 * width]
    return x.reshape(x.shape[0], height, 2, width, 2, -1).max((2, 4))


@pytest.mark.parametrize("size", [(2, 2), (6, 8), (5, 7), (7, 4)])
def test_values_go_back_where_the_pool_took_them(size):
    x = _maps(2, *size, 3)
    places = unpooling.switches(x)
    assert places.dtype == jnp.int8
    got = unpooling.unpool(_pool(x), places, size)
    np.testing.assert_array_equal(got, _by_hand(x))


@pytest.mark.torch
@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_unpooling_is_that_of_pytorch(size):
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    x = _maps(2, *size, 3)
    y = _pool(np.random.default_rng(1).random((2, *size, 3), np.float32))
    first = lambda z: torch.from_numpy(z.transpose(0, 3, 1, 2).copy())  # noqa: E731
    _, places = functional.max_pool2d(first(x), 2, return_indices=True)
    wanted = functional.max_unpool2d(first(y), places, 2, output_size=size)
    got = unpooling.unpool(y, unpooling.switches(x), size)
    np.testing.assert_array_equal(got, wanted.numpy().transpose(0, 2, 3, 1))


def test_gradients_come_back_from_the_same_places():
    x, size = _maps(1, 5, 6, 2), (5, 6)
    places = unpooling.switches(x)
    run = lambda y: unpooling.unpool(y, places, size)  # noqa: E731
    weights = np.random.default_rng(2).normal(size=(1, *size, 2)).astype(np.float32)
    y = _pool(x)
    slope = jax.grad(lambda y: jnp.sum(run(y) * weights))(y)
    ones = run(jnp.ones_like(y))
    np.testing.assert_allclose(slope, _sum(ones * weights), rtol=1e-6)


def _sum(x):
    height, width = (side // 2 for side in x.shape[1:3])
    x = x[:, : 2 * height, : 2 * width]
    return x.reshape(x.shape[0], height, 2, width, 2, -1).sum((2, 4))
