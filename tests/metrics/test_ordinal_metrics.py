"""Ordinal scores against counts that are made pair by pair."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import ordinal as metrics

LIMITS = (0.0, 0.25, 0.5, 1.0, 2.5)


def image(seed, count=80, relations=(-1, 0, 1), size=(9, 12)):
    """Scores in steps of 1/4, so that many differences are a threshold."""
    rng = np.random.default_rng(seed)
    prediction = (rng.integers(-8, 9, size) / 4).astype(np.float32)
    points = np.stack([rng.integers(0, n, (count, 2)) for n in size], -1)
    return prediction, points, rng.choice(relations, count)


def textbook(images, t):
    """Numbers of pairs, and of wrong ones, by kind."""
    total = dict.fromkeys(("whdr", "wkdr", "wkdr_equal", "wkdr_unequal"), 0)
    wrong = dict(total)
    for prediction, points, relation in images:
        for ((y, x), (v, u)), r in zip(points, relation, strict=True):
            gap = float(prediction[y, x]) - float(prediction[v, u])
            told = 1 if gap > t else -1 if gap < -t else 0
            kinds = ["wkdr", "wkdr_equal" if r == 0 else "wkdr_unequal"]
            for kind in kinds:
                total[kind] += 1
                wrong[kind] += told != r
            if r != 0:
                total["whdr"] += 1
                wrong["whdr"] += not gap * r > 0
    return total, wrong


def rows_of(images, thresholds=LIMITS):
    return np.stack([metrics.counts(*x, thresholds=thresholds) for x in images])


@pytest.mark.parametrize("seed", range(3))
def test_a_row_counts_what_loops_count(seed):
    one = image(seed)
    row = metrics.counts(*one, thresholds=LIMITS)
    assert row.dtype == np.int64
    assert len(row) == 4 + 2 * len(LIMITS)
    for n, t in enumerate(LIMITS):
        total, wrong = textbook([one], t)
        assert row[0] == total["wkdr"] == 80
        assert row[1] == total["wkdr_equal"]
        assert row[2] == total["wkdr_unequal"] == total["whdr"]
        assert row[3] == wrong["whdr"]
        assert row[4 + n] == wrong["wkdr_equal"]
        assert row[4 + len(LIMITS) + n] == wrong["wkdr_unequal"]


@pytest.mark.parametrize("t", LIMITS)
def test_both_averages_are_those_of_loops(t):
    # The last but one has no equal pairs, the last nothing else.
    images = [
        *(image(seed, 40 + 9 * seed) for seed in range(4)),
        image(7, 30, (-1, 1)),
        image(8, 20, (0,)),
    ]
    rows = np.concatenate([rows_of(images), np.zeros((2, 4 + 2 * len(LIMITS)), int)])
    found = metrics.summary(rows, threshold=t, thresholds=LIMITS)
    single = [textbook([one], t) for one in images]
    total, wrong = textbook(images, t)
    for name in total:
        shares = [w[name] / n[name] for n, w in single if n[name]]
        assert found[f"{name}_image"] == pytest.approx(np.mean(shares), rel=1e-12)
        pooled = wrong[name] / total[name]
        assert found[f"{name}_pooled"] == pytest.approx(pooled, rel=1e-12)
    assert found["threshold"] == t
    assert (found["images"], found["images_without_pairs"]) == (6, 2)
    assert found["pairs"] == total["wkdr"]


@pytest.mark.parametrize("average", ["image", "pooled"])
def test_the_threshold_is_the_first_with_the_smallest_larger_error(average):
    images = [image(seed, 50 + 30 * seed) for seed in range(4)]
    rows = rows_of(images)
    found = metrics.sweep(rows, average=average)
    worse = []
    for n, t in enumerate(LIMITS):
        single = [textbook([one], t) for one in images]
        total, wrong = textbook(images, t)
        for name in ("wkdr", "wkdr_equal", "wkdr_unequal"):
            wanted = np.mean([w[name] / n[name] for n, w in single])
            if average == "pooled":
                wanted = wrong[name] / total[name]
            assert found[name][n] == pytest.approx(wanted, rel=1e-12)
        worse.append(max(found["wkdr_equal"][n], found["wkdr_unequal"][n]))
    best = metrics.best_threshold(rows, thresholds=LIMITS, average=average)
    assert best == LIMITS[worse.index(min(worse))]
    if average == "image":
        chosen = metrics.summary(rows, thresholds=LIMITS)
        assert chosen == metrics.summary(rows, threshold=best, thresholds=LIMITS)


def test_the_published_thresholds_are_the_default():
    assert len(metrics.THRESHOLDS) == 140
    assert (metrics.THRESHOLDS[0], metrics.THRESHOLDS[-1]) == (0.11, 1.5)
    assert {0.9, 0.32} <= set(metrics.THRESHOLDS)  # of the authors' instructions
    found = metrics.summary(rows_of([image(0)], metrics.THRESHOLDS))
    assert found["threshold"] in metrics.THRESHOLDS


def test_pairs_of_people_have_whdr_alone():
    images = [image(seed, 1, (-1, 1)) for seed in range(40)]
    found = metrics.summary(rows_of(images), thresholds=LIMITS)
    total, wrong = textbook(images, 0)
    share = wrong["whdr"] / total["whdr"]
    assert 0.2 < share < 0.8
    assert found == {
        "whdr_image": pytest.approx(share),
        "whdr_pooled": pytest.approx(share),
        "images": 40,
        "images_without_pairs": 0,
        "pairs": 40,
    }


def test_the_truth_is_right_its_opposite_wrong_and_a_constant_undecided():
    depth, points, _ = image(3)
    gap = depth[tuple(points[:, 0].T)] - depth[tuple(points[:, 1].T)]
    relation = np.sign(gap).astype(int)
    for prediction, whdr, equal in ((depth, 0, 0), (-depth, 1, 0), (0 * depth, 1, 0)):
        row = metrics.counts(prediction, points, relation, thresholds=LIMITS)
        found = metrics.summary(row[None], threshold=0.0, thresholds=LIMITS)
        assert found["whdr_image"] == whdr
        assert found["wkdr_equal_image"] == equal
        assert found["wkdr_unequal_image"] == whdr


def test_a_turned_pair_is_the_same_pair():
    prediction, points, relation = image(5)
    turned = metrics.counts(prediction, points[:, ::-1], -relation, thresholds=LIMITS)
    one = metrics.counts(prediction, points, relation, thresholds=LIMITS)
    np.testing.assert_array_equal(one, turned)
    shifted = metrics.counts(prediction + 4, points, relation, thresholds=LIMITS)
    np.testing.assert_array_equal(one, shifted)


def test_intervals_hold_every_score_and_survive_json():
    rows = rows_of([image(seed) for seed in range(30)])
    found = metrics.summary(rows.tolist(), thresholds=LIMITS)
    bounds = metrics.intervals(rows, thresholds=LIMITS)
    assert set(bounds) == {k for k in found if k.endswith(("_image", "_pooled"))}
    assert len(bounds) == 8
    for name, (low, high) in bounds.items():
        assert low < found[name] < high


def spoiled(what):
    prediction, points, relation = image(0)
    thresholds = LIMITS
    if what == "outside":
        points[7] = [[0, 0], [9, 3]]
    elif what == "negative":
        points[7] = [[0, -1], [3, 3]]
    elif what == "relation":
        relation[2] = 2
    elif what == "nan":
        prediction[tuple(points[4, 0])] = np.nan
    elif what == "shape":
        relation = relation[:-1]
    elif what == "fractions":
        points = points + 0.5
    elif what == "falling":
        thresholds = (0.3, 0.2)
    return metrics.counts(prediction, points, relation, thresholds=thresholds)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("outside", r"\[\[0, 0\], \[9, 3\]\] is not inside.*9 rows and 12 columns"),
        ("negative", r"\[\[0, -1\], \[3, 3\]\] is not inside"),
        ("relation", r"are -1, 0 and 1, got \[-1, 0, 1, 2\]"),
        ("nan", r"not finite at \d+ of 80 pairs"),
        ("shape", r"\[80, 2, 2\] and \[79\]"),
        ("fractions", r"whole points.*float64"),
        ("falling", r"rise.*\(0\.3, 0\.2\)"),
    ],
)
def test_what_cannot_be_counted_is_refused(what, message):
    with pytest.raises(errors.UserError, match=message):
        spoiled(what)


def test_questions_that_rows_cannot_answer_are_refused():
    rows = rows_of([image(0)])
    with pytest.raises(errors.UserError, match=r"5 thresholds from 0 to 2\.5, and not"):
        metrics.summary(rows, threshold=0.3, thresholds=LIMITS)
    with pytest.raises(errors.UserError, match="with 5 thresholds, not with these 140"):
        metrics.summary(rows)
    with pytest.raises(errors.UserError, match=r"DIW has none.*WHDR"):
        metrics.sweep(rows_of([image(0, 9, (1, -1))]))
    with pytest.raises(errors.UserError, match="Unknown average 'images'"):
        metrics.sweep(rows, average="images")
    with pytest.raises(errors.UserError, match="at least one image"):
        metrics.summary(0 * rows, thresholds=LIMITS)
