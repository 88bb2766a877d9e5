"""Relative depth as colours: the same for every unit, whatever a few pixels hold."""

import numpy as np
import pytest

from dpjax.viz import depth_maps, relative_maps

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(40, 50))


def test_a_range_goes_from_0_to_1_and_forgets_scale_and_shift():
    found = relative_maps.shares(VALUES)
    low, high = np.quantile(VALUES, [0.02, 0.98])
    np.testing.assert_allclose(found, (VALUES - low) / (high - low))
    np.testing.assert_allclose(relative_maps.shares(7 * VALUES - 3), found)


def test_pixels_that_are_not_valid_take_no_colours_and_are_grey():
    valid = RNG.random(VALUES.shape) < 0.5
    wild = np.where(valid, VALUES, 1e9)
    found, again = (relative_maps.shares(v, valid) for v in (wild, VALUES))
    np.testing.assert_allclose(found[valid], again[valid])
    picture = relative_maps.picture(wild, valid)
    side = picture.shape[1] // 50  # enlarged for the numbers of the bar
    shown = picture[: 40 * side : side, ::side]
    assert (shown[~valid] == depth_maps.INVALID).all()
    assert (shown[valid] != depth_maps.INVALID).any(-1).all()


def test_maps_without_a_range_have_the_colour_of_the_middle():
    for values, valid in ((np.ones((3, 4)), None), (VALUES, np.zeros((40, 50), bool))):
        np.testing.assert_array_equal(relative_maps.shares(values, valid), 0.5)


def test_a_range_that_is_given_is_the_one_of_every_map():
    found = relative_maps.shares(VALUES, between=(-2.0, 6.0))
    np.testing.assert_allclose(found, (VALUES + 2) / 8)
    both = [relative_maps.picture(v, between=(-2.0, 6.0)) for v in (VALUES, VALUES + 1)]
    assert (both[0] != both[1]).mean() > 0.5
    own = [relative_maps.picture(v) for v in (VALUES, VALUES + 1)]
    assert (own[0] != own[1]).mean() < 0.01


@pytest.mark.parametrize("value", [0.0, -3.0, 1e6])
def test_the_ends_of_a_constant_map_rise(value):
    low, high = relative_maps.ends(np.full((3, 4), value))
    assert low < value < high
    assert (low + high) / 2 == pytest.approx(value)
    assert relative_maps.ends(VALUES, np.zeros((40, 50), bool)) == (-0.5, 0.5)


def test_far_is_red_and_near_is_blue():
    ramp = np.repeat(np.linspace(0, 1, 300)[None], 200, 0)
    picture = relative_maps.picture(ramp)
    near, far = picture[100, 20].astype(int), picture[100, -20].astype(int)
    assert near[2] > near[0]
    assert far[0] > far[2]


def test_a_panel_shows_the_truth_where_there_is_one():
    image = RNG.integers(0, 256, (240, 300, 3)).astype(np.uint8)
    ramp = np.repeat(np.linspace(0, 1, 300)[None], 240, 0)
    two = relative_maps.panel(image, ramp, caption="WHDR 0.1")
    three = relative_maps.panel(
        image, ramp, truth=ramp, valid=np.ones(ramp.shape, bool), caption="WHDR 0.1"
    )
    assert two.dtype == np.uint8
    assert three.shape[0] == two.shape[0]
    assert three.shape[1] > two.shape[1] + 250
