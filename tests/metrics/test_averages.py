"""Averages over images, and intervals that hold what they promise."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import averages


def values(rows):
    return {"x": rows[..., 1] / rows[..., 0], "root": np.sqrt(rows[..., 2])}


def rows_of(rng, count):
    """Images of 1 to 9 pixels whose values have the mean 2."""
    pixels = rng.integers(1, 10, count).astype(float)
    return np.stack([pixels, pixels * rng.exponential(2, count), pixels], 1)


def test_the_mean_over_images_differs_from_the_pooled_one():
    rows = np.array([[1.0, 10.0, 0.0], [9.0, 9.0, 0.0], [0.0, 0.0, 0.0]])
    found = averages.summary(rows, values)
    assert found["x_image"] == 5.5
    assert found["x_pooled"] == 1.9
    assert list(found) == ["x_image", "x_pooled", "root_image", "root_pooled"]


def test_intervals_are_the_quantiles_of_drawn_sets():
    rows = rows_of(np.random.default_rng(0), 12)
    found = averages.intervals(rows, values, seed=4, resamples=50, level=0.8)
    by_image, pooled = [], []
    for places in np.random.default_rng(4).integers(12, size=(50, 12)):
        drawn = rows[places]
        by_image.append((drawn[:, 1] / drawn[:, 0]).mean())
        pooled.append(drawn[:, 1].sum() / drawn[:, 0].sum())
    for name, made in (("x_image", by_image), ("x_pooled", pooled)):
        wanted = np.quantile(made, [0.1, 0.9])
        np.testing.assert_allclose(found[name], wanted, rtol=1e-12)


def test_intervals_hold_the_true_mean_in_most_trials():
    rng = np.random.default_rng(7)
    trials = 200
    hits = {"x_image": 0, "x_pooled": 0}
    for trial in range(trials):
        found = averages.intervals(rows_of(rng, 150), values, seed=trial)
        for name in hits:
            low, high = found[name]
            hits[name] += low <= 2 <= high
    # 95 %, less what the method lacks at this size; 3 deviations of 200 trials are 5 %.
    for name, count in hits.items():
        assert 0.89 < count / trials < 0.985, name


def test_narrower_levels_have_narrower_intervals():
    rows = rows_of(np.random.default_rng(1), 40)
    wide, narrow = (averages.intervals(rows, values, level=v) for v in (0.95, 0.5))
    assert wide["x_image"][0] < narrow["x_image"][0]
    assert narrow["x_image"][1] < wide["x_image"][1]


def test_one_image_has_no_interval():
    low, high = averages.intervals(np.array([[2.0, 6.0, 1.0]]), values)["x_pooled"]
    assert low == high == 3


def test_wrong_options_and_empty_sets_are_refused():
    rows = np.ones((3, 3))
    with pytest.raises(errors.UserError, match=r"level in \(0, 1\), got 1000 and 95"):
        averages.intervals(rows, values, level=95)
    with pytest.raises(errors.UserError, match="at least 1 resample"):
        averages.intervals(rows, values, resamples=0)
    for empty in (np.zeros((2, 3)), np.zeros((0, 3)), []):
        with pytest.raises(errors.UserError, match="at least one image"):
            averages.summary(empty, values)
