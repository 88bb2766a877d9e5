"""Orders by ratio against a loop over pairs, and what is drawn to compare."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import ordinal_ratio as metrics


def maps(seed, size=(13, 17)):
    rng = np.random.default_rng(seed)
    truth = np.exp(rng.normal(0, 0.02, size)).astype(np.float32)
    prediction = truth * np.exp(rng.normal(0, 0.01, size)).astype(np.float32)
    return prediction, truth, rng.random(size) < 0.7


def textbook(prediction, truth, drawn):
    found = dict.fromkeys(metrics.COUNTS, 0)
    for i, j in drawn:
        told = []
        for depth in (truth, prediction):
            ratio = float(depth.ravel()[i]) / float(depth.ravel()[j])
            told.append(1 if ratio > 1.02 else -1 if ratio < 0.98 else 0)
        kind = "equal" if told[0] == 0 else "unequal"
        found["pairs"] += 1
        found[kind] += 1
        found[f"wrong_{kind}"] += told[0] != told[1]
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_row_counts_what_a_loop_counts(seed):
    prediction, truth, valid = maps(seed)
    drawn = metrics.draw_pairs(valid, seed=seed)
    dirty = np.where(valid, truth, np.nan)
    found = metrics.counts(prediction, dirty, valid, drawn)
    wanted = textbook(prediction, truth, drawn)
    assert dict(zip(metrics.COUNTS, found, strict=True)) == wanted
    assert min(wanted.values()) > 0
    double = metrics.counts(2 * prediction, dirty, valid, drawn)
    np.testing.assert_array_equal(found, double)


def test_both_averages_come_from_the_same_rows():
    rows, single = [], []
    for seed in range(4):
        prediction, truth, valid = maps(seed, (10 + seed, 20 - 3 * seed))
        drawn = metrics.draw_pairs(valid, seed=seed)
        rows.append(metrics.counts(prediction, truth, valid, drawn))
        single.append(textbook(prediction, truth, drawn))
    found = metrics.summary([*rows, np.zeros(5, int)])
    whole = {name: sum(one[name] for one in single) for name in metrics.COUNTS}
    shares = [(x["wrong_equal"] + x["wrong_unequal"]) / x["pairs"] for x in single]
    pooled = (whole["wrong_equal"] + whole["wrong_unequal"]) / whole["pairs"]
    assert found["whdr_ratio_image"] == pytest.approx(np.mean(shares))
    assert found["whdr_ratio_pooled"] == pytest.approx(pooled)
    for kind in ("equal", "unequal"):
        share = np.mean([x[f"wrong_{kind}"] / x[kind] for x in single])
        assert found[f"whdr_ratio_{kind}_image"] == pytest.approx(share)
    assert (found["images"], found["pairs"]) == (4, whole["pairs"])


def test_drawn_pairs_are_of_different_valid_pixels_and_the_seed_repeats_them():
    _, _, valid = maps(0, (40, 50))
    drawn = metrics.draw_pairs(valid, seed=3)
    assert valid.ravel()[drawn].all()
    assert (drawn[:, 0] != drawn[:, 1]).all()
    assert 0.59 * valid.sum() < len(drawn) <= 0.6 * valid.sum()
    for side in drawn.T:
        assert len(np.unique(side)) == len(side)
    np.testing.assert_array_equal(drawn, metrics.draw_pairs(valid, seed=3))
    assert not np.array_equal(drawn[:20], metrics.draw_pairs(valid, seed=4)[:20])
    assert len(metrics.draw_pairs(valid, seed=3, most=7)) in (6, 7)
    for few in (0, 1):
        lonely = np.zeros((4, 4), bool)
        lonely[0, :few] = True
        assert metrics.draw_pairs(lonely, seed=0, share=1.0).shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction": np.ones((3, 5))}, r"one shape, got \[3, 5\]"),
        ({"prediction": np.zeros((3, 4))}, "predicted depth must be a positive"),
        ({"truth": np.full((3, 4), np.nan)}, "true depth must be a positive"),
        ({"valid": np.ones((3, 4))}, "bool mask.*float64"),
        ({"pairs": np.array([[0, 12]])}, "not valid"),
        (
            {"pairs": np.array([[0, 11]]), "valid": np.eye(3, 4, dtype=bool)},
            "not valid",
        ),
        ({"pairs": np.array([0, 1])}, r"\[p, 2\]"),
        ({"ends": (1.01, 1.02)}, r"around 1, got \(1\.01"),
    ],
)
def test_what_cannot_be_ordered_is_refused(change, message):
    options = {
        "prediction": np.ones((3, 4)),
        "truth": np.ones((3, 4)),
        "valid": np.ones((3, 4), bool),
        "pairs": np.array([[0, 1]]),
        **change,
    }
    with pytest.raises(errors.UserError, match=message):
        metrics.counts(**options)


def test_options_of_a_draw_are_checked():
    with pytest.raises(errors.UserError, match=r"share in \(0, 1\]"):
        metrics.draw_pairs(np.ones((3, 3), bool), seed=0, share=0.0)
