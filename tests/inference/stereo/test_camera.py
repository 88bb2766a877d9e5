"""Depth of disparities, by hand."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.inference.stereo import camera


def test_depth_is_focal_length_times_baseline_over_disparity():
    rig = camera.Camera(700.0, 0.5)
    found = rig.depth(np.array([[10.0, 35.0, np.nan, 0.0, -3.0]], np.float32))
    np.testing.assert_allclose(found, [[35.0, 10.0, 0, 0, 0]])
    assert found.dtype == np.float32


def test_an_offset_of_principal_points_is_added():
    rig = camera.Camera(700.0, 0.5, 5.0)
    found = rig.depth(np.array([[30.0, -4.0, -5.0, -6.0]]))
    np.testing.assert_allclose(found, [[10.0, 350.0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "name"),
    [
        ((0, 0.5), "focal_px"),
        ((np.inf, 0.5), "focal_px"),
        ((700, -1), "baseline_m"),
        ((700, 1, np.nan), "offset_px"),
    ],
)
def test_no_camera_has_other_numbers(numbers, name):
    with pytest.raises(errors.UserError, match=name):
        camera.Camera(*numbers)
