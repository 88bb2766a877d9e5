"""Panels: what is shown is what was given, and text is somewhere."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.viz import panels


def holds(page, picture):
    """Whether a page shows a picture, pixel for pixel, somewhere."""
    h, w = picture.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(page, (h, w, 3))[:, :, 0]
    corner = (windows[:, :, 0, 0] == picture[0, 0]).all(-1)
    return any((windows[i, j] == picture).all() for i, j in np.argwhere(corner))


def test_pictures_stand_side_by_side_unchanged(photo):
    left, right = photo[:40, :200], photo[50:90, 100:300]
    page = panels.compose([("a", left), ("b", right)])
    assert page.dtype == np.uint8
    assert page.shape[1] >= 400
    assert holds(page[:60], left)
    assert holds(page[:60, 200:], right)


def test_captions_and_title_leave_ink(photo):
    part = photo[:30, :200]
    plain = panels.compose([("", part)])
    labelled = panels.compose([("noisy 14.2 dB", part)], title="a photograph")
    assert (plain[50:] == 255).all()
    below = labelled[-20:]
    assert 0.01 < (below < 128).mean() < 0.5
    assert (labelled[:30] < 128).any()
    assert labelled.shape[0] > plain.shape[0]


def test_long_captions_wrap(photo):
    short = panels.compose([("word", photo[:30, :200])])
    long = panels.compose([("many words " * 9, photo[:30, :200])])
    assert long.shape[1] == short.shape[1]
    assert long.shape[0] > short.shape[0] + 20


def test_grey_and_smaller_pictures_are_enlarged_by_whole_pixels():
    small = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    page = panels.compose([("small", small), ("large", np.repeat(small, 2, 0))])
    big = np.repeat(np.repeat(small, 2 * 48, 0), 48, 1)
    assert holds(page, np.stack([big] * 3, -1))


def test_huge_pictures_are_shrunk():
    page = panels.compose([("a", np.zeros((30, 5000, 3), np.uint8))], largest=500)
    assert page.shape[1] < 600


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_other_arrays_are_refused(picture):
    with pytest.raises(errors.UserError, match=r"'x' wants a picture uint8"):
        panels.compose([("x", picture)])


def test_an_empty_panel_is_refused():
    with pytest.raises(errors.UserError, match="at least one"):
        panels.compose([])
