"""Losses of bins against float64 loops, their gradients against closed forms."""

import functools
import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.losses import depth_bins as losses
from dpjax.losses import segmentation
from dpjax.ops import enlarge

BINS = 30
SHAPE = (4, 3, 4)
RNG = np.random.default_rng(0)
SCORES = (2 * RNG.normal(size=(*SHAPE, BINS))).astype(np.float32)
LABELS = RNG.integers(0, BINS, SHAPE).astype(np.int32)
LABELS[0, 0] = [0, 1, BINS - 2, BINS - 1]
VALID = RNG.random(SHAPE) < 0.6
VALID[0] = True
VALID[2] = False

GAINS = {
    "paper": {},
    "vnl": {"is_normalised": True},
    "sharp": {"alpha": 3.0},
    "cross-entropy": {"alpha": math.inf},
}
LOSSES = {
    **{k: functools.partial(losses.information_gain, **v) for k, v in GAINS.items()},
    "ordinal": losses.ordinal,
}
each_loss = pytest.mark.parametrize("name", LOSSES)
each_gain = pytest.mark.parametrize("name", GAINS)


def _row(name, label):
    """The rewards H(label, .) in float64, a bin at a time."""
    alpha = GAINS[name].get("alpha", 0.2)
    row = [
        1.0 if k == label else math.exp(-alpha * (k - label) ** 2) for k in range(BINS)
    ]
    total = sum(row) if GAINS[name].get("is_normalised") else 1.0
    return np.array(row) / total


def _textbook(name, scores, label):
    """The loss of a pixel and its slope, in float64."""
    scores = scores.astype(np.float64)
    if name == "ordinal":
        yes = 1 / (1 + np.exp(-scores))
        value = sum(-math.log(yes[k] if k < label else 1 - yes[k]) for k in range(BINS))
        return value, yes - (np.arange(BINS) < label)
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    row = _row(name, label)
    return -row @ np.log(shares), row.sum() * shares - row


@each_loss
def test_sums_counts_and_slopes_are_those_of_loops_over_pixels(name):
    def total(scores):
        sums, counts = LOSSES[name](scores, LABELS, VALID)
        return sums.sum(), (sums, counts)

    slopes, (sums, counts) = jax.grad(total, has_aux=True)(jnp.asarray(SCORES))
    assert sums.dtype == counts.dtype == jnp.float32
    wanted, wanted_slopes = np.zeros(len(SCORES)), np.zeros(SCORES.shape)
    for place in map(tuple, np.argwhere(VALID)):
        value, wanted_slopes[place] = _textbook(name, SCORES[place], LABELS[place])
        wanted[place[0]] += value
    np.testing.assert_allclose(sums, wanted, rtol=2e-6)
    np.testing.assert_array_equal(counts, VALID.sum((1, 2)))
    np.testing.assert_allclose(slopes, wanted_slopes, atol=2e-6)


def test_an_infinite_alpha_is_cross_entropy():
    found = LOSSES["cross-entropy"](SCORES, LABELS, VALID)
    wanted = segmentation.cross_entropy(SCORES, LABELS, VALID)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_rewards_sum_to_what_the_specification_says():
    # The slope of a bin that certainty excludes is its reward, with the sign turned.
    sure = jnp.zeros((1, 1, 1, BINS)).at[..., 0].set(1e3)
    yes = np.ones((1, 1, 1), bool)
    for label, wanted in ((BINS // 2, 3.963), (0, 2.482)):
        labels = np.full((1, 1, 1), label)
        slope = jax.grad(
            lambda s, labels=labels: losses.information_gain(s, labels, yes)[0].sum()
        )(sure)[0, 0, 0]
        row = _row("paper", label)
        np.testing.assert_allclose(-slope[1:], row[1:], atol=1e-6)
        assert row.sum() == pytest.approx(wanted, abs=5e-4)


@each_gain
def test_nothing_is_better_than_the_rewards_themselves(name):
    labels = np.arange(BINS).reshape(1, 1, BINS)
    yes = np.ones(labels.shape, bool)
    rows = np.stack([_row(name, label) for label in range(BINS)])
    shares = rows / rows.sum(1, keepdims=True)
    best = np.log(np.maximum(shares, 1e-30)).astype(np.float32)[None, None]

    def total(scores):
        return LOSSES[name](scores, labels, yes)[0].sum()

    value, slope = jax.value_and_grad(total)(jnp.asarray(best))
    bound = -(rows * np.log(np.maximum(shares, 1e-300))).sum()
    np.testing.assert_allclose(value, bound, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(slope, 0, atol=2e-6)
    other = RNG.normal(size=best.shape).astype(np.float32)
    assert total(jnp.asarray(other)) > value + 0.1


@each_loss
def test_ignored_pixels_change_nothing_whatever_they_hold(name):
    def total(scores, labels):
        return LOSSES[name](scores, labels, VALID)[0].sum()

    dirty = np.where(VALID[..., None], SCORES, np.nan), np.where(VALID, LABELS, -9)
    value, slope = jax.value_and_grad(total)(*map(jnp.asarray, dirty))
    wanted, plain = jax.value_and_grad(total)(jnp.asarray(SCORES), LABELS)
    assert value == wanted
    np.testing.assert_array_equal(slope, plain)
    assert not np.asarray(slope)[~VALID].any()


@each_loss
def test_scores_of_any_size_do_not_overflow(name):
    def total(scores):
        return LOSSES[name](scores, LABELS, VALID)[0].sum()

    large = jnp.asarray(1e4 * SCORES)
    value, slope = jax.value_and_grad(total)(large)
    assert np.isfinite(value)
    assert np.isfinite(slope).all()
    wanted = sum(
        _textbook_limit(name, 1e4 * SCORES[p].astype(np.float64), LABELS[p])
        for p in map(tuple, np.argwhere(VALID))
    )
    np.testing.assert_allclose(value, wanted, rtol=1e-5)


def _textbook_limit(name, scores, label):
    """The loss of a pixel where all probabilities are nearly 0 or 1."""
    if name == "ordinal":
        signs = np.where(np.arange(BINS) < label, -1, 1)
        return np.logaddexp(0, signs * scores).sum()
    return _row(name, label) @ (np.logaddexp.reduce(scores) - scores)


@each_loss
def test_half_precision_scores_lose_only_their_own_rounding(name):
    half = jnp.asarray(SCORES, jnp.bfloat16)
    found = LOSSES[name](half, LABELS, VALID)[0]
    assert found.dtype == jnp.float32
    wanted = LOSSES[name](half.astype(jnp.float32), LABELS, VALID)[0]
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("mode", ["half_pixel", "align_corners"])
def test_enlarged_scores_give_the_same_as_all_at_once(mode):
    size = (13, 9)
    labels = RNG.integers(0, BINS, (4, *size)).astype(np.int32)
    valid = RNG.random((4, *size)) < 0.7
    valid[1] = False

    def in_turns(scores):
        return losses.enlarged(
            losses.information_gain, scores, labels, valid, mode=mode
        )

    def at_once(scores):
        scores = enlarge.to_size(scores, size, mode)
        return losses.information_gain(scores, labels, valid)

    for found, wanted in zip(in_turns(SCORES), at_once(SCORES), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    slopes = [
        jax.jit(jax.grad(lambda s, f=f: f(s)[0].sum()))(SCORES)
        for f in (in_turns, at_once)
    ]
    np.testing.assert_allclose(*slopes, atol=1e-5)
    assert np.abs(slopes[0][0]).max() > 0.1
    assert not np.asarray(slopes[0][1]).any()


def _temporary_bytes(function, *given):
    lowered = jax.jit(jax.value_and_grad(function)).lower(*given)
    return lowered.compile().memory_analysis().temp_size_in_bytes


def test_memory_of_enlarged_scores_is_that_of_one_image():
    size, images = (64, 96), 8
    labels = jax.ShapeDtypeStruct((images, *size), jnp.int32)
    valid = jax.ShapeDtypeStruct((images, *size), jnp.bool_)
    scores = jax.ShapeDtypeStruct((images, 8, 12, 100), jnp.float32)
    one_image = 64 * 96 * 100 * 4

    def in_turns(scores, labels, valid):
        loss = losses.information_gain
        return losses.enlarged(loss, scores, labels, valid)[0].sum()

    def at_once(scores, labels, valid):
        scores = enlarge.to_size(scores, size, "half_pixel")
        return losses.information_gain(scores, labels, valid)[0].sum()

    given = (scores, labels, valid)
    assert _temporary_bytes(in_turns, *given) < 6 * one_image
    assert _temporary_bytes(at_once, *given) > images * one_image


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(errors.UserError, match=r"\[4, 3, 4, 30\], \[4, 3\]"):
        losses.information_gain(SCORES, LABELS[..., 0], VALID)
    with pytest.raises(errors.UserError, match="`enlarged` brings scores"):
        losses.ordinal(SCORES[:, :2], LABELS, VALID)
    for alpha in (0, -1, math.nan):
        with pytest.raises(errors.UserError, match="alpha above 0"):
            losses.information_gain(SCORES, LABELS, VALID, alpha=alpha)
