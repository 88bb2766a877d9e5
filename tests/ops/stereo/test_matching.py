"""Whole matching on scenes with known disparities and on real pairs."""

import csv
import dataclasses
import functools

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.ops.stereo import matching

QUICK = matching.Settings(disparities=16, speckle_size=20)
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


def texture(height, width, seed=0, channels=3):
    """Smooth random colours, uint8 [1, h, w, c]."""
    rng = np.random.default_rng(seed)
    noise = rng.random((height, width + 2, channels))
    smooth = (noise[:, 2:] + 2 * noise[:, 1:-1] + noise[:, :-2]) / 4
    return np.rint(255 * smooth).astype(np.uint8)[None]


def shifted(height, width, shift, seed=0, channels=3):
    """Two views of a plane: the left pixel x is at x - shift in the right one."""
    wide = texture(height, width + 2 * abs(shift), seed, channels)
    start = abs(shift)
    left = wide[:, :, start : start + width]
    return left, wide[:, :, start + shift : start + shift + width]


@functools.cache
def compiled(settings):
    call = functools.partial(matching.match, settings=settings)
    return jax.jit(call, compiler_options=QUICKLY)


def match(left, right, settings=QUICK, **changes):
    settings = dataclasses.replace(settings, **changes)
    return jax.tree.map(np.asarray, compiled(settings)(left, right))


@pytest.mark.parametrize("cost", ["absolute", "census"])
def test_a_shifted_texture_has_that_disparity(cost):
    for shift in (5, -6, 0):
        left, right = shifted(24, 60, shift)
        found = match(left, right, min_disparity=-8, cost=cost)
        inside = np.s_[0, :, 8:-8]
        exact = np.abs(found.disparity[inside] - shift) < 0.5
        assert exact.mean() >= 0.99
        assert found.valid[inside].mean() >= 0.99
        beside = np.s_[0, :, :shift] if shift >= 0 else np.s_[0, :, 60 + shift :]
        assert not found.valid[beside].any()
        assert np.isnan(found.disparity[~found.valid]).all()
        np.testing.assert_array_equal(found.confidence == 0, ~found.valid)
        assert found.confidence.max() <= 1


def scene(seed=0):
    """A square at disparity 9 before a plane at 2, and the truth of both views."""
    behind, front = texture(40, 100, seed), texture(40, 100, seed + 1)
    truth = np.full((2, 40, 80), 2)
    views = [behind[:, :, 10:90].copy(), behind[:, :, 12:92].copy()]
    truth[0, 10:30, 30:50] = 9
    views[0][0, 10:30, 30:50] = front[0, 10:30, 30:50]
    truth[1, 10:30, 21:41] = 9
    views[1][0, 10:30, 21:41] = front[0, 10:30, 30:50]
    return views, truth


@pytest.mark.parametrize("right_view", ["own", "shared"])
def test_occluded_pixels_are_found_and_filled_with_what_lies_behind(right_view):
    (left, right), truth = scene()
    found = match(left, right, right_view=right_view, fill="directions", box=1)
    # To the left of the square 9 - 2 columns are hidden from the right view.
    hidden = np.zeros((40, 80), bool)
    hidden[10:30, 23:30] = True
    assert found.valid[0][hidden].mean() < 0.15
    assert found.occluded[0][hidden].mean() > 0.8
    assert not (found.occluded & found.valid).any()
    hidden[:, :2] = True
    assert found.occluded[0][~hidden].mean() < 0.02
    assert np.isfinite(found.disparity).all()
    wrong = np.abs(found.disparity[0] - truth[0]) > 0.5
    assert wrong.mean() < 0.02


def test_the_mirrored_pair_has_the_disparities_of_the_right_view():
    (left, right), truth = scene(1)
    raw = {"has_fraction": False, "has_median": False, "speckle_size": 0}
    raw |= {"uniqueness": None, "right_view": "own"}
    checked = match(left, right, **raw)
    every = match(left, right, tolerance=None, **raw)
    back = match(right[:, :, ::-1], left[:, :, ::-1], tolerance=None, **raw)
    seen = back.valid[0, :, ::-1]
    back = back.disparity[0, :, ::-1]
    assert (np.abs(back - truth[1]) < 0.5)[seen].mean() > 0.9
    # What the check of the first pair compares with is exactly this.
    rows, columns = np.nonzero(every.valid[0] & (every.disparity[0] <= 2))
    disparity = every.disparity[0][rows, columns].astype(int)
    there = columns - disparity
    known = seen[rows, there]
    agrees = np.abs(back[rows, there] - disparity) <= 1
    found = checked.valid[0][rows, columns]
    np.testing.assert_array_equal(found[known], agrees[known])
    assert 100 < agrees[known].sum() < known.sum()


def test_frames_do_not_depend_on_those_beside_them_or_on_compilation():
    settings = dataclasses.replace(QUICK, min_disparity=-4, fill="directions")
    settings = dataclasses.replace(settings, is_adaptive=True)
    pairs = [shifted(12, 30, shift, seed) for seed, shift in enumerate((3, -2))]
    left, right = (np.concatenate(views) for views in zip(*pairs, strict=True))
    together = match(left, right, settings)
    for i, (one, other) in enumerate(pairs):
        alone = matching.match(one, other, settings)
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[i], b[0])


def test_identical_views_have_disparity_0_and_constant_ones_none():
    left = texture(12, 30)
    options = {"min_disparity": -7, "disparities": 15, "fill": "directions"}
    same = match(left, left, **options)
    assert same.valid[0, :, 8:-8].all()
    assert np.abs(same.disparity).max() <= 0.5
    flat = np.full_like(left, 77)
    none = match(flat, flat, **options)
    assert not none.valid.any()
    assert not none.confidence.any()
    assert np.isnan(none.disparity).all()


def test_ranges_may_be_wider_than_the_image():
    left, right = shifted(20, 12, 2, channels=1)
    found = match(left, right, min_disparity=-30, disparities=67, speckle_size=0)
    assert (np.abs(found.disparity[0, :, 4:-2] - 2) < 0.5).mean() > 0.95
    assert not found.valid[0, :, :2].any()


def test_pixels_that_are_no_numbers_are_not_valid_and_disturb_no_others():
    left, right = (view / np.float32(255) for view in shifted(24, 60, 5))
    left[0, 10, 30, 1] = np.nan
    right[0, 18, 40] = np.inf
    found = match(left, right, box=1, has_fraction=False, has_median=False)
    assert not found.valid[0, 10, 30]
    there = np.arange(60) - found.disparity[0, 18]
    assert not (there == 40).any()
    rest = np.ones((24, 60), bool)
    rest[:, :8] = rest[10, 30] = rest[18, 45] = False
    assert (found.disparity[0][rest] == 5).mean() > 0.99
    nothing = np.full_like(left, -np.inf), np.full_like(right, np.nan)
    settings = dataclasses.replace(QUICK, box=1)
    assert not matching.match(*nothing, settings).valid.any()


@pytest.mark.parametrize("is_adaptive", [False, True])
def test_fractions_help_on_a_slope(is_adaptive):
    """A plane that recedes: disparities of 3 to 9, mostly between whole ones."""
    width = 96
    wide = texture(20, 4 * width, 3)[0].astype(float)
    disparity = 3 + 6 * np.arange(width) / width
    places = (np.arange(width) - disparity) * 2 + 40
    below = np.floor(places).astype(int)
    part = (places - below)[:, None]
    sampled = (1 - part) * wide[:, below] + part * wide[:, below + 1]
    left = np.rint(sampled).astype(np.uint8)[None]
    # The right view is every second column.
    right = np.rint(wide[:, 40 : 40 + 2 * width : 2]).astype(np.uint8)[None]
    missed = {}
    for has_fraction in (False, True):
        options = {"is_adaptive": is_adaptive, "has_median": False}
        found = match(left, right, has_fraction=has_fraction, **options)
        valid = found.valid[0]
        assert valid[:, 10:-10].mean() > 0.8
        missed[has_fraction] = np.abs(found.disparity[0] - disparity)[valid].mean()
    assert missed[True] < 0.75 * missed[False]
    assert missed[False] < 0.35


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"left": np.zeros((1, 4, 6, 3), np.float32) + 2}, r"\[0, 1\], got 0 to 2"),
        ({"left": np.zeros((1, 4, 6, 3), np.float32) - 1}, "Divide by 255"),
        ({"left": np.zeros((4, 6, 3), np.uint8)}, "batch axis"),
        ({"settings": matching.Settings(cost="absolut")}, "Did you mean absolute"),
        ({"settings": matching.Settings(right_view="none")}, "right_view"),
        ({"settings": matching.Settings(fill="zero")}, "fill"),
        ({"settings": matching.Settings(min_disparity=9)}, "both views can show"),
        ({"settings": matching.Settings(p1=40)}, "P1 <= P2"),
        ({"settings": matching.Settings(tolerance=-1)}, "0 pixels or more"),
        ({"settings": matching.Settings(uniqueness=0)}, "1 to 100"),
        ({"settings": matching.Settings(speckle_size=-1)}, "size of -1"),
    ],
)
def test_what_cannot_be_matched_is_refused(change, message):
    view = np.zeros((1, 4, 6, 3), np.uint8)
    given = {"left": view, "right": view, "settings": QUICK} | change
    with pytest.raises(errors.UserError, match=message):
        matching.match(**given)


def wrong_share(disparity, truth, known, threshold=2):
    missed = ~(np.abs(disparity - truth) <= threshold)
    return missed[known].mean()


def by_opencv(left, right, disparities):
    """StereoSGBM with eight paths, NaN where it does not answer."""
    import cv2

    peer = cv2.StereoSGBM.create(
        numDisparities=disparities,
        blockSize=3,
        P1=216,
        P2=864,
        disp12MaxDiff=1,
        uniquenessRatio=5,
        speckleWindowSize=100,
        speckleRange=1,
        mode=cv2.STEREO_SGBM_MODE_HH,
    )
    found = peer.compute(left, right).astype(float) / 16
    found[found < 0] = np.nan
    return found


def test_a_real_pair_is_matched_like_opencv_does_it():
    """The motorcycle that ships with scikit-image, at a quarter of its size."""
    import cv2
    from skimage import data

    left, right, truth = data.stereo_motorcycle()
    size = (185, 125)
    left, right = (
        cv2.resize(view, size, interpolation=cv2.INTER_AREA) for view in (left, right)
    )
    truth = cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST) / 4
    known = np.isfinite(truth)
    found = match(left[None], right[None], matching.CENSUS, disparities=16)
    theirs = by_opencv(left, right, 16)
    ours = found.disparity[0]
    assert wrong_share(ours, truth, known, 1) < wrong_share(theirs, truth, known, 1)
    assert wrong_share(ours, truth, known & found.valid[0], 1) < 0.1
    assert found.valid[0][known].mean() > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cones", "teddy", "art"])
def test_pairs_with_truth_are_matched_better_than_by_opencv(data_root, name):
    folder = data_root / "stereo" / name
    if not folder.is_dir():
        pytest.skip(f"DPJAX_DATA has no stereo/{name}")
    import cv2

    with open(folder.parent / "scales.csv") as file:
        scales = {r["name"]: float(r["disparity_scale"]) for r in csv.DictReader(file)}
    left, right, truth = (
        cv2.imread(str(folder / f"{kind}.png"), cv2.IMREAD_UNCHANGED)
        for kind in ("left", "right", "disp_left")
    )
    truth = truth / scales[name]
    settings = dataclasses.replace(matching.CENSUS, fill="guided")
    found = match(left[None], right[None], settings, disparities=80)
    known = truth > 0
    checked = known & found.valid[0]
    ours, theirs = found.disparity[0], by_opencv(left, right, 80)
    assert wrong_share(ours, truth, checked) < 0.09
    assert checked.sum() > 0.65 * known.sum()
    # Of all that is known, and of what OpenCV answers.
    assert wrong_share(ours, truth, known) < wrong_share(theirs, truth, known)
    answered = known & np.isfinite(theirs)
    assert wrong_share(ours, truth, answered) < wrong_share(theirs, truth, answered)
