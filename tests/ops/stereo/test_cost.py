"""Matching costs against loops over pixels and boxes."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops.stereo import cost


def pair(height, width, channels, seed=0, batch=1):
    rng = np.random.default_rng(seed)
    shape = (2, batch, height, width, channels)
    return rng.integers(0, 256, shape).astype(np.uint8)


def by_loops(left, right, first, count, box, most, distance):
    """The definition: boxes of distances, rows repeated, `most` beside the images."""
    height, width = left.shape[:2]
    reach = box // 2
    found = np.zeros((height, count, width), int)

    def of_pixel(y, x, d):
        y = min(max(y, 0), height - 1)
        if not (0 <= x < width and 0 <= x - d < width):
            return most
        return min(most, distance(left, right, y, x, x - d))

    for y, i, x in np.ndindex(found.shape):
        steps = range(-reach, reach + 1)
        found[y, i, x] = sum(
            of_pixel(y + a, x + b, first + i) for a in steps for b in steps
        )
    return found


def absolute_of_pixels(left, right, y, x, x_right):
    return np.abs(left[y, x].astype(int) - right[y, x_right]).sum()


def hamming_of_pixels(left, right, y, x, x_right):
    def bits(image, column):
        gray = image.astype(int).sum(-1) // image.shape[-1]
        padded = np.pad(gray, ((3, 3), (4, 4)), mode="edge")
        return padded[y : y + 7, column : column + 9] < gray[y, column]

    return (bits(left, x) != bits(right, x_right)).sum()


@pytest.mark.parametrize(
    ("width", "channels", "first", "count", "box"),
    [(8, 3, -3, 7, 3), (6, 1, 0, 5, 5), (4, 3, -9, 20, 1), (5, 1, 2, 1, 3)],
)
def test_absolute_differences_are_summed_over_boxes(width, channels, first, count, box):
    left, right = pair(5, width, channels, batch=2)
    found = cost.absolute(
        left, right, min_disparity=first, disparities=count, box=box, truncation=90
    )
    assert found.dtype == np.int16
    for i in range(2):
        wanted = by_loops(
            *(left[i], right[i], first, count, box, 90 * channels), absolute_of_pixels
        )
        np.testing.assert_array_equal(found[i], wanted)


@pytest.mark.parametrize(("channels", "box"), [(3, 1), (1, 3)])
def test_census_counts_comparisons_that_differ(channels, box):
    left, right = pair(5, 7, channels)
    found = cost.census(left, right, min_disparity=-2, disparities=5, box=box)
    wanted = by_loops(left[0], right[0], -2, 5, box, 62, hamming_of_pixels)
    np.testing.assert_array_equal(found[0], wanted)


def test_sums_too_large_for_16_bits_have_32():
    left = np.zeros((1, 9, 9, 3), np.uint8)
    options = {"min_disparity": 0, "disparities": 1, "box": 9, "truncation": 255}
    found = cost.absolute(left, 255 - left, **options)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, 255 * 3 * 81)


@pytest.mark.parametrize("kind", [cost.absolute, cost.census])
def test_the_mirrored_pair_has_the_same_costs_in_other_places(kind):
    left, right = pair(4, 9, 3, seed=1)
    options = {"min_disparity": -2, "disparities": 6, "box": 3}
    found = np.asarray(kind(left, right, **options))[0]
    mirrored = np.asarray(kind(right[:, :, ::-1], left[:, :, ::-1], **options))[0]
    for i in range(6):
        for x in range(9):
            x_right = x - (i - 2)
            if 0 <= x_right < 9:
                np.testing.assert_array_equal(
                    found[:, i, x], mirrored[:, i, 8 - x_right]
                )


def test_floats_are_levels_and_what_is_not_finite_costs_the_most():
    left, right = pair(4, 6, 3, seed=2)
    options = {"min_disparity": 0, "disparities": 3, "box": 1}
    whole = np.asarray(cost.absolute(left, right, **options))
    floats = (left / 255).astype(np.float32), (right / 255).astype(np.float32)
    np.testing.assert_array_equal(cost.absolute(*floats, **options), whole)
    floats[0][0, 1, 4, 2] = np.nan
    floats[1][0, 2, 3, 0] = np.inf
    found = np.asarray(cost.absolute(*floats, **options))
    wanted = whole.copy()
    wanted[0, 1, :, 4] = 120
    wanted[0, 2, [0, 1, 2], [3, 4, 5]] = 120
    np.testing.assert_array_equal(found, wanted)


def test_census_does_not_see_exposure():
    left, right = pair(6, 8, 1, seed=3)
    options = {"min_disparity": 0, "disparities": 4}
    right = right // 2
    np.testing.assert_array_equal(
        cost.census(left, right, **options),
        cost.census(left, right * 2 + 1, **options),
    )


@pytest.mark.parametrize("box", [1, 3])
def test_contrast_is_a_difference_among_what_is_wholly_seen(box):
    left, right = pair(4, 9, 3, seed=4)
    left[:], right[:] = 100, 100
    right[0, 2, 3] = 90
    options = {"min_disparity": -2, "disparities": 5, "box": box}
    costs = cost.absolute(left, right, **options)
    found = cost.has_contrast(costs, min_disparity=-2, box=box)
    reach = box // 2
    wanted = np.zeros((1, 4, 9), bool)
    # Disparities -2 to 2 and the box see column 3 from these columns.
    wanted[0, 2 - reach : 3 + reach, 1 - reach : 6 + reach] = True
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"right": np.zeros((1, 4, 5, 3), np.uint8)}, "same size"),
        ({"left": np.zeros((4, 6, 3), np.uint8)}, r"\[b, h, w, 1 or 3\]"),
        ({"left": np.zeros((1, 4, 6, 3), int)}, "uint8, or floats"),
        ({"disparities": 0}, "at least one disparity"),
        ({"min_disparity": 6}, "between -5 and 5 for 6 columns, got 3 from 6"),
        ({"min_disparity": -8}, "both views can show"),
        ({"box": 2}, "odd side, got 2"),
        ({"truncation": 0}, "1 to 255 levels, got 0"),
    ],
)
def test_what_cannot_be_matched_is_refused(change, message):
    view = np.zeros((1, 4, 6, 3), np.uint8)
    given = {"left": view, "right": view, "min_disparity": 0, "disparities": 3} | change
    if "left" in change and change["left"].ndim == 4:
        given["right"] = change["left"]
    with pytest.raises(errors.UserError, match=message):
        cost.absolute(given.pop("left"), given.pop("right"), **given)
