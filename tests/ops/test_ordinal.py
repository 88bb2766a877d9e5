"""Ordinal relations against a loop over pairs."""

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.ops import ordinal, pair_sampling, pairs

RNG = np.random.default_rng(0)
SHAPE = (3, 12, 14)
DEPTH = RNG.uniform(1, 1.4, SHAPE).astype(np.float32)
VALID = RNG.random(SHAPE) < 0.7
VALID[2] = False
DRAWN = pair_sampling.random(VALID, jax.random.split(jax.random.key(1), 3), 300)


def values_of(maps):
    flat = np.asarray(maps, np.float64).reshape(3, -1)
    return (np.take_along_axis(flat, np.asarray(x), 1) for x in DRAWN[:2])


@pytest.mark.parametrize("threshold", [0.02, 0.03, 0.2])
def test_relations_by_ratio_are_those_of_a_loop(threshold):
    wanted = [
        [
            1 if i / j >= 1 + threshold else -1 if j / i >= 1 + threshold else 0
            for i, j in zip(*row, strict=True)
        ]
        for row in zip(*values_of(DEPTH), strict=True)
    ]
    wanted[2] = [0] * 300
    dirty = np.where(VALID, DEPTH, np.nan)
    found = ordinal.by_ratio(dirty, DRAWN, threshold=threshold)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == np.int32
    assert {*np.unique(found)} == {-1, 0, 1}


def test_a_ratio_forgets_the_unit_and_turns_over_for_inverse_depth():
    one = ordinal.by_ratio(DEPTH, DRAWN, threshold=0.02)
    np.testing.assert_array_equal(
        one, ordinal.by_ratio(1024 * DEPTH, DRAWN, threshold=0.02)
    )
    turned = ordinal.by_ratio(1 / DEPTH, DRAWN, threshold=0.02)
    assert (one == -turned).mean() > 0.999  # but for rounding at the threshold


def test_a_ratio_at_the_threshold_makes_an_order():
    depth = np.array([[[1.0, 1.25]]])
    drawn = pairs.at(
        np.array([[[[0, 1], [0, 0]], [[0, 0], [0, 1]]]]), np.ones((1, 2)), (1, 2)
    )
    np.testing.assert_array_equal(
        ordinal.by_ratio(depth, drawn, threshold=0.25), [[1, -1]]
    )
    np.testing.assert_array_equal(
        ordinal.by_ratio(depth, drawn, threshold=0.26), [[0, 0]]
    )


def test_relations_by_difference_are_those_of_a_loop():
    disparity = RNG.normal(-3, 20, SHAPE).astype(np.float32)
    disparity[0, 0, 0] = 1e6  # an outlier does not stretch the range
    VALID[0, 0, 0] = True
    dirty = np.where(VALID, disparity, np.nan)
    found = ordinal.by_difference(dirty, VALID, DRAWN, threshold=0.1)
    one, other = values_of(disparity)
    for b in range(2):
        low, high = np.quantile(disparity[b][VALID[b]], (0.02, 0.98))
        assert high - low < 200
        for p in range(300):
            gap = one[b, p] - other[b, p]
            wanted = -np.sign(gap) if abs(gap) > 0.1 * (high - low) else 0
            assert found[b, p] == wanted
    assert not np.asarray(found[2]).any()
    assert {*np.unique(found)} == {-1, 0, 1}


def test_differences_forget_shift_and_factor_and_larger_is_nearer():
    disparity = np.rint(RNG.normal(0, 20, SHAPE)).astype(np.float32)
    one = ordinal.by_difference(disparity, VALID, DRAWN, threshold=0.05)
    other = ordinal.by_difference(4 * disparity - 512, VALID, DRAWN, threshold=0.05)
    np.testing.assert_array_equal(one, other)
    first, second = values_of(disparity)
    assert ((first > second)[np.asarray(one) == -1]).all()
    turned = pairs.Pairs(DRAWN.second, DRAWN.first, DRAWN.weight)
    np.testing.assert_array_equal(
        ordinal.by_difference(disparity, VALID, turned, threshold=0.05), -one
    )


def test_a_constant_disparity_orders_nothing():
    found = ordinal.by_difference(np.ones(SHAPE), VALID, DRAWN, threshold=0.02)
    assert not np.asarray(found).any()


def test_options_out_of_range_are_refused():
    with pytest.raises(errors.UserError, match="threshold above 0, got 0"):
        ordinal.by_ratio(DEPTH, DRAWN, threshold=0)
    with pytest.raises(errors.UserError, match="threshold above 0"):
        ordinal.by_difference(DEPTH, VALID, DRAWN, threshold=float("nan"))
    with pytest.raises(errors.UserError, match=r"rise within \[0, 1\], got \(0\.9, 0"):
        ordinal.by_difference(DEPTH, VALID, DRAWN, threshold=0.1, ends=(0.9, 0.1))
