"""Crops of pictures with their depth: the same place, nearer by the zoom, unblended."""

import numpy as np
import pytest

from dpjax.data import crop_window, depth_crop

CROP = (24, 30)
RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 256, (41, 53, 3), np.uint8)
DEPTH = RNG.uniform(0.5, 10, (41, 53)).astype(np.float32)
DEPTH[RNG.random(DEPTH.shape) < 0.2] = 0
DEPTH[RNG.random(DEPTH.shape) < 0.1] = np.nan


def by_loops(depth, window, is_mirrored):
    """The depth of each pixel of a crop, one after the other, in double precision."""
    found, known = np.zeros(CROP), np.zeros(CROP, bool)
    for row in range(CROP[0]):
        for column in range(CROP[1]):
            seen = CROP[1] - 1 - column if is_mirrored else column
            y, x = window.top + row, window.left + seen
            if not (0 <= y < window.size[0] and 0 <= x < window.size[1]):
                continue
            # where the middle of the pixel lies in the depth map
            source = depth[
                int(np.floor((y + 0.5) * depth.shape[0] / window.size[0])),
                int(np.floor((x + 0.5) * depth.shape[1] / window.size[1])),
            ]
            if source > 0:
                found[row, column] = source / window.scale
                known[row, column] = True
    return found, known


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("own_size", [(41, 53), (17, 90)])
def test_depth_is_that_of_loops_over_pixels(seed, own_size):
    rng = np.random.default_rng(seed)
    depth = np.resize(DEPTH, own_size)
    window = crop_window.draw(IMAGE.shape[:2], rng, crop=CROP, scales=(0.4, 1.8))
    is_mirrored = bool(seed % 2)
    image, metres, known = depth_crop.cut(
        IMAGE, depth, window, CROP, is_mirrored=is_mirrored
    )
    wanted, wanted_known = by_loops(depth, window, is_mirrored)
    np.testing.assert_array_equal(known, wanted_known)
    np.testing.assert_allclose(metres, wanted, rtol=2e-7)
    assert (image.dtype, metres.dtype, known.dtype) == (np.uint8, np.float32, bool)
    plain, _, _ = depth_crop.cut(IMAGE, depth, window, CROP)
    np.testing.assert_array_equal(image, plain[:, ::-1] if is_mirrored else plain)


def test_depth_lies_where_the_picture_shows_it():
    """A picture that tells its depth, in blocks so large that few pixels are blends."""
    levels = RNG.integers(1, 6, (8, 10)).repeat(16, 0).repeat(16, 1)
    image = np.repeat(40 * levels[..., None], 3, -1).astype(np.uint8)
    depth = levels.astype(np.float32)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        window = crop_window.draw(depth.shape, rng, crop=CROP, scales=(1.0, 2.0))
        seen, metres, known = depth_crop.cut(
            image, depth, window, CROP, is_mirrored=bool(seed % 2)
        )
        unblended = known & (seen[..., 0] % 40 == 0)
        assert unblended.mean() > 0.5
        shown = seen[..., 0] / 40 / window.scale
        close = np.abs(shown - metres)[unblended] < 1e-3
        assert close.mean() > 0.95  # a blend of blocks may look like a third


def test_no_depth_but_that_of_the_map_divided_by_the_zoom():
    depth = np.where(RNG.random((41, 53)) < 0.5, 3.0, 7.0).astype(np.float32)
    window = crop_window.Window((62, 80), 9, 11, scale=1.5)
    _, metres, known = depth_crop.cut(IMAGE, depth, window, CROP)
    assert known.all()
    assert set(np.unique(metres)) == {np.float32(2.0), np.float32(7 / 1.5)}


def test_a_small_picture_has_no_depth_around_it():
    window = crop_window.Window((20, 22), -3, -5, scale=0.5)
    depth = np.ones((40, 44), np.float32)
    image, metres, known = depth_crop.cut(IMAGE, depth, window, CROP)
    inside = np.zeros(CROP, bool)
    inside[3:23, 5:27] = True
    np.testing.assert_array_equal(known, inside)
    np.testing.assert_array_equal(metres, np.where(inside, 2.0, 0.0))
    assert (image[~inside] == (124, 116, 104)).all()


def test_pictures_of_another_size_at_zoom_1_keep_their_depth():
    """As Make3D's of 2272x1704 pixels, seen by networks at 460x345."""
    rng = np.random.default_rng(3)
    depth = RNG.uniform(1, 80, (5, 30)).astype(np.float32)
    image = np.zeros((227, 170, 3), np.uint8)
    window = crop_window.draw((46, 34), rng, crop=CROP)
    _, metres, known = depth_crop.cut(image, depth, window, CROP)
    assert known.all()
    assert set(np.unique(metres)) <= set(np.unique(depth))
