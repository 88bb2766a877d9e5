"""Holes vote for the surface that they look like."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.stereo import swapped


def row(colour_of_hole, low, high, hole=6, side=10):
    """A row of a surface, a hole, and another surface."""
    image = np.repeat([50, colour_of_hole, 200], [side, hole, side])
    disparity = np.repeat([low, 0.0, high], [side, hole, side])
    valid = np.repeat([True, False, True], [side, hole, side])
    return np.repeat(image[None, :, None], 3, 2), disparity[None], valid[None]


@pytest.mark.parametrize(
    ("colour", "low", "high", "hole", "votes"),
    [
        (60, -2, 5, 6, (1, 0)),  # goes on with the wall at its left
        (190, -2, 5, 6, (0, 1)),  # goes on with the board at its right
        (125, -2, 5, 6, (0, 0)),  # like neither
        (60, 5, -2, 6, (0, 0)),  # the left view sees all of a falling step
        (60, 3, 5, 6, (0, 0)),  # no step
        (60, -2, 5, 2, (0, 0)),  # too narrow
        (60, -2, 5, 81, (0, 0)),  # too wide
    ],
)
def test_a_hole_votes_for_the_surface_that_it_looks_like(
    colour, low, high, hole, votes
):
    assert swapped.votes(*row(colour, low, high, hole)) == votes


def test_holes_at_the_border_say_nothing():
    image, disparity, valid = row(60, -2, 5)
    assert swapped.votes(image[:, 7:], disparity[:, 7:], valid[:, 7:]) == (0, 0)


def test_arrays_of_different_sizes_are_refused():
    image, disparity, valid = row(60, -2, 5)
    with pytest.raises(errors.UserError, match="Holes want"):
        swapped.votes(image, disparity[:, 1:], valid)
