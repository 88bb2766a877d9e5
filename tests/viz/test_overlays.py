"""Colours over a photograph, and the legend that names them."""

import numpy as np

from dpjax.data import builders
from dpjax.viz import overlays, palettes


def test_a_blend_is_a_weighted_mean_of_photograph_and_colour():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 7, 3), np.uint8)
    labels = rng.integers(0, 3, (5, 7))
    colours = rng.integers(0, 256, (3, 3), np.uint8)
    wanted = np.rint(0.45 * image + 0.55 * colours[labels].astype(float))
    found = overlays.blend(image, labels, colours)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found, wanted, atol=1)  # a half in another precision


def test_pixels_without_a_label_look_like_no_class():
    for name in ("voc2012", "nyudv2", "camvid", "cityscapes"):
        colours = palettes.palette(builders.find(name).classes)
        k = len(colours)
        image = np.full((1, k + 1, 3), 100, np.uint8)
        labels = np.append(np.arange(k), 255)[None]
        found = overlays.blend(image, labels, colours, labels != 255)[0]
        assert len(np.unique(found, axis=0)) == k + 1
        np.testing.assert_array_equal(
            found[:k], overlays.blend(image[:, :k], labels[:, :k], colours)[0]
        )
        away = np.abs(found[:k].astype(int) - found[k]).max(-1)
        assert away.min() > 20, name  # of 255: seen at a glance


def test_a_legend_has_every_colour_and_as_many_lines_as_needed():
    colours = palettes.palette("any", 12)
    names = [f"a long name {i}" for i in range(12)]
    picture = np.full((20, 300, 3), 9, np.uint8)
    page = overlays.with_legend(picture, names, colours)
    assert page.shape[1:] == (300, 3)
    np.testing.assert_array_equal(page[:20], picture)
    found = {tuple(pixel) for pixel in page[20:].reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in colours.tolist()} <= found
    wide = overlays.with_legend(np.full((20, 3000, 3), 9, np.uint8), names, colours)
    assert wide.shape[0] < page.shape[0]
    assert overlays.with_legend(picture, [], colours[:0]).shape == (20, 300, 3)
