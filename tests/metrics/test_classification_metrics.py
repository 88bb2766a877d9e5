"""Ranks, calibration and confusion beside brute force."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import classification as metrics
from dpjax.metrics import confusion

RNG = np.random.default_rng(0)


def test_views_are_averaged_as_probabilities():
    scores = RNG.normal(0, 4, (10, 7))
    shares = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    got = metrics.log_probabilities(scores)
    np.testing.assert_allclose(got, np.log(shares.mean(0)), rtol=1e-10)
    alone = metrics.log_probabilities(scores[0])
    np.testing.assert_allclose(alone, np.log(shares[0]), rtol=1e-10)
    assert np.abs(got - metrics.log_probabilities(scores.mean(0))).max() > 0.1


def test_large_scores_stay_finite():
    got = metrics.log_probabilities(np.array([[1e4, 0.0], [2e4, 0.0]], np.float32))
    np.testing.assert_allclose(got, [0, -1e4], rtol=1e-3)


def test_rank_counts_who_comes_before():
    for _ in range(50):
        scores = RNG.integers(0, 5, 12).astype(float)  # many ties
        order = sorted(range(12), key=lambda k: (-scores[k], k))
        for label in range(12):
            assert metrics.rank(scores, label) == order.index(label)


def test_a_network_that_fails_is_never_right():
    for label in range(3):
        assert metrics.rank(np.array([np.nan] * 3), label) == 2
        assert metrics.rank(np.array([0.0, np.nan, 1.0]), label) == 2


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_calibration_error_equals_its_definition(bins):
    confidences = np.append(RNG.random(300), [1.0, 1 / 3, 0.2, 1e-9])
    right = RNG.random(304) < confidences**2
    total = 0.0
    for b in range(bins):
        inside = (confidences > b / bins) & (confidences <= (b + 1) / bins)
        if inside.any():
            gap = right[inside].mean() - confidences[inside].mean()
            total += inside.sum() / 304 * abs(gap)
    got = metrics.calibration_error(confidences, right, bins=bins)
    assert got == pytest.approx(total, abs=1e-12)


def test_calibration_of_the_extremes():
    assert metrics.calibration_error(np.ones(4), np.ones(4)) == 0
    assert metrics.calibration_error(np.ones(4), np.zeros(4)) == 1
    with pytest.raises(errors.UserError, match="got none"):
        metrics.calibration_error(np.zeros(0), np.zeros(0))


def test_confusion_counts_pairs():
    labels, told = RNG.integers(0, 4, 100), RNG.integers(0, 4, 100)
    matrix = confusion.confusion(labels, told, 4)
    for a in range(4):
        for b in range(4):
            assert matrix[a, b] == ((labels == a) & (told == b)).sum()
