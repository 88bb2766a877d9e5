"""Patches around points against one sample at a time."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import patches


def _looped(image, centre, box, side):
    h, w, c = image.shape
    out = np.empty((side, side, c))
    for i in range(side):
        for j in range(side):
            y, x = (
                min(max(p + (k + 0.5) * box / side - box / 2, 0), n - 1)
                for p, k, n in zip(centre, (i, j), (h, w), strict=True)
            )
            y0, x0 = int(np.floor(y)), int(np.floor(x))
            y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
            top = image[y0, x0] * (1 - x + x0) + image[y0, x1] * (x - x0)
            bottom = image[y1, x0] * (1 - x + x0) + image[y1, x1] * (x - x0)
            out[i, j] = top * (1 - y + y0) + bottom * (y - y0)
    return out


@pytest.mark.parametrize(("box", "side"), [(4, 4), (5, 9), (12, 5), (1, 3)])
def test_every_sample_is_bilinear_and_edges_repeat(box, side):
    rng = np.random.default_rng(0)
    images = rng.random((2, 7, 9, 3), np.float32)
    centres = rng.uniform(-1, 8, (2, 5, 2)).astype(np.float32)
    found = jax.jit(patches.around, static_argnums=(2, 3))(images, centres, box, side)
    for b in range(2):
        for p in range(5):
            wanted = _looped(images[b].astype(np.float64), centres[b, p], box, side)
            np.testing.assert_allclose(found[b, p], wanted, atol=2e-6)


def test_a_box_of_odd_side_around_a_pixel_is_that_part_of_the_image():
    image = np.random.default_rng(1).random((1, 8, 8, 2), np.float32)
    found = patches.around(image, np.array([[[3.0, 4.0]]], np.float32), 3, 3)
    np.testing.assert_array_equal(found[0, 0], image[0, 2:5, 3:6])


@pytest.mark.parametrize(
    ("shape", "centres", "box", "side", "message"),
    [
        ((4, 4, 1), (1, 2, 2), 2, 2, r"images \[b, h, w, c\]"),
        ((1, 4, 4, 1), (2, 2, 2), 2, 2, r"centres \[b, n, 2\]"),
        ((1, 4, 4, 1), (1, 2, 2), 0, 2, "at least 1 pixel, got 0 and 2"),
    ],
)
def test_bad_arguments_are_explained(shape, centres, box, side, message):
    with pytest.raises(errors.UserError, match=message):
        patches.around(jnp.zeros(shape), jnp.zeros(centres), box, side)
