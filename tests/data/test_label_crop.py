"""Crops of pictures with their labels: the same place, never a blended label."""

import numpy as np
import pytest

from dpjax.data import crop_window, label_crop, label_files

# A picture that tells its labels: colour = 40 x class.
RNG = np.random.default_rng(0)
LABELS = RNG.integers(6, size=(12, 15)).repeat(10, 0).repeat(10, 1)[:113, :149]
LABELS = LABELS.astype(np.uint8)
IMAGE = np.repeat(40 * LABELS[..., None], 3, -1)


def _draw(seed=0, **options):
    rng = np.random.default_rng(seed)
    return label_crop.draw_window(LABELS, rng, **{"crop": (64, 80), **options})


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("is_mirrored", [False, True])
def test_labels_lie_where_the_picture_shows_them(seed, is_mirrored):
    window = _draw(seed, scales=(0.5, 2.0))
    image, labels = label_crop.cut(
        IMAGE, LABELS, window, (64, 80), is_mirrored=is_mirrored
    )
    assert image.shape == (64, 80, 3)
    assert labels.shape == (64, 80)
    known = labels != label_files.IGNORE
    # Inside of blocks the picture is not blended either.
    level = image[..., 0] / 40
    sure = known & (level == np.rint(level)) & (image[..., 0] == image[..., 1])
    assert sure.mean() > 0.3
    agree = (level == labels)[sure].mean()
    assert agree > 0.97  # where two blocks meet, a blend may look like a third


def test_at_its_own_size_a_crop_is_a_slice():
    window = _draw(3)
    image, labels = label_crop.cut(IMAGE, LABELS, window, (64, 80))
    place = (
        slice(window.top, window.top + 64),
        slice(window.left, window.left + 80),
    )
    assert np.array_equal(image, IMAGE[place])
    assert np.array_equal(labels, LABELS[place])


def test_beyond_a_small_picture_there_are_no_labels():
    window = crop_window.Window((50, 60), -5, -9)
    image, labels = label_crop.cut(IMAGE, LABELS, window, (64, 80))
    inside = np.zeros((64, 80), bool)
    inside[5:55, 9:69] = True
    assert np.array_equal(labels != label_files.IGNORE, inside)
    assert (image[~inside] == (124, 116, 104)).all()
    small = crop_window.resize(IMAGE, (50, 60))
    assert np.array_equal(image[5:55, 9:69], small)


def test_crops_by_class_have_every_class_in_the_middle_equally_often():
    labels = np.zeros((400, 400), np.uint8)
    labels[100:104, 200:204] = 1  # 0.01 % of the picture
    labels[:, 300:] = label_files.IGNORE
    counts = np.zeros(2, int)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        window = label_crop.draw_window(labels, rng, crop=(21, 21), by_class=True)
        _, found = label_crop.cut(
            np.zeros((400, 400, 3), np.uint8), labels, window, (21, 21)
        )
        counts[int((found == 1).any())] += 1
    assert 120 < counts[1] < 180  # half of 300


def test_a_picture_without_labels_can_be_cropped_by_class():
    none = np.full((30, 30), label_files.IGNORE, np.uint8)
    rng = np.random.default_rng(0)
    window = label_crop.draw_window(none, rng, crop=(20, 20), by_class=True)
    assert 0 <= window.top <= 10
    assert 0 <= window.left <= 10
