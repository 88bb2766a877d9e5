"""Deviations of depth: coverage, likelihood, and the order they put pixels in."""

import numpy as np
import pytest
from scipy import stats

from dpjax import errors
from dpjax.metrics import depth_calibration, sparsification

METRICS = ("coverage1", "coverage2", "nll", "ause_rms", "ause_rel")


def gaussian(seed, size=(40, 50), deviation=(0.05, 0.4)):
    """Log-depths whose errors have the deviations that are told."""
    rng = np.random.default_rng(seed)
    truth = np.log(rng.uniform(1, 10, size))
    deviations = rng.uniform(*deviation, size)
    mean = truth + deviations * rng.normal(size=size)
    return mean, truth, deviations, rng.random(size) < 0.8


def removed_one_by_one(error, order, root):
    """The normalised curve of errors when the last of an order go first."""
    kept = np.asarray(error)[np.asarray(order)]
    curve = []
    for step in range(20):
        rest = kept[: len(kept) - step * len(kept) // 20]
        mean = sum(rest) / len(rest)
        curve.append(mean**0.5 if root else mean)
    return np.array(curve) / curve[0]


def area(one, two):
    return np.trapezoid(np.append(one - two, 0), np.linspace(0, 1, 21))


def test_true_deviations_cover_what_a_gaussian_covers():
    rows = depth_calibration.sums(*gaussian(0, (500, 500)))
    found = depth_calibration.values(rows)
    assert found["coverage1"] == pytest.approx(0.6827, abs=0.003)
    assert found["coverage2"] == pytest.approx(0.9545, abs=0.002)


def test_coverage_and_likelihood_are_those_of_each_pixel():
    mean, truth, deviation, valid = gaussian(1)
    found = depth_calibration.values(
        depth_calibration.sums(mean, truth, deviation, valid)
    )
    likelihood = stats.norm.logpdf(truth[valid], mean[valid], deviation[valid])
    assert found["nll"] == pytest.approx(-likelihood.mean(), rel=1e-12)
    away = np.abs(truth - mean)[valid] / deviation[valid]
    assert found["coverage1"] == (away <= 1).mean()
    assert found["coverage2"] == (away <= 2).mean()


def test_deviations_of_the_wrong_size_are_less_likely():
    mean, truth, deviation, valid = gaussian(2)
    nll = {
        scale: depth_calibration.values(
            depth_calibration.sums(mean, truth, scale * deviation, valid)
        )["nll"]
        for scale in (0.5, 1, 2)
    }
    assert nll[1] < min(nll[0.5], nll[2]) - 0.2


@pytest.mark.parametrize(("metric", "unit"), [("ause_rms", 0), ("ause_rel", 1)])
def test_an_oracle_has_no_area_and_chance_has_much(metric, unit):
    mean, truth, _, valid = gaussian(3)
    # What the metric of the pixel is, as a relative deviation of the prediction.
    oracle = np.abs(np.expm1(mean - truth)) if unit else np.abs(np.expm1(truth - mean))
    rng = np.random.default_rng(0)
    random = rng.permutation(oracle.ravel()).reshape(oracle.shape)
    found = [
        depth_calibration.values(depth_calibration.sums(mean, truth, s, valid))[metric]
        for s in (oracle, gaussian(3)[2], random)
    ]
    assert found[0] == pytest.approx(0, abs=1e-12)
    assert 0.05 < found[1] < found[2]
    assert found[2] > 0.3


def test_the_area_is_that_of_removing_pixels_one_by_one():
    mean, truth, deviation, valid = gaussian(4, (7, 19))
    found = depth_calibration.values(
        depth_calibration.sums(mean, truth, deviation, valid)
    )
    m, t, s = (x[valid] for x in (mean, truth, deviation))
    d, g = np.exp(m), np.exp(t)
    for name, error, ranking, root in (
        ("ause_rms", (d - g) ** 2, d * s, True),
        ("ause_rel", np.abs(d - g) / g, s, False),
    ):
        wanted = area(
            removed_one_by_one(error, np.argsort(ranking), root),
            removed_one_by_one(error, np.argsort(error), root),
        )
        assert found[name] == pytest.approx(wanted, rel=1e-10)


def test_equal_uncertainties_count_as_a_random_order():
    rng = np.random.default_rng(5)
    error, ranks = rng.exponential(1, 60), rng.integers(4, size=60)
    found = sparsification.sums(error, ranks)[0]
    made = []
    for _ in range(4000):
        order = rng.permutation(60)
        order = order[np.argsort(ranks[order], kind="stable")]
        made.append([error[order][: 60 - q * 60 // 20].sum() for q in range(20)])
    made = np.array(made)
    bound = 5 * made.std(0) / np.sqrt(len(made)) + 1e-9
    assert (np.abs(found - made.mean(0)) < bound).all()
    order = rng.permutation(60)
    same = sparsification.sums(error[order], ranks[order])
    np.testing.assert_allclose(same[0], found, rtol=1e-12)


def test_a_constant_uncertainty_leaves_the_mean_error_as_it_is():
    error = np.random.default_rng(6).exponential(1, 200)
    found = sparsification.sums(error, np.ones(200))
    left = sparsification.kept(np.array(200))
    both = sparsification.curves(found, left, is_root=False)
    np.testing.assert_allclose(both[0], 1, rtol=1e-12)
    assert (np.diff(both[1]) < 0).all()


def test_only_the_order_of_uncertainties_counts():
    rng = np.random.default_rng(7)
    error, uncertainty = rng.exponential(1, 90), rng.random(90)
    np.testing.assert_array_equal(
        sparsification.sums(error, uncertainty),
        sparsification.sums(error, np.exp(9 * uncertainty)),
    )


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 333])
def test_every_step_leaves_the_pixels_that_it_says(count):
    left = sparsification.kept(np.array(count))
    assert left.tolist() == [count - q * count // 20 for q in range(20)]
    assert left.min() >= 1
    found = sparsification.sums(np.ones(count), np.arange(count))
    np.testing.assert_allclose(found, [left, left], rtol=1e-12)


def test_no_errors_have_no_area():
    found = sparsification.sums(np.zeros(30), np.arange(30.0))
    left = sparsification.kept(np.array(30))
    assert sparsification.area(found, left, is_root=True) == 0


def test_rows_add_up_to_pooled_values():
    images = [gaussian(seed, (8 + seed, 11)) for seed in range(4)]
    rows = np.stack([depth_calibration.sums(*image) for image in images])
    found = depth_calibration.summary(rows)
    assert list(found) == [f"{m}_{a}" for m in METRICS for a in ("image", "pooled")]
    every = [np.concatenate([im[i][im[3]] for im in images]) for i in range(3)]
    likelihood = stats.norm.logpdf(every[1], every[0], every[2])
    assert found["nll_pooled"] == pytest.approx(-likelihood.mean(), rel=1e-12)
    by_image = depth_calibration.values(rows)
    for name in METRICS:
        assert found[f"{name}_image"] == pytest.approx(by_image[name].mean(), rel=1e-12)
    # Shares are removed from each image, then errors of what is left are pooled.
    curves = []
    for ranked in (True, False):
        sums, counts = np.zeros(20), np.zeros(20)
        for mean, truth, deviation, valid in images:
            d, g, s = (x[valid] for x in (np.exp(mean), np.exp(truth), deviation))
            error = (d - g) ** 2
            order = np.argsort(d * s if ranked else error)
            for q in range(20):
                rest = error[order][: len(error) - q * len(error) // 20]
                sums[q] += rest.sum()
                counts[q] += len(rest)
        curve = np.sqrt(sums / counts)
        curves.append(curve / curve[0])
    assert found["ause_rms_pooled"] == pytest.approx(area(*curves), rel=1e-10)


def test_one_image_has_one_average_and_empty_ones_none():
    row = depth_calibration.sums(*gaussian(8))
    mean, truth, deviation, valid = gaussian(9)
    empty = depth_calibration.sums(mean, truth, deviation, np.zeros_like(valid))
    assert not empty.any()
    found = depth_calibration.summary(np.stack([empty, row]))
    for name in METRICS:
        assert found[f"{name}_image"] == pytest.approx(
            found[f"{name}_pooled"], rel=1e-12
        )
    assert depth_calibration.intervals(np.stack([empty, row])).keys() == found.keys()
    with pytest.raises(errors.UserError, match="at least one image"):
        depth_calibration.summary(empty[None])


def test_intervals_lie_around_the_calibration():
    rows = np.stack(
        [depth_calibration.sums(*gaussian(seed, (9, 10))) for seed in range(25)]
    )
    scores = depth_calibration.summary(rows)
    for name, (low, high) in depth_calibration.intervals(rows).items():
        assert low < scores[name] < high, name


def test_wrong_deviations_are_refused():
    mean, truth, deviation, valid = gaussian(0)
    for value in (0.0, -0.1, np.nan, np.inf):
        wrong = np.where(valid, value, 1.0)
        with pytest.raises(errors.UserError, match="standard deviation must be"):
            depth_calibration.sums(mean, truth, wrong, valid)
    with pytest.raises(errors.UserError, match="natural logarithms"):
        depth_calibration.sums(mean, truth - np.inf, deviation, valid)
    with pytest.raises(errors.UserError, match="maps of one shape"):
        depth_calibration.sums(mean, truth, deviation[:1], valid)
    with pytest.raises(errors.UserError, match="of the same pixels"):
        sparsification.sums(np.ones(3), np.ones(4))
    with pytest.raises(errors.UserError, match="cannot order NaN"):
        sparsification.sums(np.ones(2), np.array([1, np.nan]))
