"""Pooling over regions against means of the enlarged map in float64."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import regions


def problem(seed=0, image=(23, 30), cells=(5, 7), count=9, channels=4):
    """Features, and regions of which some pixels have none and one number is unused."""
    rng = np.random.default_rng(seed)
    numbers = rng.integers(-1, count + 2, (2, *image)).astype(np.int32)
    numbers[numbers == 3] = 2
    return rng.standard_normal((2, *cells, channels)), numbers


def enlarged(features, image):
    """The map at the size of the image: each pixel has the cell its centre lies in."""
    _, h, w, c = features.shape
    found = np.zeros((len(features), *image, c))
    for y, x in np.ndindex(image):
        row, column = (
            (i + 0.5) * n / m for i, n, m in zip((y, x), (h, w), image, strict=True)
        )
        found[:, y, x] = features[
            :, int(np.floor(row + 1e-9)), int(np.floor(column + 1e-9))
        ]
    return found


@pytest.mark.parametrize(
    ("image", "cells"),
    [((24, 32), (3, 4)), ((23, 30), (5, 7)), ((6, 5), (6, 5)), ((4, 6), (8, 9))],
)
def test_pooling_is_the_mean_of_the_enlarged_map(image, cells):
    features, numbers = problem(image=image, cells=cells)
    whole = enlarged(features, image)
    with jax.enable_x64(True):
        found = jax.jit(regions.pool, static_argnums=2)(features, numbers, 9)
    assert found.dtype == np.float64
    for one, pixels, pooled in zip(numbers, whole, found, strict=True):
        for p in range(9):
            wanted = pixels[one == p].mean(0) if (one == p).any() else 0
            np.testing.assert_allclose(pooled[p], wanted, atol=1e-12)
    assert not np.asarray(found[:, 3]).any()


def test_weights_of_a_region_sum_to_1_and_constants_stay():
    features, numbers = problem()
    sums = np.asarray(regions.weights(numbers, 9, (5, 7))).sum(-1)
    np.testing.assert_allclose(sums, [[float(p != 3) for p in range(9)]] * 2, rtol=1e-6)
    found = regions.pool(jnp.full(features.shape, 0.7), numbers, 9)
    np.testing.assert_allclose(found, 0.7 * sums[..., None].repeat(4, -1), rtol=1e-6)


def test_weights_are_shares_of_pixels():
    numbers = np.array([[[0, 0, 0, 1], [0, 1, 1, 1]]])
    found = regions.weights(numbers, 2, (1, 2))
    np.testing.assert_array_equal(found, [[[0.75, 0.25], [0.25, 0.75]]])


def test_gradients_are_the_transpose():
    features, numbers = problem()
    pull = np.random.default_rng(1).standard_normal((2, 9, 4))
    with jax.enable_x64(True):
        shares = np.asarray(regions.weights(numbers, 9, (5, 7)))
        _, back = jax.vjp(lambda f: regions.pool(f, numbers, 9), features)
        found = np.asarray(back(pull)[0])
    # 64 bits from the pixels: each region gives its pull in equal shares to its pixels.
    wanted = np.zeros(features.shape)
    for i, one in enumerate(numbers):
        for (y, x), p in np.ndenumerate(one):
            if 0 <= p < 9:
                cell = int((y + 0.5) * 5 / 23), int((x + 0.5) * 7 / 30)
                wanted[i][cell] += pull[i, p] / (one == p).sum()
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    total = (shares.sum(-1)[..., None] * pull).sum(1)
    np.testing.assert_allclose(found.sum((1, 2)), total, atol=1e-12)


def test_half_precision_is_summed_in_single():
    features, numbers = problem()
    half = jnp.asarray(features, jnp.bfloat16)
    found = regions.pool(half, numbers, 9)
    exact = regions.pool(half.astype(jnp.float32), numbers, 9)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(found, exact.astype(jnp.bfloat16))


def test_pixels_get_the_value_of_their_region():
    _, numbers = problem()
    values = np.random.default_rng(2).standard_normal((2, 9, 3)).astype(np.float32)
    found = np.asarray(jax.jit(regions.unpool)(values, numbers))
    for (i, y, x), p in np.ndenumerate(numbers):
        wanted = values[i, p] if 0 <= p < 9 else np.zeros(3)
        np.testing.assert_array_equal(found[i, y, x], wanted)


def test_pooling_undoes_unpooling():
    _, numbers = problem()
    values = np.random.default_rng(2).standard_normal((2, 9, 3)).astype(np.float32)
    values[:, 3] = 0
    whole = regions.unpool(values, numbers)
    # The mean of equal numbers, summed in an order that differs between processors.
    found = regions.pool(whole, numbers, 9)
    np.testing.assert_allclose(found, values, rtol=5e-6, atol=1e-6)
    pull = jax.grad(lambda v: regions.unpool(v, numbers).sum())(values)
    sizes = [[(one == p).sum() for p in range(9)] for one in numbers]
    np.testing.assert_allclose(pull, np.array(sizes)[..., None].repeat(3, -1))


@pytest.mark.parametrize(
    ("features", "numbers", "count", "message"),
    [
        ((1, 4, 4), (1, 8, 8), 2, r"\[b, h, w, c\] of the same batch"),
        ((2, 4, 4, 1), (1, 8, 8), 2, "of the same batch"),
        ((1, 4, 4, 1), (8, 8), 2, r"\[b, H, W\], got int32 \[8, 8\]"),
        ((1, 4, 4, 1), (1, 8, 8), 0, "at least 1"),
    ],
)
def test_shapes_that_do_not_belong_together_are_refused(
    features, numbers, count, message
):
    with pytest.raises(errors.UserError, match=message):
        regions.pool(jnp.zeros(features), jnp.zeros(numbers, jnp.int32), count)


def test_regions_are_whole_numbers():
    with pytest.raises(errors.UserError, match="got float32"):
        regions.unpool(jnp.zeros((1, 2, 3)), jnp.zeros((1, 8, 8)))
