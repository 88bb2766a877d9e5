"""Points that both views show, on views that are moved by what is known."""

import cv2
import numpy as np
import pytest

from dpjax.data.stereo import points
from tests import random_dots


def test_points_have_the_disparities_of_the_scene_and_no_offset():
    left, right, _ = random_dots.pair()
    found = points.match(left, right)
    assert len(found.disparity) > 200
    off = np.minimum(
        np.abs(found.disparity - random_dots.BEHIND),
        np.abs(found.disparity - random_dots.BEFORE),
    )
    assert (off < 1).mean() > 0.95
    assert (np.abs(found.disparity - random_dots.BEFORE) < 1).mean() > 0.05
    assert np.abs(found.offset).max() < 0.3


@pytest.mark.parametrize("rows", [3, -5])
def test_a_view_that_is_moved_down_has_that_offset(rows):
    left, right, _ = random_dots.pair(channels=1)
    found = points.match(left, np.roll(right, rows, 0))
    assert np.median(found.offset) == pytest.approx(-rows, abs=0.3)


def test_a_view_that_is_turned_has_the_offsets_of_its_ends():
    left, right, _ = random_dots.pair()
    degrees = 2
    turn = cv2.getRotationMatrix2D((96, 64), degrees, 1)
    found = points.match(left, cv2.warpAffine(right, turn, (192, 128)))
    # From the margin of the features on one side to that on the other.
    wanted = np.sin(np.radians(degrees)) * (192 - 2 * 31)
    assert np.ptp(found.offset) == pytest.approx(wanted, rel=0.35)
    assert abs(np.median(found.offset)) < 1


def test_views_of_different_scenes_or_without_features_say_nothing():
    left, _, _ = random_dots.pair()
    _, right, _ = random_dots.pair(seed=7)
    assert points.match(left, right) is None
    flat = np.full_like(left, 90)
    assert points.match(flat, flat) is None
    assert points.match(left, flat) is None


def test_the_same_points_come_twice():
    left, right, _ = random_dots.pair()
    for one, other in zip(*(points.match(left, right) for _ in "12"), strict=True):
        np.testing.assert_array_equal(one, other)
