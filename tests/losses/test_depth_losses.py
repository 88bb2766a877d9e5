"""Losses of depth maps against float64 loops, and their gradients against PyTorch's."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.losses import depth as losses

RNG = np.random.default_rng(0)
SHAPE = (4, 6, 7)
OUTPUT = RNG.normal(0.5, 1, SHAPE).astype(np.float32)
TARGET = RNG.normal(0, 1, SHAPE).astype(np.float32)
VALID = RNG.random(SHAPE) < 0.7
VALID[1] = True
VALID[2] = False
VALID[3] = False
VALID[3, 2, 4] = True  # a single pixel has neither spread nor neighbours

LOSSES = {
    "absolute": (losses.absolute_error, {}),
    "squared": (losses.squared_error, {}),
    "berhu": (losses.berhu, {}),
    "berhu, half": (losses.berhu, {"share": 0.5}),
    "scale": (losses.scale_invariant, {}),
    "scale, whole": (losses.scale_invariant, {"invariance": 1.0}),
    "scale, gradient": (losses.scale_invariant, {"gradient": 1.0}),
    "scale, part": (losses.scale_invariant, {"invariance": 0.0, "gradient": 0.3}),
}
each_loss = pytest.mark.parametrize("name", LOSSES)


def _textbook(name, output, target, valid):
    """One image in float64, a pixel at a time."""
    errors_ = {
        (i, j): float(output[i, j]) - float(target[i, j])
        for i, j in np.argwhere(valid).tolist()
    }
    n = len(errors_)
    if n == 0:
        return 0.0, 0.0
    if name == "absolute":
        return sum(abs(e) for e in errors_.values()), n
    if name == "squared":
        return sum(e * e for e in errors_.values()), n
    options = LOSSES[name][1]
    if name.startswith("berhu"):
        c = options.get("share", 0.2) * max(abs(e) for e in errors_.values())
        return (
            sum(
                abs(e) if abs(e) <= c else (e * e + c * c) / (2 * c)
                for e in errors_.values()
            ),
            n,
        )
    invariance, gradient = options.get("invariance", 0.5), options.get("gradient", 0)
    value = sum(e * e for e in errors_.values()) / n
    value -= invariance * sum(errors_.values()) ** 2 / n**2
    for (i, j), e in errors_.items():
        for neighbour in ((i + 1, j), (i, j + 1)):
            if neighbour in errors_:
                value += gradient * (errors_[neighbour] - e) ** 2 / n
    return value, 1.0


@each_loss
def test_sums_and_counts_are_those_of_loops_over_pixels(name):
    loss, options = LOSSES[name]
    found = loss(OUTPUT, TARGET, VALID, **options)
    wanted = [_textbook(name, *x) for x in zip(OUTPUT, TARGET, VALID, strict=True)]
    for one, other in zip(found, np.transpose(wanted), strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-6)


def _torch_value(name, output, target, valid):
    """The sum of one image, in PyTorch."""
    e = (output - target)[valid]
    if name == "absolute":
        return e.abs().sum()
    if name == "squared":
        return e.square().sum()
    options = LOSSES[name][1]
    if name.startswith("berhu"):
        c = options.get("share", 0.2) * e.abs().max().detach()
        return e.abs().where(e.abs() <= c, (e**2 + c**2) / (2 * c)).sum()
    n = len(e)
    value = (e**2).mean() - options.get("invariance", 0.5) * e.mean() ** 2
    whole = output - target
    for axis in (0, 1):
        known = valid.narrow(axis, 1, valid.shape[axis] - 1)
        known = known & valid.narrow(axis, 0, valid.shape[axis] - 1)
        steps = whole.diff(dim=axis)[known]
        value = value + options.get("gradient", 0) * steps.square().sum() / n
    return value


@pytest.mark.torch
@each_loss
def test_gradients_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    loss, options = LOSSES[name]

    def total(output):
        return loss(output, TARGET, VALID, **options)[0].sum()

    slopes = jax.grad(total)(jnp.asarray(OUTPUT))
    for b in (0, 1, 3):
        output = torch.tensor(OUTPUT[b], dtype=torch.float64, requires_grad=True)
        target = torch.tensor(TARGET[b], dtype=torch.float64)
        _torch_value(name, output, target, torch.tensor(VALID[b])).backward()
        np.testing.assert_allclose(slopes[b], output.grad, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(slopes[2], 0)


@each_loss
def test_ignored_pixels_change_nothing_whatever_they_hold(name):
    loss, options = LOSSES[name]

    def total(output, target):
        return loss(output, target, VALID, **options)[0].sum()

    dirty = np.where(VALID, OUTPUT, np.nan), np.where(VALID, TARGET, np.inf)
    value, slope = jax.value_and_grad(total)(*map(jnp.asarray, dirty))
    wanted, plain = jax.value_and_grad(total)(jnp.asarray(OUTPUT), TARGET)
    assert value == wanted
    np.testing.assert_array_equal(slope, plain)
    assert not np.asarray(slope)[~VALID].any()


@each_loss
def test_an_exact_prediction_costs_nothing_and_pulls_nowhere(name):
    loss, options = LOSSES[name]

    def total(output):
        return loss(output, TARGET, VALID, **options)[0].sum()

    value, slope = jax.value_and_grad(total)(jnp.asarray(TARGET))
    assert value == 0
    np.testing.assert_array_equal(slope, 0)


@each_loss
def test_an_image_does_not_depend_on_the_others(name):
    loss, options = LOSSES[name]
    whole = np.stack(loss(OUTPUT, TARGET, VALID, **options))
    for b in range(len(OUTPUT)):
        part = [x[b : b + 1] for x in (OUTPUT, TARGET, VALID)]
        alone = np.stack(loss(*part, **options))
        np.testing.assert_allclose(whole[:, b : b + 1], alone, rtol=1e-6)


def test_a_common_factor_costs_nothing_with_full_invariance():
    shifted = OUTPUT + np.float32(np.log(3))
    for gradient in (0.0, 1.0):
        options = {"invariance": 1.0, "gradient": gradient}
        before, _ = losses.scale_invariant(OUTPUT, TARGET, VALID, **options)
        after, _ = losses.scale_invariant(shifted, TARGET, VALID, **options)
        np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-6)


def test_full_invariance_keeps_its_digits_far_from_the_truth():
    far = TARGET + 100 + 0.01 * RNG.normal(size=SHAPE).astype(np.float32)
    e = far.astype(np.float64) - TARGET
    wanted = [
        x[known].var() if known.any() else 0 for x, known in zip(e, VALID, strict=True)
    ]
    found, _ = losses.scale_invariant(far, TARGET, VALID, invariance=1.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-9)


def test_berhu_is_smooth_where_its_branches_meet():
    c = 0.2
    e = np.array([[1.0, c - 1e-3, c, c + 1e-3]], np.float32)  # the largest is 1
    nothing, everywhere = np.zeros_like(e), np.ones_like(e, bool)

    def total(e):
        return losses.berhu(e, nothing, everywhere)[0].sum()

    np.testing.assert_allclose(jax.grad(total)(e)[0, 1:], 1, atol=6e-3)


def test_superpixels_are_compared_as_pixels_are():
    flat = [x.reshape(4, -1) for x in (OUTPUT, TARGET, VALID)]
    for loss in (losses.absolute_error, losses.berhu, losses.scale_invariant):
        for one, other in zip(loss(*flat), loss(OUTPUT, TARGET, VALID), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_half_precision_is_summed_in_single():
    output = jnp.full((1, 300, 300), 1.5, jnp.bfloat16)
    target = np.zeros(output.shape, np.float32)
    total, count = losses.absolute_error(output, target, np.ones(output.shape, bool))
    assert (total[0], count[0]) == (135_000, 90_000)


def test_logarithms_of_what_is_unknown_are_zero():
    depth = np.array([[1.0, np.e, 0.0, -1.0, np.nan, 10.0]], np.float32)
    valid = np.array([[True, True, False, False, False, True]])
    wanted = [[0, 1, 0, 0, 0, np.log(10)]]
    np.testing.assert_allclose(losses.log_depth(depth, valid), wanted, atol=1e-6)
    slope = jax.grad(lambda d: losses.log_depth(d, valid).sum())(jnp.asarray(depth))
    np.testing.assert_allclose(slope, [[1, 1 / np.e, 0, 0, 0, 0.1]], rtol=1e-6)


@each_loss
def test_other_shapes_are_refused(name):
    loss, options = LOSSES[name]
    with pytest.raises(errors.UserError, match=r"one shape.*\[4, 6, 7, 1\].*\.\.\., 0"):
        loss(OUTPUT[..., None], TARGET, VALID, **options)


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (losses.berhu, {"share": 0.0}, "share above 0, got 0.0"),
        (losses.berhu, {"share": float("nan")}, "share above 0, got nan"),
        (losses.scale_invariant, {"invariance": 1.1}, "from 0 to 1.*got 1.1"),
        (losses.scale_invariant, {"gradient": -1.0}, "at least 0, got 0.5 and -1.0"),
    ],
)
def test_options_out_of_range_are_refused(loss, options, message):
    with pytest.raises(errors.UserError, match=message):
        loss(OUTPUT, TARGET, VALID, **options)


def test_the_gradient_term_wants_maps():
    flat = [x.reshape(4, -1) for x in (OUTPUT, TARGET, VALID)]
    with pytest.raises(errors.UserError, match=r"maps \[b, h, w\], got \[4, 42\]"):
        losses.scale_invariant(*flat, gradient=1.0)


def test_calibration_is_least_where_deviations_are_as_large_as_errors():
    rng = np.random.default_rng(0)
    shape = (3, 5, 7)
    output, target = rng.normal(size=(2, *shape)).astype(np.float32)
    spread = rng.uniform(0.5, 2, shape).astype(np.float32)
    valid = rng.random(shape) < 0.6
    valid[2] = False
    hidden = np.where(valid, target, np.nan).astype(np.float32)
    found = np.asarray(losses.calibration(spread, output, hidden, valid))
    for i in range(2):
        e, s = (
            (x[i][valid[i]].astype(np.float64) ** 2).mean()
            for x in (output - target, spread)
        )
        np.testing.assert_allclose(found[i], (e / s + np.log(s)) / 2, rtol=1e-5)

        def of_factor(log, i=i):
            scaled = jnp.exp(log) * spread
            return losses.calibration(scaled, output, hidden, valid)[i]

        best = np.log(e / s) / 2
        assert abs(jax.grad(of_factor)(best)) < 1e-4
        assert of_factor(best) < min(of_factor(best - 0.1), of_factor(best + 0.1))
    assert found[2] == 0
    slopes = jax.grad(
        lambda s, o: losses.calibration(s, o, hidden, valid).sum(), argnums=(0, 1)
    )(spread, output)
    assert (np.asarray(slopes[0])[~valid] == 0).all()
    assert (np.asarray(slopes[0])[valid] != 0).all()
    assert (np.asarray(slopes[1]) == 0).all()
    with pytest.raises(errors.UserError, match="one shape"):
        losses.calibration(spread, output[..., None], target, valid)
