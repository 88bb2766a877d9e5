"""Cross-entropy of soft targets beside PyTorch's."""

import jax
import numpy as np
import pytest

from dpjax.losses import classification

RNG = np.random.default_rng(0)
SCORES = RNG.normal(0, 3, (6, 5)).astype(np.float32)
LABELS = np.array([0, 4, 2, 2, 1, 3])
ALL = np.ones(6, bool)


@pytest.mark.torch
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_that_of_torch(smoothing):
    torch = pytest.importorskip("torch")
    want = torch.nn.functional.cross_entropy(
        torch.tensor(SCORES),
        torch.tensor(LABELS),
        label_smoothing=smoothing,
        reduction="none",
    )
    targets = classification.soft_targets(LABELS, 5, smoothing=smoothing)
    total, count = classification.cross_entropy(SCORES, targets, ALL)
    np.testing.assert_allclose(total, want.numpy(), rtol=1e-5)
    np.testing.assert_array_equal(count, np.ones(6))


def test_a_mixture_costs_the_mixture_of_both():
    partner, share = LABELS[::-1], RNG.random(6)
    targets = classification.soft_targets(LABELS, 5, partner=partner, share=share)
    mixed, _ = classification.cross_entropy(SCORES, targets, ALL)

    def alone(labels):
        return classification.cross_entropy(
            SCORES, classification.soft_targets(labels, 5), ALL
        )[0]

    want = share * alone(LABELS) + (1 - share) * alone(partner)
    np.testing.assert_allclose(mixed, want, rtol=1e-5)
    np.testing.assert_allclose(targets.sum(-1), np.ones(6), rtol=1e-6)


def test_padding_counts_nothing_and_has_no_gradient():
    valid = np.array([True, True, False, True, False, True])
    targets = classification.soft_targets(LABELS, 5, smoothing=0.1)
    spoiled = np.where(valid[:, None], SCORES, np.nan)

    def loss(scores):
        return classification.cross_entropy(scores, targets, valid)[0].sum()

    total, count = classification.cross_entropy(spoiled, targets, valid)
    clean, _ = classification.cross_entropy(SCORES, targets, valid)
    np.testing.assert_array_equal(total, clean)
    np.testing.assert_array_equal(count, valid)
    slope = np.asarray(jax.grad(loss)(spoiled))
    assert (slope[~valid] == 0).all()
    # d loss / d scores = softmax - target
    shares = np.exp(SCORES) / np.exp(SCORES).sum(-1, keepdims=True)
    np.testing.assert_allclose(slope[valid], (shares - targets)[valid], atol=1e-6)


def test_accuracy_is_the_first_of_the_ranking():
    scores = np.eye(5)[[0, 4, 1, 2, 1, 0]]
    valid = np.array([True, True, True, True, False, True])
    right, count = classification.accuracy(scores, LABELS, valid)
    np.testing.assert_array_equal(right, [1, 1, 0, 1, 0, 0])
    np.testing.assert_array_equal(count, valid)
