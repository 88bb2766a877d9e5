"""Medians of disparities against sorted lists."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops.stereo import medians


def problem(shape=(2, 7, 9), channels=3, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 9, shape).astype(np.float32)
    valid = rng.random(shape) < 0.6
    image = rng.integers(90, 130, (*shape, channels)).astype(np.uint8)
    return values, valid, image


def test_smoothing_takes_the_lower_median_of_the_valid_ones():
    values, valid, _ = problem()
    found = np.asarray(medians.smooth(values, valid))
    for i, y, x in np.ndindex(values.shape):
        part = np.s_[i, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        near = np.sort(values[part][valid[part]])
        wanted = near[(len(near) - 1) // 2] if valid[i, y, x] else values[i, y, x]
        assert found[i, y, x] == wanted


def test_what_is_not_valid_may_be_of_any_value():
    values, valid, _ = problem(seed=1)
    there = np.asarray(medians.smooth(values, valid))[valid]
    values[~valid] = np.nan
    found = np.asarray(medians.smooth(values, valid))
    np.testing.assert_array_equal(found[valid], there)
    assert np.isnan(found[~valid]).all()


def test_ranks_are_places_in_the_sorted_list():
    rng = np.random.default_rng(2)
    values = rng.integers(0, 6, (8, 5, 7)).astype(np.float32)
    rank = rng.integers(0, 8, (5, 7))
    wanted = np.take_along_axis(np.sort(values, 0), rank[None], 0)[0]
    np.testing.assert_array_equal(medians.of_rank(list(values), rank), wanted)


@pytest.mark.parametrize(
    ("channels", "radius", "stride"), [(3, 2, 1), (1, 1, 3), (3, 4, 2)]
)
def test_filling_takes_the_weighted_median_of_what_is_known(channels, radius, stride):
    values, known, image = problem(channels=channels, seed=3)
    sigma = 8.0
    found = np.asarray(
        medians.fill(
            values, known, image, radius=radius, stride=stride, sigma_255=sigma
        )
    )
    _, height, width = values.shape
    steps = stride * np.arange(-radius, radius + 1)
    for i, y, x in np.ndindex(values.shape):
        pairs = []
        for a, b in np.stack(np.meshgrid(y + steps, x + steps), -1).reshape(-1, 2):
            if 0 <= a < height and 0 <= b < width and known[i, a, b]:
                colours = image[i, [a, y], [b, x]].astype(float)
                step = np.abs(colours[0] - colours[1]).mean()
                weight = np.rint(255 * np.exp(-step / sigma))
                pairs.append((values[i, a, b], weight))
        total = sum(weight for _, weight in pairs)
        wanted = values[i, y, x]
        if not known[i, y, x] and total:
            below = 0
            for value, weight in sorted(pairs):
                below += weight
                if 2 * below >= total:
                    wanted = value
                    break
        assert found[i, y, x] == wanted


def test_holes_take_the_side_of_their_own_colour():
    image = np.zeros((1, 20, 40, 1), np.uint8)
    image[:, :, 22:] = 200
    truth = np.where(image[..., 0] > 0, -3.5, 8.25).astype(np.float32)
    known = np.ones(truth.shape, bool)
    known[:, :, 15:25] = False
    values = np.where(known, truth, np.nan).astype(np.float32)
    found = medians.fill(values, known, image, radius=7, stride=2)
    np.testing.assert_array_equal(found, truth)


def test_far_from_everything_known_values_stay():
    values = np.full((1, 5, 30), 2.0, np.float32)
    known = np.zeros(values.shape, bool)
    known[0, 2, 0], values[0, 2, 0] = True, 7.0
    image = np.zeros((1, 5, 30, 3), np.float32)
    found = medians.fill(values, known, image, radius=3, stride=1)
    wanted = values.copy()
    wanted[:, :, :4] = 7.0
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known": np.ones((1, 2, 4), bool)}, "same size"),
        ({"values": np.zeros((1, 2, 3), int)}, "floats"),
        ({"images": np.zeros((1, 2, 4, 3), np.uint8)}, "want images"),
        ({"radius": 0}, "at least 1"),
        ({"stride": 0}, "at least 1"),
        ({"sigma_255": 0.0}, "positive sigma"),
    ],
)
def test_what_has_no_median_is_refused(change, message):
    given = {
        "values": np.zeros((1, 2, 3), np.float32),
        "known": np.ones((1, 2, 3), bool),
        "images": np.zeros((1, 2, 3, 3), np.uint8),
    } | change
    with pytest.raises(errors.UserError, match=message):
        medians.fill(
            given.pop("values"), given.pop("known"), given.pop("images"), **given
        )
