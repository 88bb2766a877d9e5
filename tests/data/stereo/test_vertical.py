"""Vertical offsets that were put in are found."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.stereo import vertical
from tests import stereo_scenes


@pytest.mark.parametrize("rows", [-5, -1, 0, 2, 8])
def test_the_offset_that_was_put_in_is_found_and_removed(rows):
    left, right, _ = stereo_scenes.pair(3)
    shifted = np.roll(right, rows, 0)
    assert vertical.offset(left, shifted, low=-8, high=8) == rows
    upper, lower = vertical.aligned(left, shifted, rows)
    start = max(-rows, 0)
    count = len(left) - abs(rows)
    np.testing.assert_array_equal(upper, left[start : start + count])
    np.testing.assert_array_equal(lower, right[start : start + count])


def test_a_real_pair_is_rectified_and_its_shifted_rows_are_found():
    import cv2
    from skimage import data

    left, right = (
        cv2.resize(view, (370, 250), interpolation=cv2.INTER_AREA)
        for view in data.stereo_motorcycle()[:2]
    )
    for rows in (0, 3):
        found = vertical.offset(
            left[: len(left) - rows], right[rows:], low=0, high=32, reach=4
        )
        assert found == -rows


def test_views_that_are_the_same_everywhere_are_not_moved():
    flat = np.full((30, 40, 3), 90, np.uint8)
    assert vertical.offset(flat, flat, low=-4, high=4) == 0


@pytest.mark.parametrize(
    ("shape", "low", "high", "reach"),
    [((30, 41, 3), -4, 4, 8), ((30, 40, 3), 4, -4, 8), ((30, 40, 3), -4, 4, 15)],
)
def test_what_has_no_offset_is_refused(shape, low, high, reach):
    view = np.zeros((30, 40, 3), np.uint8)
    with pytest.raises(errors.UserError, match="A vertical offset wants"):
        vertical.offset(
            view, np.zeros(shape, np.uint8), low=low, high=high, reach=reach
        )
