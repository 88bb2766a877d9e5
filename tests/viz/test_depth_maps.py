"""Depth as colours: order, ranges, holes, and bars that say what colours mean."""

import numpy as np
import pytest

from dpjax.viz import depth_maps


def luma(picture):
    return picture.astype(float) @ [0.299, 0.587, 0.114]


@pytest.mark.parametrize("is_log", [False, True])
def test_colours_are_those_of_the_map_between_its_ends(is_log):
    from matplotlib import colormaps

    values = np.array([[1.0, 10.0, 100.0, 0.1, 1e9, 5.5]])
    picture = depth_maps.colours(values, least=1, most=100, name="magma", is_log=is_log)
    assert picture.dtype == np.uint8
    share = np.log10(values) / 2 if is_log else (values - 1) / 99
    wanted = colormaps["magma"](np.rint(255 * share.clip(0, 1)).astype(int), bytes=True)
    np.testing.assert_array_equal(picture, wanted[..., :3])
    if is_log:
        assert np.ptp(picture[0, 1] - colormaps["magma"](128, bytes=True)[:3]) == 0


def test_larger_errors_are_lighter():
    picture = depth_maps.colours(
        np.linspace(0, 1, 50)[None], least=0, most=1, name=depth_maps.ERROR_COLOURS
    )
    assert (np.diff(luma(picture)[0]) > 0).all()


def test_pixels_without_a_value_are_grey():
    values = np.array([[1.0, np.nan, np.inf, 2.0, 0.0]])
    valid = np.array([[True, True, True, False, True]])
    picture = depth_maps.colours(values, valid, least=0.5, most=2, is_log=True)
    is_grey = (picture == depth_maps.INVALID).all(-1)
    np.testing.assert_array_equal(is_grey, [[False, True, True, True, False]])


def test_a_bar_stands_below_the_picture_and_has_its_colours():
    values = np.tile(np.linspace(1, 9, 300), (40, 1))
    scale = {"least": 1.0, "most": 9.0}
    picture = depth_maps.colours(values, **scale)
    page = depth_maps.with_bar(picture, **scale)
    np.testing.assert_array_equal(page[:40], picture)
    assert page.shape[1] == 300
    bar = page[40 + 12]
    assert np.abs(bar.astype(int) - picture[0]).max() <= 6  # both rise from 1 to 9
    letters = page[-14:]
    assert 0.01 < (luma(letters) < 128).mean() < 0.3
    other = depth_maps.with_bar(picture, least=1.0, most=9.0, unit="km")
    assert (other[-14:] != letters).any()
    np.testing.assert_array_equal(other[:-20], page[:-20])


def test_narrow_pictures_are_enlarged_by_whole_pixels():
    picture = depth_maps.colours(np.arange(12.0).reshape(3, 4), least=0, most=11)
    page = depth_maps.with_bar(picture, least=0, most=11)
    assert page.shape[1] == 240
    np.testing.assert_array_equal(page[:180:60, ::60], picture)


@pytest.mark.parametrize(
    ("least", "most", "is_log", "wanted"),
    [
        (0, 10, False, [0, 2, 4, 6, 8, 10]),
        (0, 0.3, False, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (1.17, 4.12, False, [1.5, 2, 2.5, 3, 3.5, 4]),
        (1.17, 4.12, True, [1.5, 2, 2.5, 3, 3.5, 4]),
        (0.7, 10, True, [1, 2, 5, 10]),
        (1, 80, True, [1, 2, 5, 10, 20, 50]),
        (0, 1e-3, False, [0, 2e-4, 4e-4, 6e-4, 8e-4, 1e-3]),
        (300, 301, False, [300, 300.2, 300.4, 300.6, 300.8, 301]),
    ],
)
def test_ticks_are_round_numbers(least, most, is_log, wanted):
    assert depth_maps.ticks(least, most, is_log=is_log) == wanted


def _scene(size=(60, 300)):
    truth = np.tile(np.linspace(1, 8, size[1]), (size[0], 1))
    valid = np.ones(size, bool)
    valid[:, :50] = False
    return np.full((*size, 3), 90, np.uint8), truth, 1.1 * truth, valid


def test_a_panel_shows_depth_error_and_deviation():
    image, truth, prediction, valid = _scene()
    three = depth_maps.panel(image, truth, prediction, valid, title="room")
    four = depth_maps.panel(
        image, truth, prediction, valid, deviation=np.full(truth.shape, 0.1 / 1.1)
    )
    assert four.shape[1] - three.shape[1] == 300 + 12
    grey = (three == depth_maps.INVALID).all(-1).sum(1).max()
    assert grey == 100  # 50 columns of the truth and of the error, not the prediction
    # A deviation that equals the error has its colours, where there is truth.
    places = [12 + i * 312 for i in (3, 4)]
    error, spread = (four[30, x + 60 : x + 290].astype(int) for x in places)
    assert np.abs(error - spread).max() <= 8
    assert luma(error)[0] < luma(error)[-1] - 50


def test_single_points_are_shown_as_dots():
    image, truth, prediction, valid = _scene()
    points = np.zeros_like(valid)
    points[::10, ::10] = True
    page = depth_maps.panel(image, np.where(points, truth, 0), prediction, points)
    part = page[12:72, 324:624]  # the truth
    shown = (part != depth_maps.INVALID).any(-1)
    assert shown[10, 10]
    assert shown[12, 11]
    assert not shown[15, 15]
    assert 0.15 < shown.mean() < 0.3


def test_a_panel_of_nothing_known_is_drawn():
    image, truth, prediction, valid = _scene()
    page = depth_maps.panel(image, 0 * truth, prediction, np.zeros_like(valid))
    assert page.shape[0] > 60
    same = depth_maps.panel(image, np.ones_like(truth), np.ones_like(truth), valid)
    assert same.shape == page.shape


def test_a_few_pixels_do_not_take_the_colours_of_all_others():
    depth = np.full((50, 50), 3.0)
    depth[:, 20:] = 6.0
    depth[0, :3] = 100.0
    depth[0, 3] = 0.1
    depth[1, :2] = np.nan, np.inf
    assert depth_maps.ends(depth) == (3.0, 6.0)


def test_the_ends_of_a_flat_map_or_of_none_are_apart():
    assert depth_maps.ends(np.full((4, 5), 2.0)) == (2.0, 2.02)
    least, most = depth_maps.ends(np.full((4, 5), np.nan))
    assert 0 < least < most
    flat = {"least": 2.0, "most": 2.02, "is_log": True}
    page = depth_maps.with_bar(
        depth_maps.colours(np.full((40, 300), 2.0), **flat), **flat
    )
    assert page.shape[0] > 40
