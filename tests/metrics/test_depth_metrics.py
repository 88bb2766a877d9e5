"""Errors of depth against sums that are made pixel by pixel."""

import math

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import averages
from dpjax.metrics import depth as metrics

METRICS = (
    *("delta1", "delta2", "delta3", "rel", "sqrel", "sqrel_vnl"),
    *("rms", "rmslog", "log10", "silog"),
)


def maps(seed, size=(13, 17)):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0.5, 10, size)
    prediction = truth * np.exp(rng.normal(0.1, 0.4, size))
    return prediction, truth, rng.random(size) < 0.7


def textbook(pairs):
    """Every metric of (prediction, truth) pairs, one pixel after the other."""
    logs = [math.log(d) - math.log(g) for d, g in pairs]

    def mean(numbers):
        numbers = list(numbers)
        return math.fsum(numbers) / len(numbers)

    def below(k):
        return mean(max(d / g, g / d) < 1.25**k for d, g in pairs)

    spread = mean(e * e for e in logs) - mean(logs) ** 2
    return {
        "delta1": below(1),
        "delta2": below(2),
        "delta3": below(3),
        "rel": mean(abs(d - g) / g for d, g in pairs),
        "sqrel": mean((d - g) ** 2 / g for d, g in pairs),
        "sqrel_vnl": mean((d - g) ** 2 / g**2 for d, g in pairs),
        "rms": math.sqrt(mean((d - g) ** 2 for d, g in pairs)),
        "rmslog": math.sqrt(mean(e * e for e in logs)),
        "log10": mean(abs(math.log10(d) - math.log10(g)) for d, g in pairs),
        "silog": 100 * math.sqrt(max(spread, 0)),
    }


def pairs_of(prediction, truth, valid):
    h, w = truth.shape
    return [
        (float(prediction[y, x]), float(truth[y, x]))
        for y in range(h)
        for x in range(w)
        if valid[y, x]
    ]


def assert_same(found, wanted):
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=1e-10, abs=1e-12), name


@pytest.mark.parametrize("seed", range(4))
def test_metrics_of_an_image_are_those_of_its_pixels(seed):
    image = maps(seed)
    found = metrics.values(metrics.sums(*image))
    assert tuple(found) == METRICS
    assert_same(found, textbook(pairs_of(*image)))


def test_both_averages_come_from_the_same_rows():
    images = [maps(seed, (9 + seed, 20 - seed)) for seed in range(5)]
    found = metrics.summary(np.stack([metrics.sums(*image) for image in images]))
    every = [pairs_of(*image) for image in images]
    by_image = [textbook(pairs) for pairs in every]
    pooled = textbook([pair for pairs in every for pair in pairs])
    for name in METRICS:
        mean = np.mean([one[name] for one in by_image])
        assert found[f"{name}_image"] == pytest.approx(mean, rel=1e-10)
        assert found[f"{name}_pooled"] == pytest.approx(pooled[name], rel=1e-10)
    assert found["rms_image"] < found["rms_pooled"]  # Jensen
    assert found["images"] == 5
    assert found["pixels"] == sum(map(len, every))


def test_rows_survive_json():
    rows = np.stack([metrics.sums(*maps(seed)) for seed in range(3)])
    assert metrics.summary(rows.tolist()) == metrics.summary(rows)


@pytest.mark.parametrize("c", [0.5, 0.8, 0.81, 1.0, 1.2, 1.25, 1.3, 1.5625, 1.9, 2.0])
def test_a_constant_factor_has_the_known_errors(c):
    rng = np.random.default_rng(0)
    # Few bits: c g and its ratio to g are exact, as equality with 1.25 needs.
    truth = rng.integers(1, 2000, (40, 50)) / 128
    found = metrics.values(metrics.sums(c * truth, truth, truth > 0))
    assert found["rel"] == pytest.approx(abs(c - 1), abs=1e-12)
    assert found["sqrel_vnl"] == pytest.approx((c - 1) ** 2, abs=1e-12)
    assert found["log10"] == pytest.approx(abs(math.log10(c)), abs=1e-12)
    assert found["rmslog"] == pytest.approx(abs(math.log(c)), abs=1e-12)
    assert found["silog"] == pytest.approx(0, abs=1e-10)
    for k in (1, 2, 3):
        if c not in (0.8, 0.81):  # their products are rounded
            assert found[f"delta{k}"] == (max(c, 1 / c) < 1.25**k)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_ratio_at_the_threshold_is_not_below_it(k):
    truth = np.array([[1.0, 2.0, 3.5]])
    for d, g in ((1.25**k * truth, truth), (truth, 1.25**k * truth)):
        found = metrics.values(metrics.sums(d, g, g > 0))
        assert found[f"delta{k}"] == 0
        assert found.get(f"delta{k + 1}", 1) == 1


def test_the_truth_itself_has_no_errors():
    _, truth, valid = maps(1)
    found = metrics.values(metrics.sums(truth, truth, valid))
    for name in METRICS:
        assert found[name] == (1 if name.startswith("delta") else 0)


def test_a_common_factor_changes_neither_average_of_silog():
    images = [maps(seed) for seed in range(3)]
    one, two = (
        metrics.summary(
            np.stack([metrics.sums(c * d, g, valid) for d, g, valid in images])
        )
        for c in (1.0, 3.7)
    )
    for average in ("image", "pooled"):
        name = f"silog_{average}"
        assert one[name] == pytest.approx(two[name], rel=1e-12)
    # Factors that differ between images leave the mean over images only.
    rows = [metrics.sums((i + 1) * g, g, v) for i, (_, g, v) in enumerate(images)]
    found = metrics.summary(np.stack(rows))
    assert found["silog_image"] == pytest.approx(0, abs=1e-10)
    assert found["silog_pooled"] > 10


def test_one_image_has_one_average():
    found = metrics.summary(metrics.sums(*maps(2))[None])
    for name in METRICS:
        assert found[f"{name}_image"] == found[f"{name}_pooled"]


def test_means_of_images_of_equal_size_are_pooled_means():
    rows = []
    for seed in range(4):
        prediction, truth, _ = maps(seed)
        rows.append(metrics.sums(prediction, truth, np.ones(truth.shape, bool)))
    found = metrics.summary(np.stack(rows))
    for name in METRICS:
        if name not in ("rms", "rmslog", "silog"):  # roots
            assert found[f"{name}_image"] == pytest.approx(
                found[f"{name}_pooled"], rel=1e-12
            )


def test_an_image_without_depth_contributes_nothing():
    rows = [metrics.sums(*maps(seed)) for seed in range(3)]
    prediction, truth, valid = maps(9)
    empty = metrics.sums(prediction, np.zeros_like(truth), np.zeros_like(valid))
    assert not empty.any()
    assert all(np.isnan(value) for value in metrics.values(empty).values())
    with_it = metrics.summary(np.stack([rows[0], empty, *rows[1:]]))
    without = metrics.summary(np.stack(rows))
    assert with_it.pop("images_without_depth") == 1
    assert without.pop("images_without_depth") == 0
    assert with_it == without
    with pytest.raises(errors.UserError, match=r"at least one image .* got 2 images"):
        metrics.summary(np.stack([empty, empty]))


def test_float32_maps_are_compared_in_float64():
    prediction, truth, valid = (x.astype(np.float32) for x in maps(5))
    valid = valid > 0
    found = metrics.values(metrics.sums(prediction, truth, valid))
    assert_same(found, textbook(pairs_of(prediction, truth, valid)))


def test_wrong_maps_are_refused():
    prediction, truth, valid = maps(0)
    y, x = np.argwhere(valid)[0]

    def changed(array, value):
        array = array.copy()
        array[y, x] = value
        return array

    with pytest.raises(errors.UserError, match=r"prediction \[12, 17\]"):
        metrics.sums(prediction[1:], truth, valid)
    with pytest.raises(errors.UserError, match="must be bool, got float64"):
        metrics.sums(prediction, truth, valid.astype(float))
    with pytest.raises(errors.UserError, match="NaN at 1 pixels"):
        metrics.sums(prediction, changed(truth, np.nan), changed(valid, False))
    for value in (0, -1, np.inf):
        with pytest.raises(errors.UserError, match="true depth must be a positive"):
            metrics.sums(prediction, changed(truth, value), valid)
    for value in (0, -1, np.inf, np.nan):
        with pytest.raises(errors.UserError, match=r"predicted depth must .* Clamp"):
            metrics.sums(changed(prediction, value), truth, valid)
        metrics.sums(changed(prediction, value), truth, changed(valid, False))


def test_resampled_sets_are_scored_as_sets_of_repeated_images():
    images = [maps(seed, (3 + seed, 5)) for seed in range(4)]
    every = [pairs_of(*image) for image in images]
    rows = np.stack([metrics.sums(*image) for image in images])
    draws = np.random.default_rng(3).multinomial(4, [0.25] * 4, 20)
    found = metrics.values(metrics.pool(rows, draws.astype(float)))
    for r, draw in enumerate(draws):
        repeated = [
            pair for n, pairs in zip(draw, every, strict=True) for pair in n * pairs
        ]
        assert_same({name: found[name][r] for name in found}, textbook(repeated))


def test_intervals_lie_around_the_scores():
    rows = np.stack([metrics.sums(*maps(seed, (6, 5 + seed))) for seed in range(30)])
    scores = metrics.summary(rows)
    bounds = metrics.intervals(rows)
    assert len(bounds) == 2 * len(METRICS)
    for name, (low, high) in bounds.items():
        assert low < scores[name] < high, name
    assert bounds == metrics.intervals(rows)
    assert bounds != metrics.intervals(rows, seed=1)


def test_intervals_leave_images_without_depth_out():
    rows = np.stack([metrics.sums(*maps(seed)) for seed in range(6)])
    padded = np.concatenate([rows, np.zeros((30, rows.shape[1]))])
    assert metrics.intervals(padded) == metrics.intervals(rows)
    assert averages.RESAMPLES == 1000
