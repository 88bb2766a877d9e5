"""CNN-F against its published table and a rendering in PyTorch."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import cnn_f
from tests import peers

# Kernel and bias of each layer (specification of depth, section 3).
COUNTS = {
    "conv1": 23_296,
    "conv2": 409_856,
    "conv3": 590_080,
    "conv4": 590_080,
    "conv5": 590_080,
    "fc6": 37_752_832,
}
WIDTHS = (4, 6, 7, 8, 5)
MEAN = np.array([103.94, 116.78, 123.68])  # blue, green, red
FAST = {"xla_backend_optimization_level": 0}


def _shapes(module):
    patches = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    return jax.eval_shape(module.init, jax.random.key(0), patches)["params"]


def _random(module, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda s: (rng.normal(size=s.shape) / np.prod(s.shape[:-1]) ** 0.5).astype(
            np.float32
        ),
        _shapes(module),
    )


def _patches(count=2):
    return np.random.default_rng(1).random((count, 224, 224, 3), np.float32)


def _torch(params, patches):
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    def layer(name):
        kernel, bias = (torch.tensor(params[name][k]) for k in ("kernel", "bias"))
        return kernel.permute(3, 2, 0, 1), bias

    x = (patches[..., ::-1] * 255 - MEAN).astype(np.float32)
    x = torch.tensor(x.transpose(0, 3, 1, 2).copy())
    norm = torch.nn.LocalResponseNorm(5, alpha=5e-4, beta=0.75, k=2.0)
    x = norm(functional.conv2d(x, *layer("conv1"), stride=4).relu())
    x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
    x = norm(functional.conv2d(x, *layer("conv2"), padding=2).relu())
    x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
    for i in (3, 4, 5):
        x = functional.conv2d(x, *layer(f"conv{i}"), padding=1).relu()
    x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
    return functional.conv2d(x, *layer("fc6"))[:, :, 0, 0].relu().numpy()


def test_parameters_are_the_published_ones():
    shapes = _shapes(cnn_f.CNNF())
    counts = {k: sum(x.size for x in v.values()) for k, v in shapes.items()}
    assert counts == COUNTS


@pytest.mark.torch
def test_features_are_those_of_pytorch():
    module = cnn_f.CNNF(WIDTHS, fc_width=12)
    params, patches = _random(module), _patches()
    with jax.default_matmul_precision("highest"):
        ours = jax.jit(module.apply, compiler_options=FAST)({"params": params}, patches)
    theirs = _torch(params, patches)
    assert (theirs > 0).mean() > 0.2
    assert peers.relative_error(ours, theirs) < 1e-5
    unlike = cnn_f.CNNF(WIDTHS, fc_width=12, input_style="imagenet")
    other = jax.jit(unlike.apply, compiler_options=FAST)({"params": params}, patches)
    assert peers.relative_error(other, theirs) > 1e-2


def test_every_parameter_has_a_gradient_and_half_precision_is_near():
    module = cnn_f.CNNF(WIDTHS, fc_width=12)
    params, patches = _random(module), _patches()

    def loss(params):
        out = module.apply({"params": params}, patches)
        return (out**2).sum(), out

    slopes, single = jax.jit(jax.grad(loss, has_aux=True), compiler_options=FAST)(
        params
    )
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path
    half = cnn_f.CNNF(WIDTHS, fc_width=12, dtype=jnp.bfloat16)
    out = jax.jit(half.apply, compiler_options=FAST)({"params": params}, patches)
    assert out.dtype == jnp.bfloat16
    assert 0 < peers.relative_error(out.astype(jnp.float32), single) < 0.05


def test_training_leaves_out_half_of_the_features():
    module = cnn_f.CNNF((1,) * 5, fc_width=2000)
    params = jax.tree.map(lambda s: jnp.zeros(s.shape), _shapes(module))
    params["fc6"]["bias"] += 3
    rngs = {"dropout": jax.random.key(0)}
    run = functools.partial(module.apply, train=True, rngs=rngs)
    out = jax.jit(run, compiler_options=FAST)({"params": params}, _patches(1))
    values, counts = np.unique(out, return_counts=True)
    np.testing.assert_allclose(values, [0, 6])
    assert counts[1] / 2000 == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("shape", [(1, 223, 224, 3), (224, 224, 3), (1, 224, 224, 2)])
def test_other_patches_are_refused(shape):
    module = cnn_f.CNNF((1,) * 5)
    with pytest.raises(errors.UserError, match=r"CNN-F wants patches|RGB images"):
        jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))


def test_other_numbers_of_widths_are_refused():
    with pytest.raises(errors.UserError, match=r"five convolutions.*got \(64, 256\)"):
        cnn_f.CNNF((64, 256))
