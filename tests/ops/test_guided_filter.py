"""The guided filter against a ridge regression in each window."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops import guided_filter


def by_regression(values, guide, radius, epsilon):
    """Each window's regression by least squares, and the mean of what they say."""
    height, width, channels = guide.shape
    total, count = np.zeros(values.shape), np.zeros(values.shape)
    for y, x in np.ndindex(values.shape):
        rows = slice(max(y - radius, 0), min(y + radius + 1, height))
        columns = slice(max(x - radius, 0), min(x + radius + 1, width))
        colours = guide[rows, columns].reshape(-1, channels)
        inside = values[rows, columns].ravel()
        # Minimises sum (a I + b - p)^2 + n epsilon |a|^2.
        design = np.column_stack([colours, np.ones(len(colours))])
        ridge = np.sqrt(len(colours) * epsilon) * np.eye(channels, channels + 1)
        rest = np.zeros(channels)
        solution = np.linalg.lstsq(
            np.concatenate([design, ridge]), np.concatenate([inside, rest])
        )[0]
        total[rows, columns] += (design @ solution).reshape(total[rows, columns].shape)
        count[rows, columns] += 1
    return total / count


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("radius", "epsilon"), [(1, 1e-3), (2, 0.1), (9, 1e-2)])
def test_the_filter_is_the_mean_of_ridge_regressions(channels, radius, epsilon):
    rng = np.random.default_rng(0)
    guide, values = rng.random((7, 9, channels)), rng.uniform(1, 9, (7, 9))
    found = guided_filter.smooth(values, guide, radius=radius, epsilon=epsilon)
    wanted = by_regression(values, guide, radius, epsilon)
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_constants_and_what_is_linear_in_the_guide_stay():
    guide = np.random.default_rng(0).random((20, 30, 3))
    options = {"radius": 4, "epsilon": 1e-12}
    constant = guided_filter.smooth(np.full((20, 30), 4.2), guide, **options)
    np.testing.assert_allclose(constant, 4.2, atol=1e-12)
    linear = guide @ [1.0, -2.0, 0.5] + 3
    found = guided_filter.smooth(linear, guide, **options)
    np.testing.assert_allclose(found, linear, atol=1e-8)


def test_a_step_stays_where_the_guide_has_one_and_noise_goes():
    rng = np.random.default_rng(0)
    step = np.repeat([[0.0, 1.0]], 20, axis=1).repeat(30, axis=0)
    noisy = step + rng.normal(0, 0.1, step.shape)
    guide = step[..., None].repeat(3, -1)
    found = guided_filter.smooth(noisy, guide, radius=5, epsilon=1e-3)
    assert np.abs(found - step).mean() < 0.2 * np.abs(noisy - step).mean()
    np.testing.assert_allclose(found[:, 18:22], step[:, 18:22], atol=0.1)


def test_a_window_of_one_pixel_changes_nothing():
    rng = np.random.default_rng(0)
    values = rng.random((4, 5))
    found = guided_filter.smooth(values, rng.random((4, 5, 3)), radius=0, epsilon=1)
    np.testing.assert_allclose(found, values, atol=1e-14)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4, 5, 3), {"radius": 1, "epsilon": 1}, "same size"),
        ((4, 4), {"radius": 1, "epsilon": 1}, r"a guide \[h, w, c\]"),
        ((4, 4, 3), {"radius": -1, "epsilon": 1}, "0 or more"),
        ((4, 4, 3), {"radius": 1, "epsilon": 0}, "positive epsilon"),
    ],
)
def test_what_cannot_be_smoothed_is_refused(shape, options, message):
    with pytest.raises(errors.UserError, match=message):
        guided_filter.smooth(np.zeros((4, 4)), np.zeros(shape), **options)
