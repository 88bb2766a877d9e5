"""Matching of colours against sorting, scikit-image and what must not change."""

import numpy as np
import pytest
from skimage import exposure

from dpjax import errors
from dpjax.data.stereo import colours
from tests import stereo_scenes


def test_an_image_of_the_same_levels_stays_as_it_is(photo):
    shuffled = photo[::-1, ::-1]
    np.testing.assert_array_equal(colours.match_histogram(photo, shuffled), photo)


def test_what_a_rising_map_did_to_the_levels_is_undone():
    image = stereo_scenes.texture(0, 40, 50)
    image = np.minimum(image, 150)
    changed = (image * [1.3, 1.0, 1.6] + [20, 9, 3]).astype(np.uint8)
    np.testing.assert_array_equal(colours.match_histogram(changed, image), image)


def test_each_level_becomes_the_one_of_the_same_rank():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 60, (9, 7, 1), np.uint8)
    reference = rng.integers(40, 256, (5, 11, 1), np.uint8)
    rising = np.sort(reference.ravel())
    for value, matched in zip(
        image.ravel(),
        colours.match_histogram(image, reference).ravel(),
        strict=True,
    ):
        # In whole numbers: how many of the reference do not exceed the same share.
        below = int((image <= value).sum())
        wanted = -(-below * rising.size // image.size)
        assert matched == rising[wanted - 1]


def test_it_agrees_with_scikit_image_within_a_step_of_the_levels(photo):
    darker = (photo * 0.6).astype(np.uint8)
    theirs = exposure.match_histograms(darker, photo, channel_axis=-1)
    ours = colours.match_histogram(darker, photo)
    assert np.abs(ours - theirs.astype(float)).mean() < 0.6
    assert np.abs(darker - theirs.astype(float)).mean() > 20


@pytest.mark.parametrize(
    ("image", "reference"),
    [
        (np.zeros((4, 4, 3)), np.zeros((4, 4, 3), np.uint8)),
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 1), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((0, 4, 3), np.uint8)),
    ],
)
def test_other_arrays_are_refused(image, reference):
    with pytest.raises(errors.UserError, match="Matching colours wants"):
        colours.match_histogram(image, reference)
