"""What a truth of another scale looks like, and what does not."""

import numpy as np
import pytest

from dpjax.inference.stereo import engines, scores

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(2, 60, (40, 50))


def found(disparity):
    return engines.Match(disparity, np.isfinite(disparity), None, 0.0)


@pytest.mark.parametrize("factor", [1 / 256, 0.5, 2.0, 16.0])
def test_truth_that_is_a_number_of_times_what_was_matched_is_told(factor):
    answers = TRUTH + RNG.normal(0, 0.1, TRUTH.shape)
    answers[:15] = np.nan
    wrong = RNG.random(TRUTH.shape) < 0.2
    answers[wrong] = RNG.uniform(0, 60, wrong.sum())
    (line,) = scores.doubts(found(answers), factor * TRUTH)
    said = float(line.split(" times what")[0].split()[-1])
    assert said == pytest.approx(factor, rel=0.02)
    assert scores.doubts(found(answers), TRUTH) == []


def test_wrong_answers_are_no_other_scale():
    assert scores.doubts(found(RNG.uniform(2, 60, TRUTH.shape)), TRUTH) == []
    assert scores.doubts(found(TRUTH + 15), TRUTH) == []


def test_nothing_is_told_of_few_pixels_or_of_0():
    few = np.full(TRUTH.shape, np.nan)
    few[0] = TRUTH[0]
    for truth in (few, 0 * TRUTH):
        assert scores.doubts(found(TRUTH / 4), truth) == []
    assert scores.doubts(found(0 * TRUTH), TRUTH) == []
