"""Random colours of pairs: both alike, half of them, within the published ranges."""

import jax
import numpy as np

from dpjax.ops import pair_colours

KEYS = jax.random.split(jax.random.key(0), 400)


def _pairs():
    rng = np.random.default_rng(0)
    left = rng.uniform(0.01, 0.3, (400, 2, 3, 3)).astype(np.float32)
    return left, left[:, ::-1, ::-1].copy()


def test_half_of_the_pairs_change_and_their_views_alike():
    left, right = _pairs()
    after, other = map(np.asarray, pair_colours.shifted(left, right, KEYS))
    changed = np.any(after != left, axis=(1, 2, 3))
    assert 0.4 < changed.mean() < 0.6
    np.testing.assert_array_equal(other, after[:, ::-1, ::-1])


def test_gamma_brightness_and_channels_lie_in_the_published_ranges():
    left, right = _pairs()
    after = np.asarray(pair_colours.shifted(left, right, KEYS)[0], np.float64)
    changed = np.any(after != left, axis=(1, 2, 3))
    # Nothing is cut off below 0.3: log y = g log x + log b + log c.
    gammas, offsets = [], []
    for x, y in zip(left[changed], after[changed], strict=True):
        fits = [
            np.polyfit(np.log(x[..., c].ravel()), np.log(y[..., c].ravel()), 1)
            for c in range(3)
        ]
        np.testing.assert_allclose([f[0] for f in fits], fits[0][0], rtol=1e-3)
        gammas.append(fits[0][0])
        offsets.append([f[1] for f in fits])
    gammas, factors = np.array(gammas), np.exp(offsets)
    assert 0.799 < gammas.min() < 0.83
    assert 1.17 < gammas.max() < 1.201
    assert 0.4 * 0.999 < factors.min() < 0.55
    assert 2.0 < factors.max() < 2.4 * 1.001
    spread = factors.max(1) / factors.min(1)
    assert 1.2 < spread.max() < 1.5 * 1.001


def test_what_becomes_too_bright_is_cut_off():
    bright = np.full((400, 1, 1, 3), 0.95, np.float32)
    after = np.asarray(pair_colours.shifted(bright, bright, KEYS)[0])
    assert after.max() == 1
    assert after.min() > 0
