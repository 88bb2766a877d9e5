"""The self-ensemble: equivariance, convexity, and a network it cannot improve."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dpjax.inference import ensemble, windows
from dpjax.models import rednet

D4 = [(k, flip) for k in range(4) for flip in (False, True)]


def transform(image, k, flip):
    turned = np.rot90(image, k)
    return turned[::-1] if flip else turned  # also transpositions, via up-down flips


def engine_of(*, symmetric=False, seed=0, stride=1):
    module = rednet.RedNet(depth=4, widths=4, last_scale=1.0, stride=stride)
    variables = module.init(jax.random.key(seed), jnp.zeros((1, 4, 4, 1)))
    variables = jax.tree.map(np.asarray, variables)
    if symmetric:
        variables = jax.tree.map(
            lambda a: (
                a
                if a.ndim != 4
                else np.mean([transform(a, k, f) for k, f in D4], axis=0)
            ),
            variables,
        )
    return windows.Engine(module, variables, max_window=64, bucket=16)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_ensemble_is_equivariant(stride):
    engine = engine_of(stride=stride)
    averaged = ensemble.SelfEnsemble(engine)
    image = np.random.default_rng(0).random((23, 18, 1)).astype(np.float32)
    straight, plain = averaged(image), engine(image)
    assert straight.shape == image.shape
    for k, flip in D4:
        turned = transform(image, k, flip)
        np.testing.assert_allclose(
            averaged(turned), transform(straight, k, flip), rtol=0, atol=2e-6
        )
    # The network alone is not: the test would see a missing transformation.
    assert np.abs(engine(np.rot90(image)) - np.rot90(plain)).max() > 1e-2


def test_each_view_is_turned_back():
    image = np.arange(12.0).reshape(3, 4, 1)
    seen = ensemble.views(image)
    assert len({v.tobytes() + bytes(v.shape) for v in seen}) == 8
    np.testing.assert_array_equal(ensemble.merge(seen), image)


def test_squared_error_is_at_most_the_mean_of_the_views():
    engine = engine_of(seed=2)
    rng = np.random.default_rng(4)
    image = rng.random((20, 14, 1)).astype(np.float32)
    clean = rng.random((20, 14, 1))
    results = [engine(v) for v in ensemble.views(image)]
    single = [
        np.mean((r - t) ** 2)
        for r, t in zip(results, ensemble.views(clean), strict=True)
    ]
    averaged = np.mean((ensemble.SelfEnsemble(engine)(image) - clean) ** 2)
    assert averaged < np.mean(single)


def test_symmetric_kernels_gain_nothing():
    engine = engine_of(symmetric=True)
    image = np.random.default_rng(0).random((19, 22, 1)).astype(np.float32)
    np.testing.assert_allclose(
        ensemble.SelfEnsemble(engine)(image), engine(image), rtol=0, atol=2e-6
    )


def test_map_keeps_order_over_sizes():
    engine = engine_of()
    averaged = ensemble.SelfEnsemble(engine)
    rng = np.random.default_rng(0)
    images = [rng.random((h, 9, 1)).astype(np.float32) for h in (5, 40, 5)]
    for image, result in zip(images, averaged.map(images), strict=True):
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, averaged(image), rtol=0, atol=1e-6)
    assert averaged.exact
    assert averaged.is_exact(5000, 5000)
    assert averaged.compilations == engine.compilations > 0
