"""Pictures of depth: what their colours stand for, which no map depends on."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.tasks import depth, relative_depth, segmentation
from dpjax.viz import depth_maps, relative_maps

TASK = depth.Depth(size=(30, 40))


def shown(metres, **options):
    """What is made of a network's answer, of a photograph of the same size."""
    image = np.zeros((*metres.shape, 3), np.float32)
    _, finish = TASK.request(image, options)
    return finish([np.log(metres)[..., None].astype(np.float32)])


@pytest.fixture
def metres():
    """A ramp from 2 to 4 m, and an outlier."""
    found = np.geomspace(2, 4, 1200).reshape(30, 40)
    found[0, 0] = 90
    return found


def colours(metres, least, most):
    """What is above the bar, narrow pictures being enlarged."""
    found = depth_maps.colours(metres, least=least, most=most, is_log=True)
    return np.repeat(np.repeat(found, 6, 0), 6, 1)


def test_colours_are_spent_on_what_nearly_all_pixels_have(metres):
    found = shown(metres)
    least, most = np.quantile(metres, (0.02, 0.98))
    np.testing.assert_allclose(found.scale, (least, most), rtol=1e-5)
    wanted = colours(metres, least, most)
    off = np.abs(found.picture[:180].astype(int) - wanted)
    assert np.mean(off > 6) < 0.01  # steps of the table that rounding decides
    np.testing.assert_allclose(found.maps["depth"], metres, rtol=1e-5)


def test_a_range_decides_the_colours_and_not_the_maps(metres):
    found = shown(metres, range=(1.0, 10.0))
    assert found.scale == (1.0, 10.0)
    off = np.abs(found.picture[:180].astype(int) - colours(metres, 1, 10))
    assert np.mean(off > 6) < 0.01
    plain = shown(metres)
    np.testing.assert_array_equal(found.maps["depth"], plain.maps["depth"])
    assert (found.picture != plain.picture).any()
    assert plain.units == {"depth": "m"}


@pytest.mark.parametrize(
    "ends",
    [(0.0, 5.0), (-1.0, 5.0), (5.0, 5.0), (5.0, 2.0), (1.0, np.inf), (np.nan, 2), (1,)],
)
def test_a_range_that_does_not_rise_from_above_0_is_refused(ends):
    with pytest.raises(errors.UserError, match=r"both above 0, got .*--range 0\.5 8"):
        TASK.enlargement({"range": ends})


def test_only_depth_has_a_range():
    for task in (TASK, relative_depth.RelativeDepth()):
        assert task.enlargement({"range": (0.5, 8.0)}) == 1
    with pytest.raises(errors.UserError, match="no option 'range'"):
        segmentation.Segmentation().enlargement({"range": (0.5, 8.0)})


def test_relative_depth_has_a_range_of_any_sign_and_no_unit():
    task = relative_depth.RelativeDepth(size=(60, 80))
    image = np.zeros((60, 80, 3), np.float32)
    values = np.linspace(-2, 3, 4800, dtype=np.float32).reshape(60, 80, 1)
    plain, ranged, shifted = (
        task.request(image, options)[1]([numbers])
        for options, numbers in (
            ({}, values),
            ({"range": (-5.0, 5.0)}, values),
            ({}, 2 * values + 7),
        )
    )
    np.testing.assert_allclose(
        plain.scale, np.quantile(values, [0.02, 0.98]), rtol=1e-6
    )
    np.testing.assert_allclose(shifted.scale, 2 * np.array(plain.scale) + 7, rtol=1e-6)
    assert not plain.scale_is_log
    assert plain.units == {}
    assert ranged.scale == (-5.0, 5.0)
    wanted = relative_maps.picture(values[..., 0], between=(-5.0, 5.0))
    np.testing.assert_array_equal(ranged.picture, wanted)
    assert (ranged.picture != plain.picture).any()
    np.testing.assert_array_equal(*(x.maps["relative_depth"] for x in (plain, ranged)))


@pytest.mark.parametrize("ends", [(3.0, 2.0), (2.0, 2.0), (0.0, np.inf), (1.0,)])
def test_a_range_of_relative_depth_that_does_not_rise_is_refused(ends):
    with pytest.raises(errors.UserError, match="a smaller and a larger number, got"):
        relative_depth.RelativeDepth().enlargement({"range": ends})
