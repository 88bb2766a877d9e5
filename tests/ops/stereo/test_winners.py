"""Winners against loops over pixels."""

import itertools

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops.stereo import winners


def totals_of(shape, seed=0, largest=40):
    return np.random.default_rng(seed).integers(0, largest, shape).astype(np.int16)


def by_loops(totals, uniqueness):
    """Index, offset, ratio and uniqueness, pixel by pixel."""
    b, h, n, w = totals.shape
    index, unique = np.zeros((b, h, w), int), np.zeros((b, h, w), bool)
    offset, ratio = np.zeros((2, b, h, w))
    for i, y, x in itertools.product(range(b), range(h), range(w)):
        values = totals[i, y, :, x].astype(int)
        best = int(np.argmin(values))
        others = [v for d, v in enumerate(values) if abs(d - best) > 1]
        index[i, y, x] = best
        if others:
            least = min(others)
            ratio[i, y, x] = values[best] / least if least else 1.0
            unique[i, y, x] = 100 * values[best] < uniqueness * least
        else:
            unique[i, y, x] = True
        if 0 < best < n - 1:
            low, middle, high = values[best - 1 : best + 2]
            bend = low - 2 * middle + high
            offset[i, y, x] = (low - high) / (2 * bend) if bend else 0
    return index, offset, ratio, unique


@pytest.mark.parametrize(
    "shape", [(2, 4, 7, 9), (1, 3, 1, 5), (1, 3, 2, 5), (1, 5, 3, 9)]
)
def test_winners_are_those_of_loops(shape):
    totals = totals_of(shape)
    found = winners.select(totals, uniqueness=80)
    index, offset, ratio, unique = by_loops(totals, 80)
    np.testing.assert_array_equal(found.index, index)
    np.testing.assert_array_equal(found.is_unique, unique)
    np.testing.assert_allclose(found.offset, offset, atol=1e-6)
    np.testing.assert_allclose(found.ratio, ratio, atol=1e-6)
    assert np.abs(found.offset).max() <= 0.5


def test_the_offset_finds_the_vertex_of_a_parabola():
    d = np.arange(9)[None, None, :, None]
    vertex = np.array([2.0, 3.25, 3.5, 4.75])
    totals = np.rint(1600 * (d - vertex) ** 2).astype(np.int32)
    found = winners.select(totals)
    np.testing.assert_allclose((found.index + found.offset)[0, 0], vertex, atol=1e-6)


def test_the_limit_of_the_ratio_is_exact_for_large_totals():
    # 95 per cent of 2^29 - 12 is a whole number; one more or less decides.
    second = 2**29 - 12
    edge = second // 100 * 95
    second = second // 100 * 100
    totals = np.full((1, 1, 5, 3), second, np.int32)
    totals[0, 0, 0] = [edge - 1, edge, edge + 1]
    found = winners.select(totals, uniqueness=95)
    np.testing.assert_array_equal(found.is_unique[0, 0], [True, False, False])


def test_equal_totals_are_not_unique_unless_nobody_asks():
    totals = np.zeros((1, 2, 5, 3), np.int16)
    assert not winners.select(totals, uniqueness=100).is_unique.any()
    assert winners.select(totals, uniqueness=None).is_unique.all()
    np.testing.assert_array_equal(winners.select(totals).ratio, 1)


@pytest.mark.parametrize(
    ("first", "count", "width"),
    [(0, 4, 7), (-3, 5, 6), (-9, 20, 4), (2, 3, 5), (-4, 2, 6)],
)
def test_the_right_view_takes_the_least_total_that_meets_it(first, count, width):
    totals = totals_of((2, 3, count, width), seed=1, largest=2000)
    found = winners.of_right_view(totals, min_disparity=first)
    for i, y, x in np.ndindex(2, 3, width):
        meets = [
            (totals[i, y, k, x + first + k], k)
            for k in range(count)
            if 0 <= x + first + k < width
        ]
        assert found[i, y, x] == (min(meets)[1] if meets else 0)


@pytest.mark.parametrize(
    ("totals", "uniqueness", "message"),
    [
        (np.zeros((1, 2, 3, 4), np.float32), 95, "whole numbers, got float32"),
        (np.zeros((2, 3, 4), int), 95, r"\[b, h, n, w\]"),
        (np.zeros((1, 2, 3, 4), int), 0, "1 to 100 per cent, got 0"),
        (np.zeros((1, 2, 3, 4), int), 101, "None for no limit"),
    ],
)
def test_what_has_no_winners_is_refused(totals, uniqueness, message):
    with pytest.raises(errors.UserError, match=message):
        winners.select(totals, uniqueness=uniqueness)
