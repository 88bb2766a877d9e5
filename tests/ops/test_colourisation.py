"""Filling by colourisation against a dense solve whose weights come from loops."""

import math

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops import colour, colourisation


def weights_by_loops(gray):
    """W, dense [h w, h w], float64."""
    height, width = gray.shape
    found = np.zeros((gray.size, gray.size))
    for y, x in np.ndindex(gray.shape):
        window = [
            (b, a)
            for b in range(max(y - 1, 0), min(y + 2, height))
            for a in range(max(x - 1, 0), min(x + 2, width))
        ]
        variance = np.var([gray[place] for place in window])
        window.remove((y, x))
        squares = [(gray[place] - gray[y, x]) ** 2 for place in window]
        spread = max(0.6 * variance, -min(squares) / math.log(0.01), 2e-6)
        row = [math.exp(-square / spread) for square in squares]
        for (b, a), weight in zip(window, row, strict=True):
            found[y * width + x, b * width + a] = weight / sum(row)
    return found


def problem(shape=(11, 13), seed=0, share=0.15):
    """A picture of flat patches, edges and noise; some values are known."""
    rng = np.random.default_rng(seed)
    image = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((3, 4, 1)))
    image[:, 5:8] = rng.integers(0, 256, (12, 3, 3))
    image = image[: shape[0], : shape[1]].astype(np.uint8)
    known = rng.random(shape) < share
    return np.where(known, rng.uniform(0.5, 9, shape), np.nan), known, image


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(11, 13), (1, 9), (8, 1)])
def test_filling_is_the_solution_of_the_dense_system(shape, seed):
    values, known, image = problem(shape, seed, share=0.3)
    known[0, 0] = True
    values[0, 0] = 3.0
    gray = colour.rgb_to_gray(image / 255.0)[..., 0]
    held = np.diag(known.ravel().astype(float))
    system = np.eye(gray.size) - weights_by_loops(gray) + held
    wanted = np.linalg.solve(system, held @ np.nan_to_num(values).ravel())
    found = colourisation.fill(values, known, image)
    # Weights across an edge are 1e-7, so rounding of 1e-16 shows at 1e-9.
    np.testing.assert_allclose(found.ravel(), wanted, rtol=0, atol=1e-8)


def test_a_known_pixel_is_half_its_value_and_half_its_neighbours():
    values, known, image = problem()
    found = colourisation.fill(values, known, image).ravel()
    gray = colour.rgb_to_gray(image / 255.0)[..., 0]
    around = weights_by_loops(gray) @ found
    wanted = np.where(
        known.ravel(), (np.nan_to_num(values).ravel() + around) / 2, around
    )
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_constants_stay_and_nothing_exceeds_the_known_values():
    values, known, image = problem()
    constant = colourisation.fill(np.full(known.shape, 2.5), known, image)
    np.testing.assert_allclose(constant, 2.5, atol=1e-10)
    found = colourisation.fill(values, known, image)
    assert values[known].min() - 1e-10 <= found.min()
    assert found.max() <= values[known].max() + 1e-10


def test_values_stop_at_edges():
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, 14:] = 200
    known = np.zeros((20, 30), bool)
    known[4, 3] = known[15, 25] = True
    found = colourisation.fill(
        np.where(known, [[1.0] * 14 + [5.0] * 16], 0), known, image
    )
    np.testing.assert_allclose(found[:, :12], 1, atol=0.3)
    np.testing.assert_allclose(found[:, 16:], 5, atol=0.3)


def test_bytes_and_fractions_are_the_same_image():
    values, known, image = problem()
    wanted = colourisation.fill(values, known, image)
    np.testing.assert_array_equal(
        colourisation.fill(values, known, image / 255.0), wanted
    )


@pytest.mark.parametrize(
    ("values", "known", "image", "message"),
    [
        ((4, 5), (4, 4), (4, 4, 3), "same size"),
        ((4, 4), (4, 4), (4, 5, 3), "same size"),
        ((1, 1), (1, 1), (1, 1, 3), "at least 2 pixels"),
        ((4, 4), (4, 4), (4, 4, 3), "got 16 known, 0 finite"),
    ],
)
def test_what_cannot_be_filled_is_refused(values, known, image, message):
    values = np.full(values, np.nan)
    with pytest.raises(errors.UserError, match=message):
        colourisation.fill(values, np.ones(known, bool), np.zeros(image))


def test_without_known_values_there_is_an_error():
    with pytest.raises(errors.UserError, match="at least one known value"):
        colourisation.fill(np.ones((4, 4)), np.zeros((4, 4), bool), np.zeros((4, 4, 3)))
