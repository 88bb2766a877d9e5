"""The cross-entropy of pixels against float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax.losses import segmentation as losses

RNG = np.random.default_rng(0)
SCORES = RNG.standard_normal((2, 5, 6, 4)).astype(np.float32)
LABELS = RNG.integers(4, size=(2, 5, 6))
VALID = RNG.random((2, 5, 6)) < 0.7


def _expected(weights):
    logs = SCORES.astype(np.float64)
    logs = logs - np.log(np.exp(logs).sum(-1, keepdims=True))
    sums, counts = np.zeros(2), np.zeros(2)
    for b, y, x in np.argwhere(VALID):
        k = LABELS[b, y, x]
        sums[b] -= weights[k] * logs[b, y, x, k]
        counts[b] += weights[k]
    return sums, counts


def test_sums_and_counts_are_those_of_every_pixel():
    for weights in (None, (0.5, 1.0, 2.0, 0.0)):
        found = losses.cross_entropy(SCORES, LABELS, VALID, weights)
        for one, other in zip(found, _expected(weights or np.ones(4)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5)


def test_ignored_pixels_change_nothing_whatever_they_hold():
    scores = np.where(VALID[..., None], SCORES, np.nan)
    labels = np.where(VALID, LABELS, 77)

    def total(scores, labels):
        return losses.cross_entropy(scores, labels, VALID)[0].sum()

    value, slope = jax.value_and_grad(total)(jnp.asarray(scores), labels)
    wanted, plain = jax.value_and_grad(total)(jnp.asarray(SCORES), LABELS)
    assert value == wanted
    np.testing.assert_array_equal(slope, plain)
    assert not np.asarray(slope)[~VALID].any()


def test_an_image_without_labels_counts_nothing():
    none = np.zeros_like(VALID)
    for pair in (
        losses.cross_entropy(SCORES, LABELS, none),
        losses.accuracy(SCORES, LABELS, none),
    ):
        np.testing.assert_array_equal(np.stack(pair), 0)


def test_accuracy_counts_pixels():
    right, count = losses.accuracy(SCORES, LABELS, VALID)
    hits = (SCORES.argmax(-1) == LABELS) & VALID
    np.testing.assert_array_equal(right, hits.sum((1, 2)))
    np.testing.assert_array_equal(count, VALID.sum((1, 2)))


@pytest.mark.parametrize(("threshold", "least"), [(0.3, 1), (0.1, 8), (0.0, 100)])
def test_hard_pixels_are_the_least_sure_ones(threshold, least):
    sure = np.exp(SCORES) / np.exp(SCORES).sum(-1, keepdims=True)
    found = losses.hard_pixels(SCORES, LABELS, VALID, threshold=threshold, least=least)
    for b in range(len(SCORES)):
        known = np.argwhere(VALID[b])
        values = np.array([sure[b, y, x, LABELS[b, y, x]] for y, x in known])
        line = max(threshold, np.sort(values)[min(least, len(values)) - 1])
        wanted = {tuple(p) for p, v in zip(known, values, strict=True) if v <= line}
        assert {*map(tuple, np.argwhere(found[b]))} == wanted
        assert len(wanted) >= min(least, len(values))
