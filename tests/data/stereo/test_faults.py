"""Pairs that cannot be matched along rows are told from those that can."""

import cv2
import numpy as np
import pytest

from dpjax.data.stereo import faults
from tests import random_dots, stereo_scenes

SIDES = ("left", "right")
NAMES = ("adirondack", "art", "cones", "dolls", "moebius", "reindeer", "teddy")


@pytest.fixture(scope="module", params=[*NAMES, "tsukuba"])
def real(data_root, request):
    """A pair of Middlebury's."""
    paths = (data_root / "stereo" / request.param / f"{s}.png" for s in SIDES)
    views = [cv2.imread(str(path)) for path in paths]
    if any(view is None for view in views):
        pytest.skip(f"DPJAX_DATA has no stereo/{request.param}")
    return [cv2.cvtColor(view, cv2.COLOR_BGR2RGB) for view in views]


def turned(view, degrees, zoom=1.0):
    height, width = view.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, zoom)
    return cv2.warpAffine(view, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


def test_real_pairs_are_rectified_and_have_a_left_view(real):
    left, right = real
    assert faults.of_views(left, right) is None
    assert faults.of_points(left, right) is None
    assert faults.of_points(right, left).reason == "swapped views"


@pytest.mark.parametrize(("degrees", "zoom"), [(1, 1), (-2, 1), (0, 1.02)])
def test_real_pairs_are_noticed_that_are_turned_or_enlarged(real, degrees, zoom):
    left, right = real
    found = faults.of_points(left, turned(right, degrees, zoom), is_shifted=True)
    assert found.reason == "not rectified"
    assert "rectify" in found.text


def test_rows_may_differ_where_that_is_allowed_and_sides_too():
    left, right, _ = random_dots.pair()
    assert faults.of_points(left, right) is None
    lower = np.roll(right, 4, 0)
    assert faults.of_points(left, lower).reason == "not rectified"
    assert faults.of_points(left, lower, is_shifted=True) is None
    swapped = faults.of_points(right, left)
    assert swapped.reason == "swapped views"
    assert "exchange left and right" in swapped.text
    assert faults.of_points(right, left, is_signed=True) is None


def test_where_no_points_are_found_nothing_is_said():
    other = stereo_scenes.texture(9, 128, 192)
    assert faults.of_points(stereo_scenes.texture(8, 128, 192), other) is None


def test_views_have_one_size_and_contrast():
    left, right, _ = stereo_scenes.pair()
    assert faults.of_views(left, right) is None
    assert faults.of_views(left, right[1:]).reason == "sizes differ"
    flat = np.full_like(left, 90)
    assert faults.of_views(left, flat) == ("constant", "the right view has one colour")
    assert faults.of_views(flat, left) == ("constant", "the left view has one colour")
