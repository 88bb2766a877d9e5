"""Windows of resized pictures: where they lie, and which pixels a map shows there."""

import numpy as np
import pytest

from dpjax.data import crop_window

SIZE, CROP = (113, 149), (64, 80)


def draw(seed, **options):
    return crop_window.draw(SIZE, np.random.default_rng(seed), crop=CROP, **options)


def test_nearest_pixels_are_those_that_centres_fall_on():
    for size, source in ((7, 5), (5, 7), (9, 9), (1, 4), (16, 4)):
        wanted = np.floor((np.arange(size) + 0.5) * source / size)
        found = crop_window.nearest(np.arange(size), size, source)
        assert np.array_equal(found, wanted)


def test_sizes_are_drawn_from_the_steps():
    windows = [draw(i, scales=(0.7, 1.3), step=0.1) for i in range(200)]
    for window in windows:
        assert window.size == tuple(round(side * window.scale) for side in SIZE)
    wanted = {(round(113 * s / 10), round(149 * s / 10)) for s in range(7, 14)}
    assert {window.size for window in windows} == wanted


def test_windows_lie_inside_of_large_pictures_and_around_small_ones():
    tops = {draw(i, scales=(0.5, 0.5)).top for i in range(200)}
    assert tops == set(range(56 - 64, 1))
    tops = {draw(i).top for i in range(1000)}
    assert tops == set(range(113 - 64 + 1))


@pytest.mark.parametrize(
    ("pixel", "place"),
    [
        ((50, 70), (50 * 2 + 1 - 32, 70 * 2 + 1 - 40)),
        ((0, 0), (0, 0)),
        ((112, 148), (226 - 64, 298 - 80)),
    ],
)
def test_a_pixel_is_in_the_middle_as_far_as_the_picture_reaches(pixel, place):
    window = crop_window.Window((226, 298), 5, 6, scale=2.0)
    found = crop_window.centred(window, pixel, CROP)
    assert (found.top, found.left) == place
    assert (found.size, found.scale) == (window.size, window.scale)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("source", [SIZE, (55, 305)])
def test_a_map_of_any_size_shows_the_view_of_the_picture(seed, source):
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 9, source).astype(np.float32)
    window = draw(seed, scales=(0.4, 2.0))
    found = crop_window.cut_map(values, window, CROP, -1)
    wanted = np.full(CROP, -1, np.float32)
    for row in range(CROP[0]):
        for column in range(CROP[1]):
            place = window.top + row, window.left + column
            if all(0 <= p < side for p, side in zip(place, window.size, strict=True)):
                pixel = tuple(
                    int((p + 0.5) * length / side)
                    for p, length, side in zip(place, source, window.size, strict=True)
                )
                wanted[row, column] = values[pixel]
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("size", "bounds", "short"),
    [
        ((375, 500), (450, 800), 450),
        ((500, 375), (450, 800), 450),
        ((1024, 2048), (450, 800), 800),
        ((500, 700), (450, 800), 500),
        ((375, 500), (0, 0), 375),
        ((900, 900), (450, 0), 900),
    ],
)
def test_short_sides_are_brought_within_bounds(size, bounds, short):
    factor = crop_window.fit_short_side(size, bounds)
    assert round(min(size) * factor, 9) == short
