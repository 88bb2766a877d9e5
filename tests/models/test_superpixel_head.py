"""The last layers of DCNF against float64 NumPy."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.models import superpixel_head

RNG = np.random.default_rng(0)


def _variables(module, channels):
    features = jax.ShapeDtypeStruct((1, channels), jnp.float32)
    shapes = jax.eval_shape(module.init, jax.random.key(0), features)
    return jax.tree.map(
        lambda s: RNG.normal(0, s.shape[0] ** -0.5, s.shape).astype(np.float32), shapes
    )


def _expected(params, x):
    x = x.astype(np.float64)

    def layer(name):
        return x @ params[name]["kernel"].astype(np.float64) + params[name]["bias"]

    for name in (k for k in sorted(params) if k.startswith("hidden")):
        x = np.maximum(layer(name), 0)
    x = 1 / (1 + np.exp(-layer("experts")))
    return layer("head")[..., 0]


@pytest.mark.parametrize("widths", [(128,), (512, 128)])
@pytest.mark.parametrize("shape", [(5, 40), (2, 3, 40)])
def test_numbers_are_those_of_float64(widths, shape):
    module = superpixel_head.SuperpixelHead(widths)
    variables, x = _variables(module, 40), RNG.normal(size=shape).astype(np.float32)
    found = module.apply(variables, x)
    assert found.shape == shape[:-1]
    np.testing.assert_allclose(found, _expected(variables["params"], x), rtol=1e-4)


def test_layers_are_those_of_the_paper():
    params = _variables(superpixel_head.SuperpixelHead(), 4096)["params"]
    shapes = {name: layer["kernel"].shape for name, layer in params.items()}
    assert shapes == {"hidden1": (4096, 128), "experts": (128, 16), "head": (16, 1)}


def test_training_leaves_rectified_features_out_and_the_gradient_reaches_all():
    module = superpixel_head.SuperpixelHead((64, 32))
    variables, x = _variables(module, 20), RNG.normal(size=(50, 20)).astype(np.float32)

    def loss(params, train):
        rngs = {"dropout": jax.random.key(0)}
        out = module.apply({"params": params}, x, train=train, rngs=rngs)
        return (out**2).sum(), out

    slopes, out = jax.jit(jax.grad(loss, has_aux=True), static_argnums=1)(
        variables["params"], True
    )
    assert np.abs(out - module.apply(variables, x)).min() > 0
    assert all(np.abs(slope).max() > 0 for slope in jax.tree.leaves(slopes))
    # Without the rectified layers nothing is left out: the experts are not.
    module = superpixel_head.SuperpixelHead(())
    variables = _variables(module, 20)
    rngs = {"dropout": jax.random.key(0)}
    trained = module.apply(variables, x, train=True, rngs=rngs)
    np.testing.assert_array_equal(trained, module.apply(variables, x))


def test_half_precision_gives_single_numbers_near():
    module = superpixel_head.SuperpixelHead()
    variables, x = _variables(module, 40), RNG.normal(size=(9, 40)).astype(np.float32)
    half = superpixel_head.SuperpixelHead(dtype=jnp.bfloat16)
    half, single = (jax.jit(m.apply)(variables, x) for m in (half, module))
    assert half.dtype == jnp.float32
    assert 0 < np.abs(half - single).max() < 0.02 * np.abs(single).max()
