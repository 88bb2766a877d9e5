"""Relative disparity: its quantiles are 0 and 1, whatever the shift and the scale."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.stereo import relative


def test_shift_and_scale_of_disparities_do_not_matter_and_order_stays():
    rng = np.random.default_rng(0)
    d = rng.normal(0, 9, (30, 40))
    confident = rng.random(d.shape) < 0.7
    low, high = relative.ends(d, confident)
    found = relative.normalise(d, low, high)
    rising = np.sort(d[confident])
    place = 0.02 * (len(rising) - 1)
    lower = rising[int(place)]
    assert low == pytest.approx(
        lower + (place % 1) * (rising[int(place) + 1] - lower), abs=1e-12
    )
    again = relative.normalise(5 * d - 70, *relative.ends(5 * d - 70, confident))
    np.testing.assert_allclose(again, found, atol=1e-6)
    order = np.argsort(d.ravel())
    assert (np.diff(found.ravel()[order]) >= 0).all()
    share = (found[confident] < 0).mean(), (found[confident] > 1).mean()
    np.testing.assert_allclose(share, 0.02, atol=0.003)
    assert found.dtype == np.float32


def test_what_has_no_value_is_behind_everything():
    d = np.array([[1.0, np.nan], [3.0, -1.0]])
    np.testing.assert_array_equal(
        relative.normalise(d, 1, 3), np.float32([[0, -1], [1, -1]])
    )


def test_maps_without_spread_or_confidence_are_refused():
    with pytest.raises(errors.UserError, match="no spread"):
        relative.normalise(np.zeros((2, 2)), 3, 3)
    with pytest.raises(errors.UserError, match="want a confident pixel"):
        relative.ends(np.zeros((2, 2)), np.zeros((2, 2), bool))
