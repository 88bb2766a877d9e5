"""Semi-global matching against loops and against all paths, in whole numbers."""

import itertools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops.stereo import sgm

STEPS = [s for s in itertools.product((-1, 0, 1), repeat=2) if any(s)]


def by_loops(costs, p1, p2, guide=None):
    """S of one frame, [h, n, w], pixel by pixel as the paper writes it."""
    height, count, width = costs.shape
    total = np.zeros(costs.shape, int)
    for down, right in STEPS:
        path = {}
        rows = range(height) if down >= 0 else range(height - 1, -1, -1)
        columns = range(width) if right >= 0 else range(width - 1, -1, -1)
        for y, x in itertools.product(rows, columns):
            before = path.get((y - down, x - right))
            here = costs[y, :, x].astype(int)
            if before is not None:
                second = p2
                if guide is not None:
                    step = abs(int(guide[y, x]) - int(guide[y - down, x - right]))
                    second = max(p1, p2 // max(1, step))
                here = here + [
                    min(
                        min(before) + second,
                        *(
                            before[k] + (0, p1)[abs(k - d)]
                            for k in range(max(d - 1, 0), min(d + 2, count))
                        ),
                    )
                    - min(before)
                    for d in range(count)
                ]
            path[y, x] = here
            total[y, :, x] += here
    return total


def problem(shape, seed=0, largest=200):
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, largest + 1, shape)
    return costs, rng.integers(0, 256, (shape[0], shape[1], shape[3]))


@pytest.mark.parametrize("is_adaptive", [False, True])
@pytest.mark.parametrize(
    "shape", [(2, 7, 5, 9), (1, 1, 4, 6), (1, 6, 3, 1), (1, 4, 1, 5), (1, 3, 2, 8)]
)
def test_totals_are_those_of_loops_in_whole_numbers(shape, is_adaptive):
    costs, guide = problem(shape)
    guide = guide if is_adaptive else None
    wanted = [
        by_loops(one, 10, 90, None if guide is None else guide[i])
        for i, one in enumerate(costs)
    ]
    small = sgm.aggregate(costs, p1=10, p2=90, guide=guide, largest=200)
    large = sgm.aggregate(costs, p1=10, p2=90, guide=guide)
    assert (small.dtype, large.dtype) == (jnp.int16, jnp.int32)
    np.testing.assert_array_equal(small, wanted)
    np.testing.assert_array_equal(large, wanted)


def test_a_path_and_the_minima_that_were_subtracted_are_the_best_of_all_paths():
    """In one row the six other paths only begin, and at its end one of the two does."""
    (costs,), _ = problem((1, 1, 4, 5), seed=1, largest=30)
    p1, p2 = 4, 11

    def forward(length):
        part = costs[None, :, :, :length]
        totals = np.asarray(sgm.aggregate(part, p1=p1, p2=p2))
        return totals[0, 0, :, -1] - 7 * costs[0, :, length - 1]

    paths = [forward(length) for length in range(1, 6)]
    found = paths[-1] + sum(path.min() for path in paths[:-1])
    wanted = np.full(4, 10**6)
    for way in itertools.product(range(4), repeat=5):
        changes = np.abs(np.diff(way))
        price = p1 * (changes == 1).sum() + p2 * (changes > 1).sum()
        price += sum(costs[0, d, t] for t, d in enumerate(way))
        wanted[way[-1]] = min(wanted[way[-1]], price)
    np.testing.assert_array_equal(found, wanted)


def test_totals_stay_below_the_bound_even_where_it_is_nearly_reached():
    # Costs jump between 0 and the largest, which no path can follow.
    rng = np.random.default_rng(2)
    costs = 3000 * rng.integers(0, 2, (1, 9, 6, 11))
    small = np.asarray(sgm.aggregate(costs, p1=1000, p2=1095, largest=3000))
    assert small.dtype == np.int16
    assert small.min() >= 0
    assert 0.7 * 2**15 < small.max() <= 8 * (3000 + 1095) < 2**15
    np.testing.assert_array_equal(small[0], by_loops(costs[0], 1000, 1095))


def test_without_penalties_totals_are_eight_times_the_costs():
    costs, _ = problem((1, 4, 5, 6), seed=3)
    np.testing.assert_array_equal(sgm.aggregate(costs, p1=0, p2=0), 8 * costs)


def test_totals_are_those_of_semi_global_matching_in_numpy():
    # beaupreda/semi-global-matching, 6643cf4, sgm.py, aggregate_costs summed over its
    # eight paths.  It leaves out the last diagonal each way, of one pixel, which so
    # lacks its costs for two paths.
    costs = np.random.RandomState(0).randint(0, 64, (4, 5, 6))  # the stream is frozen
    wanted = [
        [
            [369, 396, 449, 34, 49, 365],
            [41, 326, 91, 175, 190, 315],
            [297, 204, 72, 213, 224, 97],
            [475, 43, 326, 320, 220, 298],
            [209, 180, 320, 218, 140, 73],
        ],
        [
            [103, 208, 447, 171, 454, 76],
            [518, 159, 396, 21, 173, 304],
            [215, 426, 434, 264, 195, 173],
            [148, 356, 306, 51, 114, 477],
            [537, 313, 320, 148, 476, 215],
        ],
        [
            [289, 536, 139, 470, 485, 250],
            [278, 29, 24, 323, 444, 53],
            [324, 353, 429, 149, 151, 53],
            [373, 379, 504, 277, 480, 35],
            [55, 357, 390, 517, 343, 347],
        ],
        [
            [465, 119, 396, 191, 256, 25],
            [126, 294, 433, 108, 472, 258],
            [174, 108, 38, 51, 46, 285],
            [521, 452, 55, 118, 308, 321],
            [339, 150, 175, 209, 327, 376],
        ],
    ]
    wanted = np.array(wanted)
    for row in (0, -1):
        wanted[row, :, -1] += 2 * costs[row, :, -1]
    found = sgm.aggregate(costs[None], p1=3, p2=11)
    np.testing.assert_array_equal(found[0], wanted)


def test_totals_do_not_depend_on_batch_compilation_or_what_runs_around_it():
    costs, guide = problem((3, 5, 4, 6), seed=4)
    options = {"p1": 5, "p2": 60, "largest": 200}
    together = np.asarray(sgm.aggregate(costs, guide=guide, **options))
    for i in range(3):
        alone = sgm.aggregate(costs[i : i + 1], guide=guide[i : i + 1], **options)
        np.testing.assert_array_equal(alone[0], together[i])
    both = jax.jit(jax.vmap(lambda c, g: sgm.aggregate(c, guide=g, **options)))
    np.testing.assert_array_equal(both(costs[:, None], guide[:, None])[:, 0], together)
    plain = jax.jit(both, compiler_options={"xla_backend_optimization_level": 0})
    np.testing.assert_array_equal(plain(costs[:, None], guide[:, None])[:, 0], together)


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_mirrored_costs_have_mirrored_totals(axis):
    """Rows, disparities and columns have no direction."""
    costs, guide = problem((1, 5, 4, 6), seed=5)
    options = {"p1": 5, "p2": 60, "largest": 200}
    found = np.asarray(sgm.aggregate(costs, guide=guide, **options))
    turned = guide if axis == 2 else np.flip(guide, 1 if axis == 1 else 2)
    mirrored = sgm.aggregate(np.flip(costs, axis), guide=turned, **options)
    np.testing.assert_array_equal(np.flip(mirrored, axis), found)


def test_what_all_disparities_of_a_pixel_pay_moves_only_its_own_totals():
    costs, _ = problem((1, 5, 4, 6), seed=6)
    found = np.array(sgm.aggregate(costs, p1=5, p2=60))
    costs[0, 2, :, 3] += 17
    found[0, 2, :, 3] += 8 * 17
    np.testing.assert_array_equal(sgm.aggregate(costs, p1=5, p2=60), found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"costs": np.zeros((1, 2, 3, 4))}, "whole numbers, got float"),
        ({"costs": np.zeros((2, 3, 4), int)}, r"\[b, h, n, w\]"),
        ({"guide": np.zeros((1, 2, 3), int)}, r"want a guide \[1, 2, 4\]"),
        ({"p1": 9}, "P1 <= P2, got 9 and 8"),
        ({"p1": -1}, "0 <= P1"),
        ({"largest": 2**26}, r"below 2\^29"),
        ({"largest": -1}, "from 0 on"),
    ],
)
def test_what_cannot_be_aggregated_is_refused(change, message):
    given = {"costs": np.zeros((1, 2, 3, 4), int), "p1": 1, "p2": 8} | change
    with pytest.raises(errors.UserError, match=message):
        sgm.aggregate(given.pop("costs"), **given)
