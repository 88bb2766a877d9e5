"""Checks of both views against loops over pixels."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops.stereo import checks


def views(seed=0, shape=(2, 4, 9)):
    return np.random.default_rng(seed).integers(-5, 6, (2, *shape)).astype(np.int32)


@pytest.mark.parametrize("tolerance", [0, 1, 3])
def test_views_agree_where_the_way_back_ends_near_the_start(tolerance):
    left, right = views()
    found = checks.is_consistent(left, right, tolerance=tolerance)
    wanted = np.zeros(left.shape, bool)
    for i, y, x in np.ndindex(left.shape):
        match = x - left[i, y, x]
        if 0 <= match < left.shape[-1]:
            back = match + right[i, y, match]
            wanted[i, y, x] = abs(back - x) <= tolerance
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("tolerance", [0, 1, 30])
def test_a_pixel_is_seen_if_a_pixel_of_the_right_view_is_matched_with_it(tolerance):
    _, right = views(1)
    found = checks.is_seen(right, tolerance=tolerance)
    width = right.shape[-1]
    for i, y, x in np.ndindex(right.shape):
        targets = np.arange(width) + right[i, y]
        targets = targets[(targets >= 0) & (targets < width)]
        assert found[i, y, x] == (np.abs(targets - x) <= tolerance).any()


def test_matches_beside_the_image_are_not_inside():
    left = np.array([[[1, 1, -1, -1], [0, 2, 2, 4]]], np.int32)
    wanted = [[[False, True, True, False], [True, False, True, False]]]
    np.testing.assert_array_equal(checks.is_inside(left), wanted)


@pytest.mark.parametrize(
    ("left", "right", "tolerance", "message"),
    [
        (np.zeros((1, 2, 3), np.float32), np.zeros((1, 2, 3), int), 1, "whole numbers"),
        (np.zeros((1, 2, 3), int), np.zeros((1, 2, 4), int), 1, "both views"),
        (np.zeros((2, 3), int), np.zeros((2, 3), int), 1, r"\[b, h, w\]"),
        (np.zeros((1, 2, 3), np.uint8), np.zeros((1, 2, 3), np.uint8), 1, "signed"),
        (np.zeros((1, 2, 3), int), np.zeros((1, 2, 3), int), -1, "0 pixels or more"),
    ],
)
def test_what_cannot_be_compared_is_refused(left, right, tolerance, message):
    with pytest.raises(errors.UserError, match=message):
        checks.is_consistent(left, right, tolerance=tolerance)
