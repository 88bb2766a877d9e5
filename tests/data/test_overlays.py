"""Text, scratches and haze: what is hidden, how much of it, and the way back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax.data import degradations, glyphs
from dpjax.ops import haze

OVERLAYS = [degradations.TextMask(), degradations.ScratchMask()]


@pytest.mark.parametrize("operator", OVERLAYS, ids=lambda d: d.label)
def test_only_the_mask_is_painted_in_one_colour(operator):
    image = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    clean = jnp.asarray(image / 255, jnp.float32)
    both = lambda *given: (operator.apply_with_mask(*given), operator.apply(*given))  # noqa: E731
    (given, hidden), plain = jax.jit(both)(clean, jax.random.key(3))
    hidden = np.broadcast_to(hidden, image.shape)
    assert 0 < hidden.mean() < 0.5
    assert np.array_equal(np.asarray(given)[~hidden], np.asarray(clean)[~hidden])
    painted = np.asarray(given)[hidden[..., 0]]
    assert np.array_equal(painted, np.broadcast_to(painted[0], painted.shape))
    assert np.array_equal(given, plain)


@pytest.mark.parametrize("operator", OVERLAYS, ids=lambda d: d.label)
def test_evaluation_returns_stored_levels_and_the_mask(operator):
    image = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)
    given, hidden = operator.evaluate_with_mask(image, np.random.default_rng(5))
    levels = given * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=3e-5)
    outside = ~hidden[..., 0]
    assert np.array_equal(np.rint(levels)[outside], image[outside])
    assert np.array_equal(given, operator.evaluate(image, np.random.default_rng(5)))


@pytest.mark.parametrize("operator", OVERLAYS, ids=lambda d: d.label)
def test_expected_coverage_is_the_one_asked_for(operator):
    keys = jax.random.split(jax.random.key(0), 400)

    @jax.jit
    def shares():
        fixed = [type(operator)(coverage=(share, share)) for share in (0.05, 0.3)]
        return [jax.vmap(lambda k, d=d: d.mask(50, 50, k).mean())(keys) for d in fixed]

    for share, got in zip((0.05, 0.3), shares(), strict=True):
        assert float(got.mean()) == pytest.approx(share, rel=0.15)
        assert len(np.unique(got)) > 20


def test_constant_paint_is_constant():
    operator = degradations.ScratchMask(level=1.0, coverage=(0.1, 0.1))
    clean = jnp.zeros((64, 64, 1))
    given, hidden = jax.jit(operator.apply_with_mask)(clean, jax.random.key(0))
    assert np.array_equal(given, hidden.astype(np.float32))


def test_scratches_are_as_wide_as_asked():
    from scipy import ndimage

    operator = degradations.ScratchMask(
        coverage=(0.05, 0.05), width_px=(4.0, 4.0), length_px=(40.0, 60.0)
    )
    draw = jax.jit(lambda key: operator.mask(100, 100, key)[..., 0])
    hidden = np.asarray(draw(jax.random.key(1)))
    assert hidden.any()
    # A disc of diameter 4 fits, one of diameter 7 does not (crossings aside).
    depth = ndimage.distance_transform_edt(hidden)
    assert 1.9 < np.percentile(depth[depth > 0], 95) < 3.0


def test_text_has_lines_of_the_size_asked_for():
    operator = degradations.TextMask(size_px=(16.0, 16.0), coverage=(0.2, 0.2))
    draw = jax.jit(lambda key: operator.mask(200, 400, key)[..., 0])
    hidden = np.asarray(draw(jax.random.key(2)))
    rows = hidden.mean(1)
    # Lines repeat: the row profile correlates with itself one line further down.
    rows = rows - rows.mean()
    lags = np.array([np.dot(rows[:-k], rows[k:]) for k in range(8, 40)])
    assert 16 <= 8 + lags.argmax() <= 23


def test_letters_are_drawn_apart_from_each_other():
    distance, pens, fills = glyphs.atlas()
    assert distance.shape[0] == len(glyphs.LETTERS) == 36
    ink = distance < 0
    assert ink.any((1, 2)).all()
    assert len({cell.tobytes() for cell in ink}) == 36
    assert np.all(np.diff(pens) > 0)
    assert np.all(np.diff(fills) >= 0)
    assert fills[-1] > 0.55  # the thickest pen suffices for the highest coverage


def test_published_haze_and_its_inverse():
    from skimage import data

    from dpjax.metrics import restoration

    scene = data.astronaut() / 255
    depth = np.repeat(np.linspace(0.5, 3, 512)[:, None], 512, axis=1)
    t = haze.transmission(depth, 1.0)
    hazy = haze.add_haze(scene, t, 0.8)
    assert restoration.psnr(hazy, scene, peak=1.0) == pytest.approx(7.9249, abs=5e-5)
    back = haze.remove_haze(hazy, t, 0.8)
    assert np.abs(back - scene).max() < 1e-14


def test_haze_limits():
    scene = np.random.default_rng(0).random((5, 6, 3))
    airlight = np.array([0.7, 0.8, 0.9])
    clear, opaque = np.ones((5, 6)), np.zeros((5, 6))
    assert np.array_equal(haze.add_haze(scene, clear, airlight), scene)
    assert np.array_equal(
        haze.add_haze(scene, opaque, airlight), np.broadcast_to(airlight, scene.shape)
    )
    half = haze.add_haze(scene, clear / 2, airlight)
    np.testing.assert_allclose(np.ptp(half, (0, 1)), np.ptp(scene, (0, 1)) / 2)
    thick = clear * 0.01
    hazy = haze.add_haze(scene, thick, airlight)
    bounded = haze.remove_haze(hazy, thick, airlight, least=0.1)
    want = airlight + (scene - airlight) * 0.1
    np.testing.assert_allclose(bounded, want, rtol=1e-12)


def test_random_depth_is_smooth_and_within_bounds():
    operator = degradations.Haze(depth_m=(0.5, 3.0))
    draw = jax.jit(lambda key: operator.random_depth(90, 120, key))
    depth = np.asarray(draw(jax.random.key(0)))
    assert depth.min() >= 0.5
    assert depth.max() <= 3.0
    assert np.abs(np.diff(depth, axis=0)).max() < 0.25
    assert depth.std() > 0.01
    other = np.asarray(draw(jax.random.key(1)))
    assert not np.allclose(depth, other)


@pytest.mark.parametrize("host", [True, False])
def test_known_depth_is_used(host):
    operator = degradations.Haze(beta=(1.0, 1.0), airlight=(0.8, 0.8))
    image = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    depth = np.random.default_rng(1).uniform(0.5, 3, (8, 9))
    want = haze.add_haze(image / 255, np.exp(-depth), 0.8)
    if host:
        got = operator.evaluate(image, np.random.default_rng(0), depth)
    else:
        clean = jnp.asarray(image / 255, jnp.float32)
        got = jax.jit(operator.apply)(clean, jax.random.key(0), depth)
    np.testing.assert_allclose(got, want, atol=1e-6)
