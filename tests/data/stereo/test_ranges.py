"""Ranges of disparities that are looked for hold those that there are."""

import numpy as np
import pytest

from dpjax.data.stereo import frames, ranges

METHOD = frames.Settings().method


@pytest.mark.parametrize("shift", [0, 25, -40])
@pytest.mark.parametrize("rows", [0, 6])
def test_the_range_of_a_real_pair_holds_what_its_truth_has(shift, rows):
    """The pair of scikit-image, whose cameras are parallel; seen converging, too."""
    from skimage import data

    left, right, truth = data.stereo_motorcycle()
    right = np.roll(right, (rows, shift), (0, 1))
    low, high = ranges.find(left, right, METHOD)
    known = truth[np.isfinite(truth)] - shift
    assert low <= np.quantile(known, 0.01)
    assert high >= np.quantile(known, 0.99)
    # Not much more: what is looked for costs time and makes mistakes.
    assert high - low < 2 * np.ptp(known)
    assert low % 16 == high % 16 == 0


def test_nothing_to_match_has_no_range():
    blank = np.full((40, 60, 3), 99, np.uint8)
    assert ranges.find(blank, blank, METHOD) is None
