"""Blur kernels against published values and areas counted point by point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import errors
from dpjax.ops import filters

KERNELS = {
    "disk7": filters.disk(7),
    "disk2.3": filters.disk(2.3),
    "gaussian": filters.gaussian(25, 1.6),
    "motion15": filters.motion(15, 45),
    "motion9": filters.motion(9, 100),
}


def test_disk_has_the_published_values():
    kernel = filters.disk(7)
    assert kernel.shape == (15, 15)
    assert kernel[7, 7] == pytest.approx(1 / (49 * np.pi), rel=1e-12)
    row = [0, 0, 0, 0, 1.2e-5, 0.001309, 0.002742, 0.003209]
    np.testing.assert_allclose(kernel[0, :8], row, atol=5e-7)
    small = filters.disk(1)
    assert small.shape == (3, 3)
    got = [small[1, 1], small[0, 1], small[0, 0]]
    np.testing.assert_allclose(got, [0.31831, 0.145344, 0.025079], atol=5e-7)


@pytest.mark.parametrize("radius", [0.4, 0.8, 2.3, 3.6])
def test_disk_is_the_covered_area(radius):
    fine = 400  # sample points along a pixel's side
    kernel = filters.disk(radius)
    reach = len(kernel) // 2
    line = (np.arange(len(kernel) * fine) + 0.5) / fine - reach - 0.5
    inside = line[:, None] ** 2 + line[None] ** 2 <= radius**2
    share = inside.reshape(len(kernel), fine, len(kernel), fine).mean((1, 3))
    np.testing.assert_allclose(kernel, share / share.sum(), atol=3e-4)


def test_gaussian_has_the_published_values():
    row = filters.gaussian(25, 1.6)[12, 12:16]
    want = [0.0621699, 0.0511396, 0.0284635, 0.0107194]
    np.testing.assert_allclose(row, want, atol=5e-8)


def test_motion_has_the_published_values():
    level = filters.motion(10, 0)
    np.testing.assert_allclose(level, [[0.05, *[0.1] * 9, 0.05]], atol=1e-15)
    assert filters.motion(9, 45).shape == (7, 7)
    assert filters.motion(15, 45).shape == (11, 11)
    assert filters.motion(1, 30).tolist() == [[1.0]]


def test_motion_angle_is_counter_clockwise():
    kernel = filters.motion(15, 45)
    assert kernel[0, -1] > 0
    assert kernel[0, 0] == 0
    np.testing.assert_allclose(filters.motion(15, 90), filters.motion(15, 0).T)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_normalised_and_symmetric(name):
    kernel = KERNELS[name]
    assert kernel.sum() == pytest.approx(1, abs=1e-14)
    assert kernel.min() >= 0
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-15)


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (1, 7)])
def test_blur_matches_a_loop_with_repeated_edges(shape):
    rng = np.random.default_rng(0)
    image, kernel = rng.random((6, 5, 2)), rng.random(shape)
    want = np.zeros_like(image)
    for y in range(6):
        for x in range(5):
            for i in range(shape[0]):
                for j in range(shape[1]):
                    row = np.clip(y - (i - shape[0] // 2), 0, 5)
                    column = np.clip(x - (j - shape[1] // 2), 0, 4)
                    want[y, x] += kernel[i, j] * image[row, column]
    np.testing.assert_allclose(filters.blur(image, kernel), want, rtol=1e-12)
    device = jax.jit(lambda v: filters.blur(v, kernel))(jnp.asarray(image))
    np.testing.assert_allclose(device, want, rtol=1e-5)


@pytest.mark.parametrize("name", KERNELS)
def test_blur_keeps_constants(name):
    image = np.full((9, 9, 1), 0.3)
    np.testing.assert_allclose(filters.blur(image, KERNELS[name]), 0.3, rtol=1e-13)


def test_wrong_requests_are_explained():
    with pytest.raises(errors.UserError, match="positive radius"):
        filters.disk(0)
    with pytest.raises(errors.UserError, match="odd size"):
        filters.gaussian(4, 1.0)
    with pytest.raises(errors.UserError, match="at least 1 pixel"):
        filters.motion(0.5, 0)
    with pytest.raises(errors.UserError, match="odd sides"):
        filters.blur(np.zeros((4, 4, 1)), np.zeros((2, 3)))
