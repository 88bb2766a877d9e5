"""Colour planes: every space gives the picture back; uint8 and float agree."""

import numpy as np
import pytest

from dpjax.ops import planes


@pytest.mark.parametrize("space", ["gray", "y", "rgb"])
@pytest.mark.parametrize("count", [1, 3])
def test_untouched_planes_give_the_picture_back(photo, space, count):
    image = photo[:40, :51, :count].astype(np.float32) / 255
    given, merge = planes.split(image, space)
    assert {part.shape[-1] for part in given} == {planes.channels(space)}
    result = merge(given)
    assert result.dtype == np.float32
    # The inverse of MATLAB's matrix is given to few digits (ycbcr2rgb).
    np.testing.assert_allclose(result, image, atol=2e-3 if space == "y" else 1e-6)


@pytest.mark.parametrize("space", ["gray", "y"])
def test_levels_are_the_rounded_floats(photo, space):
    levels = planes.take(photo, space)
    floats = planes.take(photo / 255.0, space) * 255
    assert levels.dtype == np.uint8
    assert np.abs(levels - floats).max() <= 0.5 + 1e-9


def test_results_beyond_the_range_are_clipped(photo):
    image = photo[:8, :8].astype(np.float32) / 255
    given, merge = planes.split(image, "rgb")
    assert merge([given[0] + 2]).max() == 1.0
