"""Scores of disparities against loops over pixels."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import disparity as metrics


def maps(seed, size=(9, 14)):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(-5, 9, size).astype(np.float32)
    found = truth + rng.normal(0, 1.2, size).astype(np.float32)
    found[rng.random(size) < 0.2] = np.nan
    return found, truth, rng.random(size) < 0.7


def textbook(found, truth, valid):
    wanted = dict.fromkeys(metrics.SUMS, 0.0)
    for row, column in np.argwhere(valid):
        wanted["pixels"] += 1
        d, g = float(found[row, column]), float(truth[row, column])
        if d != d:
            continue
        wanted["answered"] += 1
        wanted["error"] += abs(d - g)
        for threshold in (0.5, 1, 2):
            wanted[f"missed_{threshold}"] += abs(d - g) > threshold
    return wanted


@pytest.mark.parametrize("seed", range(3))
def test_a_row_counts_what_a_loop_counts(seed):
    found, truth, valid = maps(seed)
    dirty = np.where(valid, truth, np.nan)
    row = dict(zip(metrics.SUMS, metrics.sums(found, dirty, valid), strict=True))
    wanted = textbook(found, truth, valid)
    assert row == pytest.approx(wanted, rel=1e-12)
    assert 0 < wanted["missed_2"] < wanted["missed_1"] < wanted["missed_0.5"]
    assert wanted["missed_0.5"] < wanted["answered"] < wanted["pixels"]


def test_an_error_of_just_the_threshold_is_not_bad_and_no_answer_is():
    truth = np.zeros((1, 4))
    found = np.array([[0.5, 2.0, -2.5, np.inf]])
    scores = metrics.values(metrics.sums(found, truth, np.ones((1, 4), bool)))
    assert scores["bad_0.5"] == 3 / 4
    assert scores["bad_1"] == 3 / 4
    assert scores["bad_2"] == 2 / 4
    assert scores["answered"] == 3 / 4
    assert scores["answered_bad_0.5"] == 2 / 3
    assert scores["answered_bad_2"] == 1 / 3
    assert scores["error"] == 5 / 3


def test_both_averages_come_from_the_same_rows():
    given = [maps(seed, (6 + seed, 20 - 2 * seed)) for seed in range(4)]
    rows = [metrics.sums(*one) for one in given]
    found = metrics.summary([*rows, np.zeros(len(metrics.SUMS))])
    single = [textbook(*one) for one in given]
    errors_of = [one["error"] / one["answered"] for one in single]
    assert found["error_image"] == pytest.approx(np.mean(errors_of))
    pixels = sum(one["pixels"] for one in single)
    lost = sum(one["pixels"] - one["answered"] + one["missed_1"] for one in single)
    assert found["bad_1_pooled"] == pytest.approx(lost / pixels)
    assert (found["images"], found["pixels"]) == (4, pixels)


def seen_by_a_loop(truth, known, tolerance):
    height, width = truth.shape
    found = np.zeros((height, width), bool)
    for y in range(height):
        for x in range(width):
            if not known[y, x]:
                continue
            d = round(float(truth[y, x]))
            there = [
                round(float(truth[y, other]))
                for other in range(width)
                if known[y, other] and other - round(float(truth[y, other])) == x - d
            ]
            found[y, x] = 0 <= x - d < width and max(there) - d <= tolerance
    return found


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_what_the_right_view_shows_is_what_a_loop_over_columns_finds(tolerance):
    _, truth, known = maps(tolerance, (12, 17))
    found = metrics.visible(truth, known, tolerance=tolerance)
    wanted = seen_by_a_loop(truth, known, tolerance)
    np.testing.assert_array_equal(found, wanted)
    assert 0 < found.sum() < known.sum()


def test_a_square_hides_as_many_columns_behind_it_as_disparities_differ():
    truth = np.full((8, 40), 2.0)
    truth[2:6, 20:30] = 9
    hidden = ~metrics.visible(truth, np.ones_like(truth, bool))
    wanted = np.zeros((8, 40), bool)
    wanted[:, :2] = True
    wanted[2:6, 13:20] = True
    np.testing.assert_array_equal(hidden, wanted)


def test_maps_of_other_shapes_and_truth_that_is_not_finite_are_refused():
    found, truth, valid = maps(0)
    with pytest.raises(errors.UserError, match=r"\[9, 14\], \[9, 13\]"):
        metrics.sums(found, truth[:, 1:], valid)
    with pytest.raises(errors.UserError, match="int64"):
        metrics.visible(truth, valid.astype(np.int64))
    truth[np.nonzero(valid)[0][0], np.nonzero(valid)[1][0]] = np.inf
    with pytest.raises(errors.UserError, match="not finite at 1 pixels"):
        metrics.sums(found, truth, valid)
    with pytest.raises(errors.UserError, match="none with any"):
        metrics.summary(np.zeros((2, len(metrics.SUMS))))
