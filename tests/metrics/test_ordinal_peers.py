"""Ordinal scores beside those of the authors' code.

Every number comes from a run of the repository and commit that its test names, on
inputs of NumPy's frozen stream.
"""

import numpy as np
import pytest

from dpjax.metrics import ordinal, ordinal_ratio


def rows(thresholds):
    """Three images of 20 pairs, whose people differ from the map at times."""
    rng = np.random.RandomState(0)
    maps = rng.uniform(-1, 1, (3, 6, 8)).astype(np.float32)
    first = rng.randint(0, 48, (3, 20))
    second = (first + rng.randint(1, 48, (3, 20))) % 48
    flat = maps.reshape(3, -1)
    gap = np.take_along_axis(flat, first, 1) - np.take_along_axis(flat, second, 1)
    seen = gap + rng.uniform(-1, 1, (3, 20))
    relation = np.where(np.abs(seen) > 0.5, np.sign(seen), 0).astype(int)
    points = np.stack([np.divmod(x, 8) for x in (first, second)])
    images = zip(maps, points.transpose(2, 3, 0, 1), relation, strict=True)
    return np.stack([ordinal.counts(*x, thresholds=thresholds) for x in images])


def test_wkdr_of_a_validation_set_is_that_of_relative_depth():
    # princeton-vl/relative_depth, d4ef0fd, validation_crit/validate_crit1.lua,
    # `evaluate`, by Lua 5.1 on plain tables for Torch's arrays: it pools pairs and
    # counts the right ones.
    thresholds = tuple(n / 10 for n in range(1, 16))
    equal = [2, 6, 7, 10, 12, 13, 17, 18, 21, 22, 22, 23, 23, 23, 23]
    unequal = [32, 31, 29, 25, 24, 21, 16, 14, 10, 9, 8, 4, 4, 2, 1]
    found = ordinal.sweep(rows(thresholds), average="pooled")
    right = {
        "wkdr": np.add(equal, unequal) / 60,
        "wkdr_equal": np.array(equal) / 23,
        "wkdr_unequal": np.array(unequal) / 37,
    }
    for name, share in right.items():
        np.testing.assert_allclose(found[name], 1 - share, rtol=1e-12)
    best = ordinal.best_threshold(
        rows(thresholds), thresholds=thresholds, average="pooled"
    )
    assert best == 0.6
    n = thresholds.index(best)
    worse = max(found["wkdr_equal"][n], found["wkdr_unequal"][n])
    assert worse == pytest.approx(0.4347826086956522, rel=1e-12)


def test_wkdr_of_a_test_set_is_that_of_relative_depth():
    # test_model_on_NYU.lua there: `_evaluate_correctness_our` of each image, and what
    # follows the loop over them.
    thresholds = ordinal.THRESHOLDS
    found = ordinal.sweep(rows(thresholds))
    wanted = {
        0.2: (0.38333333, 0.775, 0.16111111),
        0.5: (0.4, 0.5, 0.35),
        0.57: (0.4, 0.45833333, 0.38333333),  # which it chooses
        0.9: (0.48333333, 0.075, 0.71666667),
    }
    for t, scores in wanted.items():
        n = thresholds.index(t)
        ours = [found[x][n] for x in ("wkdr", "wkdr_equal", "wkdr_unequal")]
        np.testing.assert_allclose(ours, scores, atol=1e-8)
    assert ordinal.best_threshold(rows(thresholds)) == 0.57


def test_whdr_is_that_of_relative_depth():
    # validation_crit/validate_crit_DIW.lua there, `evaluate`, of the 37 pairs that have
    # an order, each as an image of its own.
    found = ordinal.summary(rows(ordinal.THRESHOLDS))
    assert found["whdr_pooled"] == pytest.approx(0.08108108108108103, rel=1e-12)


def test_whdr_by_ratio_is_that_of_vnl():
    # YvanYin/VNL_Monocular_Depth_Prediction, 10dd987, in evaluate_depth_error.py
    # weighted_human_disagreement_rate after numpy.random.seed(0): 8 of the 36 pairs.
    rng = np.random.RandomState(0)
    truth = rng.uniform(1, 1.2, (7, 9))
    prediction = truth * rng.uniform(0.97, 1.03, (7, 9))
    first = """22 15 16 34 62 35 31 14 11 8 42 7 10 55 57 20 40 26
        4 18 59 43 28 60 54 29 51 41 2 46 5 49 30 32 33 45"""
    second = """33 54 12 4 16 7 38 6 40 43 46 20 47 26 51 18 44 17
        53 11 22 2 32 24 28 57 19 8 1 37 55 45 14 58 25 15"""
    points = np.stack([np.array(x.split(), int) for x in (first, second)], 1)
    valid = np.ones(truth.shape, bool)
    row = ordinal_ratio.counts(prediction, truth, valid, points)
    assert row[0] == 36
    assert row[3] + row[4] == 8
    # It draws 60 % of the pixels twice, and drops a pixel beside itself.
    assert 30 < len(ordinal_ratio.draw_pairs(valid, seed=0)) <= int(0.6 * 63)
