"""Random colours against a plain NumPy version of the Torch code."""

import itertools

import jax
import numpy as np
import pytest

from dpjax.ops import jitter

KEYS = jax.random.split(jax.random.key(3), 24)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((24, 6, 7, 3)).astype(np.float32)


def textbook(image, kind, a):
    gray = image @ np.array([0.299, 0.587, 0.114])
    other = [0.0, gray.mean(), gray[..., None]][kind]
    return a * image + (1 - a) * other


def explain(before, after, strength):
    """The order and amounts that turn one image into another, and what is left."""
    best = None
    for order in itertools.permutations(range(3)):
        # Amounts by least squares over a grid, then by Gauss-Newton.
        amounts = np.ones(3)
        for _ in range(30):
            base = apply(before, order, amounts)
            slopes = [
                (apply(before, order, amounts + 1e-5 * np.eye(3)[i]) - base) / 1e-5
                for i in range(3)
            ]
            matrix = np.stack([s.ravel() for s in slopes], 1)
            amounts += np.linalg.lstsq(matrix, (after - base).ravel(), rcond=None)[0]
        left = np.abs(apply(before, order, amounts) - after).max()
        if best is None or left < best[2]:
            best = order, amounts, left
    return best


def apply(image, order, amounts):
    for kind in order:
        image = textbook(image, kind, amounts[kind])
    return image


def test_jitter_is_three_blends_in_a_random_order(images):
    got = np.asarray(jitter.jitter(images, KEYS, 0.4))
    orders, every = set(), []
    for before, after in zip(images.astype(float), got, strict=True):
        order, amounts, left = explain(before, after, 0.4)
        assert left < 1e-5
        orders.add(order)
        every.append(amounts)
    every = np.array(every)
    assert np.abs(every - 1).max() <= 0.4 + 1e-4
    assert np.abs(every - 1).max() > 0.3
    assert len(orders) >= 4
    # brightness, contrast and saturation are drawn apart
    assert np.abs(np.corrcoef(every.T)[np.triu_indices(3, 1)]).max() < 0.6


def test_light_moves_every_pixel_alike_along_the_colours_of_imagenet(images):
    shift = np.asarray(jitter.lighting(images, KEYS, 0.1)) - images
    np.testing.assert_allclose(
        shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-6
    )
    amounts = shift[:, 0, 0] @ jitter._VECTORS / jitter._VALUES / 0.1
    assert 0.5 < amounts.std() < 1.5
    assert np.abs(amounts.mean()) < 0.5
    np.testing.assert_allclose(
        jitter._VECTORS @ jitter._VECTORS.T, np.eye(3), atol=1e-3
    )


def test_about_half_of_the_images_are_mirrored(images):
    got = np.asarray(jitter.mirror(images, KEYS))
    turned = [np.array_equal(a, b[:, ::-1]) for a, b in zip(got, images, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(got, images, strict=True)]
    assert all(a != b for a, b in zip(turned, same, strict=True))
    assert 5 <= sum(turned) <= 19


@pytest.mark.parametrize("function", [jitter.jitter, jitter.lighting])
def test_an_image_does_not_depend_on_its_neighbours(images, function):
    whole = function(images, KEYS, 0.3)
    part = function(images[5:9], KEYS[5:9], 0.3)
    np.testing.assert_allclose(part, whole[5:9], rtol=1e-5, atol=1e-6)
    assert np.abs(np.asarray(whole) - images).max() > 0.05
