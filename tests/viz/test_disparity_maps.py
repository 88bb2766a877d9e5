"""Pictures of disparities: colours by value, and a legend of what is unknown."""

import numpy as np
import pytest

from dpjax.viz import depth_maps, disparity_maps


def test_large_disparities_are_red_small_ones_blue_and_unknown_ones_grey():
    values = np.tile(np.linspace(5, 60, 300, dtype=np.float32), (40, 1))
    values[10:20, 100:200] = np.nan
    page = disparity_maps.picture(values)
    assert page.dtype == np.uint8
    # The ends of turbo are dark; a tenth from them it is blue and red.
    red, _, blue = page[0, 30].astype(int)
    assert blue > red + 50
    red, _, blue = page[0, 270].astype(int)
    assert red > blue + 50
    assert (page[10:20, 100:200] == depth_maps.INVALID).all()
    legend = page[-26:]
    assert (legend == depth_maps.INVALID).all(-1).sum() > 100
    assert (legend.sum(-1) < 300).sum() > 50  # its text


def test_there_is_no_legend_where_all_is_known():
    values = np.tile(np.linspace(5, 60, 300), (40, 1))
    whole = disparity_maps.picture(values)
    values[0, 0] = np.inf
    assert len(disparity_maps.picture(values)) == len(whole) + 26


@pytest.mark.parametrize("value", [np.nan, 7.0])
def test_maps_of_one_value_or_of_none_are_shown(value):
    page = disparity_maps.picture(np.full((20, 20), value))
    colours = np.unique(page[:240].reshape(-1, 3), axis=0)
    assert len(colours) == 1
    assert (tuple(colours[0]) == depth_maps.INVALID) == np.isnan(value)


def test_a_few_wrong_matches_do_not_take_the_colours_of_the_others():
    values = np.tile(np.linspace(5, 60, 300), (40, 1))
    clean = disparity_maps.picture(values)
    values[0, :20] = 500
    dirty = disparity_maps.picture(values)
    change = np.abs(clean[1:40].astype(int) - dirty[1:40]).max()
    assert change < 16
