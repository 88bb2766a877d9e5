"""Pairs that a relative depth is judged by, against plain loops."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import ordinal_ratio
from dpjax.tasks import ordinal_protocols

RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(1, 5, (20, 30))
TRUTH[:6] = 2.0  # some pairs are equally far
VALID = RNG.random((20, 30)) < 0.8


def _relations(pairs, is_disparity):
    """What the truth says of each pair, one by one."""
    flat = TRUTH.ravel()
    low, high = np.quantile(TRUTH[VALID], [0.02, 0.98])
    found = []
    for i, j in pairs:
        if is_disparity:
            far = abs(flat[i] - flat[j]) > 0.02 * (high - low)
            found.append((flat[i] < flat[j]) * 2 - 1 if far else 0)
        else:
            ratio = flat[i] / flat[j]
            found.append(1 if ratio >= 1.02 else -1 if 1 / ratio >= 1.02 else 0)
    return np.array(found)


@pytest.mark.parametrize("is_disparity", [False, True])
def test_wrong_orders_are_counted_as_a_loop_counts_them(is_disparity):
    prediction = RNG.normal(size=TRUTH.shape)
    rows = ordinal_protocols.dense(prediction, TRUTH, VALID, is_disparity=is_disparity)
    pairs = ordinal_ratio.draw_pairs(VALID, seed=0)
    relation = _relations(pairs, is_disparity)
    z = prediction.ravel()[pairs]
    ordered = relation != 0
    assert 0 < ordered.sum() < len(pairs)
    wrong = ordered & (relation * (z[:, 0] - z[:, 1]) <= 0)
    np.testing.assert_array_equal(
        rows["order"][:4],
        [len(pairs), (~ordered).sum(), ordered.sum(), wrong.sum()],
    )
    share = wrong.sum() / ordered.sum()
    assert ordinal_protocols.own(rows)["whdr"] == pytest.approx(share)
    summary = ordinal_protocols.summary([rows])
    assert summary["whdr_image"] == pytest.approx(share)
    assert ("whdr_ratio_image" in summary) == (not is_disparity)


def test_the_truth_is_in_order_and_its_negative_is_in_none():
    right = ordinal_protocols.dense(np.log(TRUTH) + 3, TRUTH, VALID)
    wrong = ordinal_protocols.dense(-TRUTH, TRUTH, VALID)
    summary = ordinal_protocols.summary([right])
    assert summary["whdr_image"] == 0
    assert summary["whdr_ratio_image"] < 0.01  # VNL's ends are not symmetric
    assert ordinal_protocols.summary([wrong])["whdr_image"] == 1
    near = ordinal_protocols.dense(-TRUTH, TRUTH, VALID, is_disparity=True)
    assert ordinal_protocols.summary([near])["whdr_image"] == 0


def test_depth_of_any_unit_is_in_the_same_order():
    prediction = RNG.normal(size=TRUTH.shape)
    one = ordinal_protocols.dense(prediction, TRUTH, VALID)
    other = ordinal_protocols.dense(prediction, 1024 * TRUTH, VALID)
    for kind in ("order", "ratio"):
        np.testing.assert_array_equal(one[kind], other[kind])


def test_numbers_of_any_size_are_judged():
    rows = ordinal_protocols.dense(1e6 * np.log(TRUTH), TRUTH, VALID)
    assert ordinal_protocols.own(rows)["whdr"] == 0


def test_pairs_of_a_record_are_judged_at_their_points():
    prediction = np.arange(12.0).reshape(3, 4)
    where = np.array([[[2, 3], [0, 0]], [[0, 0], [2, 3]], [[1, 1], [1, 2]]])
    rows = ordinal_protocols.points(prediction, where, np.array([1, 1, 0]))
    assert ordinal_protocols.own(rows)["whdr"] == 0.5
    summary = ordinal_protocols.summary([rows])
    assert (summary["whdr_image"], summary["pairs"]) == (0.5, 3)
    sweep = ordinal_protocols.sweep([rows])
    assert sweep[0][0] == 0.11
    # The middle pair differs by 1, which thresholds from 1 on call equal.
    assert {round(line[0], 2): line[2] for line in sweep}[0.5] == 1
    assert {round(line[0], 2): line[2] for line in sweep}[1.2] == 0


def test_images_without_pairs_are_left_out_and_sets_without_order_refused():
    none = np.zeros(VALID.shape, bool)
    rows = ordinal_protocols.dense(TRUTH, TRUTH, none)
    assert ordinal_protocols.own(rows) == {}
    some = ordinal_protocols.dense(TRUTH, TRUTH, VALID)
    summary = ordinal_protocols.summary([rows, some])
    assert (summary["images"], summary["images_without_pairs"]) == (1, 1)
    bounds = ordinal_protocols.intervals([some, some])
    assert bounds["whdr_image"] == (0, 0)
    flat = ordinal_protocols.dense(TRUTH, np.ones_like(TRUTH), VALID)
    with pytest.raises(errors.UserError, match="All pairs of points are equally far"):
        ordinal_protocols.summary([flat])
    ordered = ordinal_protocols.points(
        TRUTH, np.array([[[0, 0], [9, 9]]]), np.array([1])
    )
    assert ordinal_protocols.sweep([ordered]) == []
