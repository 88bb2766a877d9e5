"""Strengths between neighbours against a loop over pixels."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops.crf import grid_weights


def test_strengths_are_the_sums_of_the_paper():
    image = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    beta, gamma = [2.0, 0.5], [3.0, 20.0]
    right, down = grid_weights.from_images(image, jnp.array(beta), jnp.array(gamma))
    scaled = image / 255

    def strength(p, q):
        distance = np.linalg.norm(scaled[p] - scaled[q]) / np.sqrt(3)
        return sum(b * np.exp(-g * distance) for b, g in zip(beta, gamma, strict=True))

    for b, i, j in np.ndindex(right.shape):
        want = strength((b, i, j), (b, i, j + 1))
        np.testing.assert_allclose(right[b, i, j], want, rtol=1e-5)
    for b, i, j in np.ndindex(down.shape):
        want = strength((b, i, j), (b, i + 1, j))
        np.testing.assert_allclose(down[b, i, j], want, rtol=1e-5)
    assert (right.shape, down.shape) == ((2, 4, 4), (2, 3, 5))


def test_types_of_images_agree():
    image = np.random.default_rng(1).integers(0, 256, (4, 5, 1), np.uint8)
    want = grid_weights.from_images(image, 1.0, 2.0)
    for dtype in (jnp.float32, jnp.bfloat16):
        other = jnp.asarray(image / 255, dtype)
        found = grid_weights.from_images(other, 1.0, 2.0)
        assert found[0].dtype == jnp.float32
        np.testing.assert_allclose(found[0], want[0], rtol=2e-2)


def test_flat_images_have_slopes():
    image = jnp.ones((3, 4, 3)).at[1, 1].set(0.2)

    def total(image, beta, gamma):
        return sum(x.sum() for x in grid_weights.from_images(image, beta, gamma))

    of_image, of_beta, of_gamma = jax.grad(total, argnums=(0, 1, 2))(image, 2.0, 3.0)
    assert np.isfinite(of_image).all()
    assert of_image[1, 1].min() > 0  # nearer to its neighbours is stronger
    np.testing.assert_allclose(of_beta, 13 + 4 * np.exp(-3 * 0.8), rtol=1e-6)
    np.testing.assert_allclose(of_gamma, -2 * 4 * 0.8 * np.exp(-3 * 0.8), rtol=1e-5)


def test_wrong_shapes_are_refused():
    with pytest.raises(errors.UserError, match="an axis for the channels"):
        grid_weights.from_images(np.ones((4, 5)), 1.0, 2.0)
    with pytest.raises(errors.UserError, match=r"got \[2\] and \[3\]"):
        grid_weights.from_images(np.ones((4, 5, 3)), np.ones(2), np.ones(3))
    with pytest.raises(errors.UserError, match=r"got \[1, 1\] and \[\]"):
        grid_weights.from_images(np.ones((4, 5, 3)), np.ones((1, 1)), 1.0)
