"""Colour conversions against published values and textbook sums."""

import jax.numpy as jnp
import numpy as np
import pytest

from dpjax import errors
from dpjax.ops import colour

PRIMARIES = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255] * 3, [0] * 3, [128] * 3], np.uint8
)


@pytest.mark.parametrize("xp", [np, jnp])
def test_luma_of_the_primaries_is_the_published_one(xp):
    got = colour.rgb_to_luma(xp.asarray(PRIMARIES))
    assert got.dtype == np.uint8
    assert got[..., 0].tolist() == [81, 145, 41, 235, 16, 126]


@pytest.mark.parametrize("xp", [np, jnp])
def test_gray_of_the_primaries_is_the_published_one(xp):
    got = colour.rgb_to_gray(xp.asarray(PRIMARIES))
    assert got[..., 0].tolist() == [76, 150, 29, 255, 0, 128]


def test_means_of_a_photograph_are_the_published_ones():
    from skimage import data

    image = data.astronaut()
    assert colour.rgb_to_luma(image).mean() == pytest.approx(115.112846, abs=5e-7)
    assert colour.rgb_to_gray(image).mean() == pytest.approx(115.402737, abs=5e-7)


def test_float_luma_is_the_unrounded_uint8_luma():
    image = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
    r, g, b = np.moveaxis(image.astype(float), -1, 0)
    want = 16 + (65.481 * r + 128.553 * g + 24.966 * b) / 255
    got = colour.rgb_to_luma(image / 255)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got[..., 0] * 255, want, rtol=1e-14)
    rounded = colour.rgb_to_luma(image)[..., 0]
    assert np.array_equal(rounded, np.floor(want + 0.5))
    on_device = colour.rgb_to_luma(jnp.asarray(image / 255, jnp.float32))
    np.testing.assert_allclose(on_device, got, atol=1e-6)


@pytest.mark.parametrize("xp", [np, jnp])
def test_ycbcr_returns_to_rgb(xp):
    image = xp.asarray(np.random.default_rng(1).random((4, 6, 3)))
    there = colour.rgb_to_ycbcr(image)
    assert float(there[..., 0].min()) > 16 / 255
    limit = 1e-14 if xp is np else 1e-6
    np.testing.assert_allclose(colour.ycbcr_to_rgb(there), image, atol=limit)


def test_ycbcr_of_the_uint8_primaries():
    got = colour.rgb_to_ycbcr(PRIMARIES)
    # Known bytes of BT.601 colour bars: red, green, blue, white, black.
    want = [[81, 90, 240], [145, 54, 34], [41, 240, 110], [235, 128, 128]]
    assert got[:4].tolist() == want
    assert got[4].tolist() == [16, 128, 128]
    back = colour.ycbcr_to_rgb(got).astype(int)
    assert np.abs(back - PRIMARIES).max() <= 2


def test_a_gray_image_is_refused():
    with pytest.raises(errors.UserError, match=r"wants an image \[..., 3\]"):
        colour.rgb_to_gray(np.zeros((4, 4, 1)))
