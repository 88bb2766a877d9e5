"""From superpixels to pixels: each mode by what it promises."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.superpixels import back_projection, graph, slic
from dpjax.ops import colourisation, guided_filter

MODES = back_projection.Mode.__args__


@pytest.fixture(scope="module")
def image(photo):
    return photo[40:100, 60:140]


@pytest.fixture(scope="module")
def regions(image):
    return slic.segment(image, 10)


def values_of(regions):
    return np.random.default_rng(0).uniform(1, 5, regions.max() + 1)


def test_without_a_mode_each_superpixel_has_its_value(image, regions):
    values = values_of(regions)
    found = back_projection.to_pixels(values, regions, image)
    for place, p in np.ndenumerate(regions):
        assert found[place] == np.float32(values[p])


def test_colorize_knows_the_pixels_at_the_centroids_only(image, regions):
    values = values_of(regions)
    known = np.zeros(regions.shape, bool)
    for p in range(len(values)):
        y, x = np.nonzero(regions == p)
        known[int(y.mean() + 0.5), int(x.mean() + 0.5)] = True
    assert known.sum() == len(graph.geometry(regions).sizes)
    given = np.where(known, values[regions], np.nan)
    wanted = colourisation.fill(given, known, image)
    found = back_projection.to_pixels(values, regions, image, "colorize")
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_guided_smooths_along_the_image(image, regions):
    values = values_of(regions)
    wanted = guided_filter.smooth(
        values[regions], image / 255.0, radius=8, epsilon=1e-3
    )
    found = back_projection.to_pixels(values, regions, image, "guided")
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_one_value_for_all_superpixels_is_that_of_all_pixels(image, regions, mode):
    values = np.full(regions.max() + 1, 2.5, np.float32)
    found = back_projection.to_pixels(values, regions, image, mode)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, 2.5, rtol=1e-5)


@pytest.mark.parametrize("mode", ["colorize", "guided"])
def test_smoothing_comes_nearer_to_a_slope_than_steps(mode):
    image = np.full((60, 80, 3), 120, np.uint8)
    regions = slic.segment(image, 10)
    slope = np.broadcast_to(np.linspace(1, 4, 80), regions.shape)
    values = np.bincount(regions.ravel(), slope.ravel()) / np.bincount(regions.ravel())
    steps = back_projection.to_pixels(values, regions, image)
    found = back_projection.to_pixels(values, regions, image, mode)
    inner = np.s_[10:-10, 10:-10]
    assert (
        np.abs(found - slope)[inner].mean() < 0.5 * np.abs(steps - slope)[inner].mean()
    )


def test_what_does_not_belong_together_is_refused(image, regions):
    values = values_of(regions)
    with pytest.raises(errors.UserError, match="Did you mean guided"):
        back_projection.to_pixels(values, regions, image, "guide")
    with pytest.raises(errors.UserError, match="Leave out padding"):
        back_projection.to_pixels(np.ones(256), regions, image)
    with pytest.raises(errors.UserError, match="image of their size"):
        back_projection.to_pixels(values, regions, image[1:])


def test_colorize_hears_a_superpixel_whose_centroid_is_another_s():
    regions = np.zeros((7, 9), np.int32)
    regions[1:6, 2:9] = 1
    image = np.where(regions[..., None] == 0, [200, 40, 40], [40, 40, 200])
    found = back_projection.to_pixels(
        np.array([1.0, 9.0]), regions, image.astype(np.uint8), "colorize"
    )
    # Values are drawn towards the known ones, and not held.
    assert found[regions == 0].max() < 2
    assert found[regions == 1].min() > 8


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (6, 4)])
def test_one_superpixel_is_one_value_everywhere(photo, mode, shape):
    regions = np.zeros(shape, np.int32)
    image = photo[: shape[0], : shape[1]]
    found = back_projection.to_pixels(np.array([2.5]), regions, image, mode)
    np.testing.assert_array_equal(found, np.full(shape, 2.5, np.float32))
