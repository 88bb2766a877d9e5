"""Colours of classes against the tables of their publishers."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.data import builders
from dpjax.viz import palettes

# The first and the last colours of the VOC development kit's colour map.
VOC = {
    0: (0, 0, 0),
    1: (128, 0, 0),
    2: (0, 128, 0),
    3: (128, 128, 0),
    4: (0, 0, 128),
    7: (128, 128, 128),
    8: (64, 0, 0),
    15: (192, 128, 128),
    20: (0, 64, 128),
}


def test_the_default_is_the_palette_of_voc():
    colours = palettes.palette(builders.find("voc2012").classes)
    assert colours.dtype == np.uint8
    assert colours.shape == (21, 3)
    for number, colour in VOC.items():
        assert tuple(colours[number]) == colour
    np.testing.assert_array_equal(palettes.palette("voc2012", 21), colours)


@pytest.mark.parametrize("k", [2, 40, 150, 255])
def test_colours_differ_and_start_with_no_black_where_there_is_no_background(k):
    names = [f"class {number}" for number in range(k)]
    colours = palettes.palette(names)
    assert len(np.unique(colours, axis=0)) == k
    assert colours[0].any()


@pytest.mark.parametrize("name", ["camvid", "cityscapes"])
def test_published_palettes_follow_the_names(name):
    classes = builders.find(name).classes
    colours = palettes.palette(classes)
    np.testing.assert_array_equal(palettes.palette(name), colours)
    np.testing.assert_array_equal(palettes.palette(classes[::-1]), colours[::-1])
    road = classes.index("road")
    assert tuple(colours[road]) == (128, 64, 128)  # in both


def test_camvid_has_the_colours_of_its_label_files():
    from dpjax.data.builders import camvid

    coding = camvid.Camvid.published[-1].coding
    for number, colour in enumerate(palettes.palette("camvid").tolist()):
        assert coding.meaning[tuple(colour)] == number


def test_mistakes_are_told():
    with pytest.raises(errors.UserError, match="got k=None"):
        palettes.palette("nyudv2")
    with pytest.raises(errors.UserError, match="got k=256"):
        palettes.palette("nyudv2", 256)
    with pytest.raises(errors.UserError, match="'camvid' has 11 colours, wanted 12"):
        palettes.palette("camvid", 12)
