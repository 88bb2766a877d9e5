"""Windows follow the law of the paper; pixels are those of the picture."""

import numpy as np
import pytest

from dpjax.data import area_crop
from dpjax.ops import resize


def windows(size, count, **options):
    return np.array(
        [
            area_crop.draw_window(size, np.random.default_rng([5, i]), **options)
            for i in range(count)
        ]
    )


def test_shares_and_ratios_are_drawn_uniformly():
    """In a square a first try fits whenever its longer side does."""
    size = (2000, 2000)
    top, left, height, width = windows(size, 3000).T
    share = height * width / 4e6
    assert 0.08 - 1e-3 <= share.min() < 0.085
    small = share < 0.7  # a ratio of 4/3 fits up to 3/4 of the area
    parts = np.histogram(share[small], bins=4, range=(0.08, 0.7))[0] / small.sum()
    np.testing.assert_allclose(parts, 0.25, atol=0.04)
    ratio = (height / width)[small]
    assert ratio.min() < 0.76
    assert ratio.max() > 1.32
    # U(3/4, 4/3) turned over half of the time: as often below 1 as above
    assert abs((ratio < 1).mean() - 0.5) < 0.04
    # P(3/4 <= r <= 0.875) = 0.5 * 0.125 / 0.5833 + 0.5 * (4/3 - 1 / 0.875) / 0.5833
    wanted = 0.5 * (0.125 + 4 / 3 - 1 / 0.875) / (4 / 3 - 3 / 4)
    assert abs((ratio <= 0.875).mean() - wanted) < 0.04
    assert (top + height <= 2000).all()
    assert (left + width <= 2000).all()
    middle = (top + height / 2)[height < 800] / 2000
    assert abs(middle.mean() - 0.5) < 0.03


def test_every_window_lies_inside_and_what_never_fits_is_the_middle_square():
    for size in ((8, 5000), (40, 31), (1, 1)):
        for top, left, height, width in windows(size, 60):
            assert 0 <= top <= size[0] - height
            assert 0 <= left <= size[1] - width
            assert min(height, width) >= 1
    whole = windows((100, 300), 1, area=(1.0, 1.0), aspect=(1.0, 1.0))
    assert whole.tolist() == [[0, 100, 100, 100]]


def test_the_generator_decides_alone():
    one, two = windows((300, 400), 2)
    assert (windows((300, 400), 2)[1] == two).all()
    assert (one != two).any()


@pytest.mark.parametrize("window", [(10, 20, 200, 230), (0, 0, 60, 45)])
def test_a_cut_is_a_bicubic_resampling_of_the_window(photo, window):
    top, left, height, width = window
    got = area_crop.cut(photo, window, 96)
    assert (got.shape, got.dtype) == ((96, 96, 3), np.uint8)
    part = photo[top : top + height, left : left + width]
    want = resize.imresize(part, size=(96, 96))
    inner = slice(4, -4)  # Pillow treats borders otherwise
    difference = np.abs(got.astype(int) - want)[inner, inner]
    assert difference.max() <= 1
