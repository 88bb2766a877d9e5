"""Pairs become relative disparity, or are rejected for what is wrong with them."""

import dataclasses

import cv2
import numpy as np
import pytest

from dpjax import errors
from dpjax.data.stereo import frames
from tests import random_dots, stereo_scenes

SETTINGS = frames.Settings(disparities=(-8, 8), rows=4)


def pair(left, right, name="a"):
    return frames.Pair(name, left, right, f"{name}.png")


def of_one(left, right, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return frames.process([pair(left, right)], settings)[0]


@pytest.fixture(scope="module")
def scene():
    """Two rows more than all frames that are matched, which have one size."""
    return stereo_scenes.pair(0, height=58)


@pytest.fixture(scope="module")
def frame(scene):
    return of_one(*(view[:56] for view in scene[:2]))


def test_the_board_is_nearer_than_the_wall_by_the_whole_range(scene, frame):
    left, _, disparity = (x[:56] for x in scene)
    np.testing.assert_array_equal(frame.image, left)
    is_board = disparity == stereo_scenes.BEFORE
    away = ~np.pad(np.zeros((52, 92), bool), 2, constant_values=True)
    assert np.abs(frame.disparity[is_board] - 1).mean() < 0.1
    assert np.abs(frame.disparity[~is_board & away]).mean() < 0.1
    assert frame.spread == pytest.approx(
        stereo_scenes.BEFORE - stereo_scenes.BEHIND, abs=0.5
    )
    assert frame.confident == (frame.confidence > 0).mean() > 0.8
    assert (frame.rows, frame.bars) == (0, (0, 0))
    # The strip at the left of the board, which the right view does not show, is filled
    # with the wall.
    strip = frame.confidence[18:36, 25:29]
    assert (strip == 0).mean() > 0.5
    assert frame.disparity[18:36, 24:29].mean() < 0.3


def test_offset_bars_and_colours_of_a_camera_do_not_change_the_disparity(scene, frame):
    left, right, _ = scene
    odd = np.roll(right, 2, 0)
    odd = (odd * [0.7, 0.9, 0.8] + [20, 10, 25]).astype(np.uint8)
    around = ((6, 4), (3, 5), (0, 0))
    found = of_one(np.pad(left, around), np.pad(odd, around))
    assert (found.rows, found.bars) == (2, (10, 8))
    np.testing.assert_array_equal(found.image, left[:-2])
    assert np.abs(found.disparity - frame.disparity).mean() < 0.05


def test_frames_do_not_depend_on_what_they_are_computed_with(scene, frame):
    others = [pair(*stereo_scenes.pair(k)[:2], name=str(k)) for k in (5, 6)]
    bad = pair(scene[0], scene[1][:40], name="bad")
    together = [others[0], bad, pair(*(x[:56] for x in scene[:2])), others[1]]
    found = frames.process(together, SETTINGS, batch=2)
    assert [one.name for one in found] == ["5", "bad", "a", "6"]
    np.testing.assert_array_equal(found[2].disparity, frame.disparity)
    np.testing.assert_array_equal(found[2].confidence, frame.confidence)


def rejections():
    left, right, _ = stereo_scenes.pair(0)
    flat = np.full_like(left, 100)
    grey = np.repeat(right.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    wall = stereo_scenes.texture(7, 56, 104)
    dots, others, _ = random_dots.pair()
    turn = cv2.getRotationMatrix2D((96, 64), 2, 1)
    return {
        "not rectified": (dots, cv2.warpAffine(others, turn, (192, 128))),
        "sizes differ": (left, right[:, 1:]),
        "constant": (left, flat),
        "monochrome": (left, grey),
        "black bars": (np.pad(left[:5], ((0, 51), (0, 0), (0, 0))), right),
        "too small": (left[:8], right[:8]),
        "vertical offset": (left, np.roll(right, 4, 0)),
        "not confident": (left, stereo_scenes.texture(9, 56, 96)),
        "low spread": (wall[:, 4:100], wall[:, 2:98]),
        "range too small": (wall[:, 0:96], wall[:, 8:104]),
        "swapped views": (right, left),
    }


@pytest.mark.parametrize("reason", rejections())
def test_what_tells_too_little_is_rejected_with_the_name_of_the_file(reason):
    changes = {"spread": 0.0} if reason == "range too small" else {}
    if reason == "not confident":
        changes = {"rows": 0}
    found = of_one(*rejections()[reason], **changes)
    assert isinstance(found, frames.Rejection)
    assert found.reason == reason, found
    assert found.message.startswith("a.png: ")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"disparities": (0, 16)}, None),
        ({"disparities": (-3, 16)}, None),
        ({"disparities": (0, 16), "is_signed": True}, "range too small"),
        ({"disparities": (0, 6)}, "range too small"),
    ],
)
def test_what_is_far_away_is_at_no_end_of_a_range_from_0(changes, reason):
    views = random_dots.pair(behind=0, before=6)[:2]
    assert getattr(of_one(*views, **changes), "reason", None) == reason


def test_views_without_colour_are_taken_if_asked(scene):
    grey = [np.repeat(x[:56, :, :1], 3, -1) for x in scene[:2]]
    assert isinstance(of_one(*grey, has_grey=True), frames.Frame)


def test_wide_views_are_shrunk_before_they_are_matched(scene):
    large = [np.kron(x[:56], np.ones((2, 2, 1), np.uint8)) for x in scene[:2]]
    found = of_one(*large, width=96)
    np.testing.assert_array_equal(found.image, scene[0][:56])


def test_ranges_that_were_asked_for_are_taken_and_have_to_rise(scene):
    views = [view[:56] for view in scene[:2]]
    assert SETTINGS.range_of(*views) == (-8, 8)
    with pytest.raises(errors.UserError, match="least to the largest"):
        frames.Settings(disparities=(5, 5))


def test_without_a_range_that_of_each_pair_is_looked_for(scene, frame):
    found = of_one(*(view[:56] for view in scene[:2]), disparities=None)
    low, high = found.disparities
    assert low <= stereo_scenes.BEHIND < stereo_scenes.BEFORE <= high
    assert np.abs(found.disparity - frame.disparity).mean() < 0.05
    blank = np.zeros((56, 96, 3), np.uint8)
    assert frames.Settings().range_of(blank, blank) == (-6, 6)
