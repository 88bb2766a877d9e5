"""Bars are as long as their shares."""

import numpy as np

from dpjax.viz import bars

GREEN, GRAY = (60, 150, 80), (150, 160, 175)


def lengths(picture, colour):
    """Longest run of a colour in each band of 44 pixels, one for each name."""
    hit = (picture == colour).all(-1)
    return [int(hit[8 + 44 * i : 52 + 44 * i].sum(1).max()) for i in range(3)]


def test_bars_are_as_long_as_their_shares_and_the_marked_one_is_green():
    picture = bars.draw(("a", "b", "c"), (0.5, 0.25, 0.0), marked="b", size=(200, 416))
    assert picture.shape == (200, 416, 3)
    assert picture.dtype == np.uint8
    gray, green = lengths(picture, GRAY), lengths(picture, GREEN)
    assert gray[0] == 201  # half of 400, both ends included
    assert green[1] == 101
    assert gray[1:] == [0, 0]
    assert green[::2] == [0, 0]


def test_long_names_leave_room_for_the_number():
    short = bars.draw(("x",), (0.5,), size=(60, 300))
    long = bars.draw(("a very " * 30,), (0.5,), size=(60, 300))
    number = np.s_[8:30, 245:]
    np.testing.assert_array_equal(short[number], long[number])
    assert (long[number] != 255).any()
