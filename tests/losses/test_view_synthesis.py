"""Losses of stereo pairs against PyTorch and float64 loops, and by their promises."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp
from jax.test_util import check_grads

from dpjax import errors
from dpjax.losses import view_synthesis as losses

B, H, W = 3, 8, 16
RNG = np.random.default_rng(0)
LEFT, RIGHT = RNG.random((2, B, H, W, 3)).astype(np.float32)
TIMES = (1, 2)
DISPARITIES = [
    RNG.uniform(0.02, 0.3, (B, H // r, W // r, 2)).astype(np.float32) for r in TIMES
]
VALID = np.array([True, False, True])
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


def _shift_loops(row, places):
    """Samples of a row [w, c] with nothing around it, float64."""
    out = np.zeros((len(places), row.shape[1]))
    for i, place in enumerate(places):
        left = int(np.floor(place))
        for column, weight in ((left, left + 1 - place), (left + 1, place - left)):
            if 0 <= column < len(row):
                out[i] += weight * row[column]
    return out


def _ssim_part(x, y):
    values = []
    for r, c, k in np.ndindex(x.shape[0] - 2, x.shape[1] - 2, x.shape[2]):
        p, q = (v[r : r + 3, c : c + 3, k].ravel() for v in (x, y))
        covariance = np.mean((p - p.mean()) * (q - q.mean()))
        above = (2 * p.mean() * q.mean() + 1e-4) * (2 * covariance + 9e-4)
        below = (p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var() + q.var() + 9e-4)
        values.append(np.clip((1 - above / below) / 2, 0, 1))
    return np.mean(values)


def _roughness(d, image):
    total = 0.0
    for axis in (0, 1):
        edges = np.abs(np.diff(image, axis=axis)).mean(-1)
        total += np.mean(np.abs(np.diff(d, axis=axis)) * np.exp(-edges))
    return total


def _textbook(disparities, left, right):
    """One pair in float64."""
    total = 0.0
    for scale, both in enumerate(disparities):
        r = 2**scale
        views = [v.reshape(H // r, r, W // r, r, 3).mean((1, 3)) for v in (left, right)]
        height, width = both.shape[:2]
        for own, sign in ((0, -1), (1, 1)):
            d = both[..., own]
            places = np.arange(width) + sign * width * d
            rows = range(height)
            seen = np.stack([_shift_loops(views[1 - own][i], places[i]) for i in rows])
            theirs = both[..., 1 - own, None]
            other = np.stack([_shift_loops(theirs[i], places[i]) for i in rows])
            total += 0.85 * _ssim_part(seen, views[own])
            total += 0.15 * np.abs(seen - views[own]).mean()
            total += 0.1 / 2**scale * _roughness(d, views[own])
            total += np.abs(other[..., 0] - d).mean()
    return total


def _compiled(function):
    return jax.jit(function, compiler_options=FAST)


def _double(*arrays):
    return [np.asarray(x, np.float64) for x in arrays]


def test_the_loss_of_pairs_is_that_of_loops():
    found, count = _compiled(losses.left_right)(DISPARITIES, LEFT, RIGHT, VALID)
    wanted = [
        _textbook(_double(*(d[b] for d in DISPARITIES)), *_double(LEFT[b], RIGHT[b]))
        for b in range(B)
    ]
    assert found.dtype == count.dtype == jnp.float32
    np.testing.assert_allclose(found, np.where(VALID, wanted, 0), rtol=1e-5)
    np.testing.assert_array_equal(count, VALID)


@functools.cache
def _torch_slopes():
    """Slopes of the sum of the pairs that count, for disparities, in PyTorch."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    def tensor(x, order):
        return torch.tensor(x[VALID].transpose(order), dtype=torch.float64)

    order = (0, 3, 1, 2)
    left, right = tensor(LEFT, order), tensor(RIGHT, order)
    disparities = [tensor(d, order).requires_grad_() for d in DISPARITIES]

    def sample(x, shift):
        height, width = shift.shape[1:]
        rows, columns = torch.meshgrid(
            torch.linspace(-1, 1, height).double(),
            torch.arange(width).double(),
            indexing="ij",
        )
        across = (columns + shift) * 2 / (width - 1) - 1
        grid = torch.stack([across, rows.expand_as(across)], -1)
        return functional.grid_sample(x, grid, align_corners=True)

    def ssim(x, y):
        def mean(v):
            return functional.avg_pool2d(v, 3, 1)

        mx, my = mean(x), mean(y)
        vx, vy, c = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
        above = (2 * mx * my + 1e-4) * (2 * c + 9e-4)
        return above / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))

    total = 0.0
    for r, both in zip(TIMES, disparities, strict=True):
        views = [functional.avg_pool2d(v, r) for v in (left, right)]
        for own, sign in ((0, -1), (1, 1)):
            d = both[:, own]
            shift = sign * both.shape[3] * d
            seen = sample(views[1 - own], shift)
            other = sample(both[:, 1 - own : 2 - own], shift)[:, 0]
            structure = ((1 - ssim(seen, views[own])) / 2).clamp(0, 1).mean()
            total = total + 0.85 * structure + 0.15 * (seen - views[own]).abs().mean()
            total = total + (other - d).abs().mean()
            for axis in (1, 2):
                edges = views[own].diff(dim=axis + 1).abs().mean(1)
                steps = d.diff(dim=axis).abs() * (-edges).exp()
                total = total + 0.1 / r * steps.mean()
    (2 * total).backward()  # means over two pairs; ours is a sum
    return [d.grad.numpy().transpose(0, 2, 3, 1) for d in disparities]


@pytest.mark.torch
def test_slopes_are_those_of_pytorch():
    slopes = _compiled(
        jax.grad(lambda d: losses.left_right(d, LEFT, RIGHT, VALID)[0].sum())
    )(DISPARITIES)
    for ours, theirs in zip(slopes, _torch_slopes(), strict=True):
        np.testing.assert_allclose(
            ours[VALID], theirs, atol=2e-5 * np.abs(theirs).max()
        )
        assert not np.asarray(ours)[~VALID].any()


def test_equal_views_without_disparity_cost_nothing_and_pull_nowhere():
    flat = [jnp.zeros_like(d) for d in DISPARITIES]

    def total(disparities):
        return losses.left_right(disparities, LEFT, LEFT, VALID)[0].sum()

    value, slopes = _compiled(jax.value_and_grad(total))(flat)
    assert value == 0
    for slope in slopes:
        np.testing.assert_array_equal(slope, 0)
    np.testing.assert_array_equal(losses.appearance(LEFT, LEFT), 0)


def _scene(shift):
    """A pair whose left view is the right one moved to the right."""
    wide = RNG.random((1, 24, 64 + 2 * shift, 3)).astype(np.float32)
    wide = (wide[:, :-1] + wide[:, 1:])[:, :, : 64 + shift] / 2
    return wide[:, :, :64], wide[:, :, shift:][:, :, :64]


def test_the_true_disparity_is_the_best_and_has_the_sign_of_the_module():
    left, right = _scene(4)
    yes = np.ones(1, bool)

    @_compiled
    def both(pixels):
        share = jnp.broadcast_to(pixels / 64, (1, 23, 64, 2))
        pixel = jnp.broadcast_to(pixels, (1, 23, 64))
        return (
            losses.left_right([share], left, right, yes)[0][0],
            losses.photometric(pixel, left, right, yes)[0][0],
        )

    costs = {pixels: both(float(pixels)) for pixels in (-4, 0, 3, 4, 5)}
    for pixels in (-4, 0, 3, 5):
        assert costs[4][0] < costs[pixels][0]
        assert costs[4][1] < 0.5 * costs[pixels][1]


def test_unusable_pairs_change_nothing_whatever_they_hold():
    dirty = np.array(LEFT)
    dirty[1] = np.nan
    bad = [np.array(d) for d in DISPARITIES]
    bad[0][1] = np.inf

    def total(disparities, left):
        scales = losses.left_right(disparities, left, RIGHT, VALID)
        one = losses.photometric(disparities[0][..., 0], left, RIGHT, VALID)
        return scales[0].sum() + one[0].sum()

    both = _compiled(jax.value_and_grad(total))
    value, slopes = both(bad, dirty)
    wanted, plain = both(DISPARITIES, LEFT)
    assert value == wanted
    for one, other in zip(slopes, plain, strict=True):
        np.testing.assert_array_equal(one, other)
    none = _compiled(losses.left_right)(DISPARITIES, dirty, RIGHT, np.zeros(B, bool))
    np.testing.assert_array_equal(none, 0)


def test_weights_are_those_of_the_three_terms():
    @_compiled
    def weighted(smoothness, consistency):
        weights = {"smoothness": smoothness, "consistency": consistency}
        return losses.left_right(DISPARITIES[:1], LEFT, RIGHT, VALID, **weights)[0]

    def value(smoothness, consistency):
        return np.asarray(weighted(smoothness, consistency))

    bare = value(smoothness=0.0, consistency=0.0)
    rough = sum(
        losses.roughness(DISPARITIES[0][..., i], view)
        for i, view in enumerate((LEFT, RIGHT))
    )
    found = value(smoothness=0.7, consistency=0.0) - bare
    np.testing.assert_allclose(found[VALID], 0.7 * rough[VALID], rtol=1e-4)
    both = value(smoothness=0.7, consistency=0.4)
    parts = value(smoothness=0.7, consistency=0.0) + 0.4 * (
        value(smoothness=0.0, consistency=1.0) - bare
    )
    np.testing.assert_allclose(both, parts, rtol=1e-5)


def test_a_share_of_one_or_the_other_is_all_of_it():
    l1 = np.abs(LEFT - RIGHT).mean((1, 2, 3))
    found = losses.appearance(LEFT, RIGHT, ssim_share=0.0)
    np.testing.assert_allclose(found, l1, rtol=1e-5)
    wanted = [_ssim_part(*_double(LEFT[b], RIGHT[b])) for b in range(B)]
    found = losses.appearance(LEFT, RIGHT, ssim_share=1.0)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    opposite = losses.appearance(
        np.eye(6)[None, ..., None], 1 - np.eye(6)[None, ..., None]
    )
    assert 0 < opposite[0] <= 1


def _garg(d, left, right, gamma):
    """One pair in float64."""
    height, width = d.shape
    total = 0.0
    for r, c in np.ndindex(height, width):
        place = np.clip(c - d[r, c], 0, width - 1)
        low = min(int(place), width - 2)
        seen = (low + 1 - place) * right[r, low] + (place - low) * right[r, low + 1]
        total += ((left[r, c] - seen) ** 2).sum()
        if r + 1 < height:
            total += gamma * (d[r + 1, c] - d[r, c]) ** 2
        if c + 1 < width:
            total += gamma * (d[r, c + 1] - d[r, c]) ** 2
    return total / d.size


@pytest.mark.parametrize("gamma", [0.01, 0.5])
def test_the_photometric_loss_is_that_of_loops(gamma):
    pixels = RNG.uniform(-2, 6, (B, H, W)).astype(np.float32)
    found, count = losses.photometric(pixels, LEFT, RIGHT, VALID, smoothness=gamma)
    wanted = [_garg(*_double(pixels[b], LEFT[b], RIGHT[b]), gamma) for b in range(B)]
    np.testing.assert_allclose(found, np.where(VALID, wanted, 0), rtol=1e-5)
    np.testing.assert_array_equal(count, VALID)


def test_slopes_of_the_photometric_loss_are_those_of_differences():
    # Between columns, where the interpolation is smooth.
    pixels = RNG.integers(0, 3, (1, 3, 6)) + RNG.uniform(0.3, 0.7, (1, 3, 6))

    @jax.jit
    def total(d):
        one = (x[:1, :3, :6] for x in (LEFT, RIGHT))
        return losses.photometric(d, *one, np.ones(1, bool))[0].sum()

    given = (jnp.asarray(pixels, jnp.float32),)
    check_grads(total, given, order=1, modes=["rev"], eps=0.05, rtol=1e-2, atol=1e-3)


def test_equal_views_without_disparity_have_no_photometric_loss():
    value, slope = jax.value_and_grad(
        lambda d: losses.photometric(d, LEFT, LEFT, VALID)[0].sum()
    )(jnp.zeros((B, H, W)))
    assert value == 0
    np.testing.assert_array_equal(slope, 0)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(errors.UserError, match="one scale or several"):
        losses.left_right([], LEFT, RIGHT, VALID)
    with pytest.raises(errors.UserError, match="a whole number of times"):
        losses.left_right([DISPARITIES[0][:, :, :5]], LEFT, RIGHT, VALID)
    with pytest.raises(errors.UserError, match="disparities of two views"):
        losses.left_right([DISPARITIES[0][..., :1]], LEFT, RIGHT, VALID)
    with pytest.raises(errors.UserError, match=r"valid \[b\].*\[2\]"):
        losses.left_right(DISPARITIES, LEFT, RIGHT, VALID[:2])
    with pytest.raises(errors.UserError, match="two images"):
        losses.photometric(DISPARITIES[0][..., 0], LEFT, RIGHT[:, 1:], VALID)
    with pytest.raises(errors.UserError, match="from 0 to 1, got 2"):
        losses.appearance(LEFT, RIGHT, ssim_share=2)
    with pytest.raises(errors.UserError, match="from 3x3"):
        losses.appearance(LEFT[:, :2], RIGHT[:, :2])
