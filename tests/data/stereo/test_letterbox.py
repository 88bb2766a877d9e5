"""Bars that were painted are found; what looks like one is judged by loops."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.stereo import letterbox
from tests import stereo_scenes


def brute(image):
    """The window by peeling off dark rows, then dark columns."""
    h, w = image.shape[:2]

    def dark(pixels):
        return sum(int(max(p) <= 24) for p in pixels) >= 0.995 * len(pixels)

    top, bottom, left, right = 0, h, 0, w
    while top < bottom and dark(image[top]):
        top += 1
    while bottom > top and dark(image[bottom - 1]):
        bottom -= 1
    while left < right and dark(image[top:bottom, left]):
        left += 1
    while right > left and dark(image[top:bottom, right - 1]):
        right -= 1
    return top, bottom, left, right


@pytest.mark.parametrize("bars", [(0, 0, 0, 0), (5, 7, 0, 0), (3, 0, 2, 9)])
def test_painted_bars_are_found(bars):
    above, below, before, behind = bars
    image = np.pad(
        stereo_scenes.texture(0, 30, 40), ((above, below), (before, behind), (0, 0))
    )
    # Noise of compression, and a mark of one pixel.
    noise = np.random.default_rng(0).integers(0, 12, image.shape, np.uint8)
    image = np.where(image == 0, noise, image).astype(np.uint8)
    window = letterbox.find(image)
    assert window == (above, 30 + above, before, 40 + before)
    assert window.size == (30, 40)
    assert window.of(image).shape == (30, 40, 3)


def test_dark_rows_within_the_picture_and_few_bright_pixels_are_no_edge():
    rng = np.random.default_rng(4)
    for _ in range(20):
        image = stereo_scenes.texture(1, 24, 300)
        image[rng.random(24) < 0.5] = 10
        image[:, rng.random(300) < 0.5] = 10
        image[rng.integers(24), rng.integers(300)] = 255
        window = letterbox.find(image)
        assert window == brute(image)


def test_a_black_picture_has_no_window():
    assert letterbox.find(np.zeros((9, 12, 3), np.uint8)).size == (0, 0)


def test_views_with_bars_of_different_widths_share_what_both_show():
    left, right = letterbox.Window(2, 30, 0, 35), letterbox.Window(3, 40, 4, 40)
    assert left.common(right) == right.common(left) == (3, 30, 4, 35)
    assert left.common(letterbox.Window(50, 60, 0, 9)).size == (0, 9)


def test_other_arrays_are_refused():
    with pytest.raises(errors.UserError, match="uint8"):
        letterbox.find(np.zeros((4, 4), np.uint8))
