"""Losses without scale and shift against NumPy's least squares and PyTorch."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.losses import affine_invariant as losses

RNG = np.random.default_rng(0)
SHAPE = (5, 8, 9)
TARGET = RNG.uniform(0, 1, SHAPE).astype(np.float32)
OUTPUT = (3 * TARGET - 1 + RNG.normal(0, 0.5, SHAPE)).astype(np.float32)
VALID = RNG.random(SHAPE) < 0.7
VALID[1] = True
VALID[2] = False
VALID[3] = False
VALID[3, 4, 4] = True  # a single pixel
OUTPUT[4] = 2.5  # a network that has not learnt anything

LOSSES = {
    "squared": (losses.squared_error, {}),
    "squared, slopes": (losses.squared_error, {"gradient": 0.5}),
    "absolute": (losses.trimmed_error, {"trim": 0.0}),
    "trimmed": (losses.trimmed_error, {}),
    "trimmed, slopes": (losses.trimmed_error, {"trim": 0.33, "gradient": 0.5}),
}
each_loss = pytest.mark.parametrize("name", LOSSES)


def compiled(name):
    loss, options = LOSSES[name]
    return jax.jit(lambda *maps: loss(*maps, **options))


def gradient(name):
    """Value and slope of the sum over images."""
    loss, options = LOSSES[name]
    return jax.jit(jax.value_and_grad(lambda *maps: loss(*maps, **options)[0].sum()))


def slopes_of(output, target, valid):
    miss = {(y, x): output[y, x] - target[y, x] for y, x in np.argwhere(valid).tolist()}
    total = 0.0
    for step in (1, 2, 4, 8):
        part = {p: r for p, r in miss.items() if not (p[0] % step or p[1] % step)}
        for (y, x), r in part.items():
            for other in ((y + step, x), (y, x + step)):
                if other in part:
                    total += abs(part[other] - r) / len(part)
    return total


def textbook(name, output, target, valid):
    """One image in float64."""
    output, target = (x.astype(np.float64) for x in (output, target))
    n, options = valid.sum(), LOSSES[name][1]
    if n == 0:
        return 0.0, 0
    if name.startswith("squared"):
        system = np.stack([output[valid], np.ones(n)], 1)
        if np.ptp(output[valid]) == 0:
            system[:, 0] = 0  # the least of all solutions
        s, t = np.linalg.lstsq(system, target[valid])[0]
        ours, theirs = s * output + t, target
        total = ((ours - theirs)[valid] ** 2).sum() / 2
    else:
        ours, theirs = (x - np.median(x[valid]) for x in (output, target))
        ours, theirs = (x / (np.abs(x[valid]).mean() or 1) for x in (ours, theirs))
        misses = sorted(np.abs(ours - theirs)[valid])
        total = sum(misses[: int((1 - options.get("trim", 0.2)) * n + 1e-6)]) / 2
    if "gradient" in options:
        total += options["gradient"] * n * slopes_of(ours, theirs, valid)
    return total, n


@each_loss
def test_values_are_those_of_numpy(name):
    found = compiled(name)(OUTPUT, TARGET, VALID)
    wanted = [textbook(name, *x) for x in zip(OUTPUT, TARGET, VALID, strict=True)]
    for one, other in zip(found, np.transpose(wanted), strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["squared", "absolute", "trimmed"])
def test_gradients_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    options = LOSSES[name][1]
    _, slopes = gradient(name)(OUTPUT, TARGET, VALID)
    for b in (0, 1):
        output = torch.tensor(OUTPUT[b], dtype=torch.float64, requires_grad=True)
        o, g = (
            x[torch.tensor(VALID[b])]
            for x in (output, torch.tensor(TARGET[b]).double())
        )
        if name == "squared":
            system = torch.stack([o, torch.ones_like(o)], 1)
            solution = torch.linalg.solve(system.T @ system, system.T @ g)
            value = (system @ solution - g).square().sum() / 2
        else:
            o, g = (x - torch.quantile(x, 0.5) for x in (o, g))
            miss = (o / o.abs().mean() - g / g.abs().mean()).abs().sort().values
            kept = int((1 - options.get("trim", 0.2)) * len(o) + 1e-6)
            value = miss[:kept].sum() / 2
        value.backward()
        np.testing.assert_allclose(slopes[b], output.grad, rtol=1e-4, atol=1e-5)
    assert np.isfinite(slopes).all()
    np.testing.assert_array_equal(slopes[2], 0)


@each_loss
def test_slopes_are_those_of_finite_differences(name):
    direction = RNG.normal(size=SHAPE).astype(np.float32)
    direction[2:] = 0
    step = 1e-6
    _, slope = gradient(name)(OUTPUT, TARGET, VALID)
    ends = [
        sum(
            textbook(name, OUTPUT[b] + s * step * direction[b].astype(float), *x)[0]
            for b, x in enumerate(zip(TARGET, VALID, strict=True))
        )
        for s in (1, -1)
    ]
    wanted = (ends[0] - ends[1]) / (2 * step)
    found = float((np.asarray(slope, np.float64) * direction).sum())
    np.testing.assert_allclose(found, wanted, rtol=1e-3)


@each_loss
def test_scale_and_shift_of_the_output_change_nothing(name):
    one = compiled(name)(OUTPUT, TARGET, VALID)[0]
    other = compiled(name)(7 * OUTPUT - 20, TARGET, VALID)[0]
    np.testing.assert_allclose(one, other, rtol=1e-4)


@each_loss
def test_ignored_pixels_change_nothing_whatever_they_hold(name):
    dirty = np.where(VALID, OUTPUT, np.nan), np.where(VALID, TARGET, np.inf)
    value, slope = gradient(name)(*dirty, VALID)
    wanted, plain = gradient(name)(OUTPUT, TARGET, VALID)
    assert value == wanted
    np.testing.assert_array_equal(slope, plain)
    assert not np.asarray(slope)[~VALID].any()


def test_the_best_fit_is_that_of_least_squares_far_from_zero():
    far = (OUTPUT.astype(np.float64) + 3000).astype(np.float32)
    scale, shift = losses.fit(far, TARGET, VALID)
    for b in (0, 1):
        system = np.stack([far[b][VALID[b]], np.ones(VALID[b].sum())], 1)
        s, t = np.linalg.lstsq(system.astype(np.float64), TARGET[b][VALID[b]])[0]
        np.testing.assert_allclose((scale[b], shift[b]), (s, t), rtol=2e-3)
    assert (scale[2], shift[2]) == (0, 0)
    assert (scale[3], shift[3]) == (0, TARGET[3, 4, 4])


def test_a_constant_output_far_from_zero_has_no_scale():
    flat = np.full((1, 61, 67), 1234.567, np.float32)
    target = RNG.random(flat.shape).astype(np.float32)
    scale, shift = losses.fit(flat, target, np.ones(flat.shape, bool))
    assert scale[0] == 0
    np.testing.assert_allclose(shift[0], target.mean(), rtol=1e-5)


def test_trimming_forgets_gross_errors_of_the_target():
    target = TARGET[1:2].copy()
    output = 2 * target + 1
    target[0, 0, :6] += 50
    whole = np.ones(target.shape, bool)
    trimmed, _ = losses.trimmed_error(output, target, whole)
    every, _ = losses.trimmed_error(output, target, whole, trim=0.0)
    assert trimmed[0] < every[0] / 2


def test_lists_of_numbers_are_compared_as_maps_are():
    flat = [x.reshape(5, -1) for x in (OUTPUT, TARGET, VALID)]
    for loss in (losses.squared_error, losses.trimmed_error):
        for one, other in zip(loss(*flat), loss(OUTPUT, TARGET, VALID), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "change", "message"),
    [
        (losses.squared_error, {"gradient": -1.0}, "at least 0, got -1.0"),
        (losses.trimmed_error, {"trim": 1.0}, r"in \[0, 1\), got 1\.0"),
        (losses.trimmed_error, {"output": OUTPUT[..., None]}, r"one shape.*\.\.\., 0"),
        (losses.squared_error, {"target": TARGET[:1]}, "one shape"),
    ],
)
def test_what_makes_no_sense_is_refused(loss, change, message):
    maps = {"output": OUTPUT, "target": TARGET, "valid": VALID}
    with pytest.raises(errors.UserError, match=message):
        loss(**{**maps, **change})
