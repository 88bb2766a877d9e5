"""What points and winners say about a pair, at and around each threshold."""

import dataclasses
import re

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.stereo.points import Points
from dpjax.inference.stereo import doubts, engines
from dpjax.ops.stereo import matching
from tests import random_dots

RANGE = matching.Settings(disparities=32)


def seen(disparity, offset=0.0):
    disparity = np.asarray(disparity, float)
    offset = np.broadcast_to(np.asarray(offset, float), len(disparity))
    return Points(disparity, offset)


def found(disparity):
    disparity = np.asarray(disparity, np.float32)
    return engines.Match(disparity, np.isfinite(disparity), None, 0.0)


def test_a_good_pair_raises_no_doubts():
    assert doubts.of_points(None, RANGE) == []
    assert doubts.of_points(seen(np.linspace(0, 31, 50), 0.5), RANGE) == []
    assert doubts.of_winners(found([[3.0, 5.0, 20.0]]), RANGE) == []


@pytest.mark.parametrize(
    ("offset", "error"), [(0.9, None), (-1.2, None), (-3, errors.DataError)]
)
def test_rows_that_differ_are_told_in_pixels(offset, error):
    (doubt,) = doubts.of_points(seen([5] * 40, offset), RANGE)
    assert doubt.error is error
    assert "not rectified: of 40 points" in doubt.text
    side = "below" if offset > 0 else "above"
    assert f"left one lies {abs(offset):.1f} rows {side} the right" in doubt.text
    assert f"from {offset:+.1f} to {offset:+.1f}" in doubt.text
    assert "or move one view by that" in doubt.text


def test_a_turned_view_is_not_to_be_moved():
    (doubt,) = doubts.of_points(seen([5] * 40, np.linspace(-22, 20, 40)), RANGE)
    assert "from -22.0 to +20.0), wanted 0. Rectify the pair." in doubt.text


def test_points_on_the_wrong_side_mean_a_swapped_pair():
    (doubt,) = doubts.of_points(seen([-9] * 45 + [9] * 5), RANGE)
    assert doubt.error is errors.UserError
    assert "swapped: 90% of 50 points" in doubt.text
    far = doubts.of_points(seen([-90] * 45 + [9] * 5), RANGE)
    assert [x.error for x in far] == [errors.UserError]
    behind = dataclasses.replace(RANGE, min_disparity=-31)
    assert doubts.of_points(seen([-9] * 48 + [9] * 2), behind) == []
    (doubt,) = doubts.of_points(seen([9] * 45 + [-9] * 5), behind)
    assert "swapped" in doubt.text
    around = dataclasses.replace(RANGE, min_disparity=-16)
    for sign in (-1, 1):
        assert doubts.of_points(seen(sign * np.linspace(2, 14, 40)), around) == []


def test_points_beyond_the_range_are_told_with_one_that_holds_them():
    (doubt,) = doubts.of_points(seen([10] * 45 + [60] * 5), RANGE)
    assert doubt.error is None
    assert "range 0 to 31 is too small: 10% of 50 points" in doubt.text
    assert "Try --disparities 67." in doubt.text
    (doubt,) = doubts.of_points(seen([10] * 40 + [-20] * 10), RANGE)
    assert "--min-disparity -22 --disparities 58" in doubt.text
    assert doubts.of_points(seen([10] * 49 + [60]), RANGE) == []  # a wrong match


def test_winners_at_an_end_of_the_range_are_told():
    values = np.full((10, 10), 8.0)
    values[:1] = 31.2
    (doubt,) = doubts.of_winners(found(values), RANGE)
    assert doubt.text.startswith("10% of the disparities are 31, an end of the range")
    values[:1] = 0
    assert doubts.of_winners(found(values), RANGE) == []  # infinitely far
    (doubt,) = doubts.of_winners(
        found(values - 5), dataclasses.replace(RANGE, min_disparity=-5)
    )
    assert doubt.text.startswith("10% of the disparities are -5, an end of the range")


def test_few_answers_are_told():
    values = np.full((10, 10), np.nan)
    (doubt,) = doubts.of_winners(found(values), RANGE)
    assert "Only 0% of the pixels" in doubt.text
    values[:2] = 4
    (doubt,) = doubts.of_winners(found(values), RANGE)
    assert "Only 20% of the pixels" in doubt.text
    assert doubts.of_winners(found(values), RANGE, few_are_told=True) == []


def test_far_more_answers_with_the_sides_exchanged_mean_a_swapped_pair():
    few, many = (np.full((10, 10), np.nan) for _ in "12")
    few[:4], many[:6] = 3, 3
    assert doubts.of_sides(found(few), found(many)) == []
    many[:7] = 3
    (doubt,) = doubts.of_sides(found(few), found(many))
    assert doubt.error is errors.UserError
    assert "40% of the pixels are consistent, and 70%" in doubt.text
    assert doubts.of_sides(found(many), found(few)) == []


@pytest.mark.parametrize(("ours", "theirs"), [(4, 17), (10, 59), (45, 20)])
def test_few_answers_either_way_do_not_mean_a_swapped_pair(ours, theirs):
    few, more = (np.full((10, 10), np.nan) for _ in "12")
    few.flat[:ours], more.flat[:theirs] = 3, 3
    (doubt,) = doubts.of_sides(found(few), found(more))
    assert doubt.error is None
    said = f"same scene: .*, {ours}% of the pixels are consistent, and {theirs}% with"
    assert re.search(said, doubt.text)
    assert "swapped" not in doubt.text


def test_two_views_that_are_one_picture_are_told():
    left, right, _ = random_dots.pair()
    assert doubts.of_views(left, right) == []
    (doubt,) = doubts.of_views(left, left.copy())
    assert doubt.error is None
    assert doubt.text.startswith("Both views are the same picture")
