"""DeconvNet against PyTorch's unpooling and transposed convolutions."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.models import deconvnet, segmenter, vgg, zoo
from tests import peers

WIDTHS, HIDDEN, CLASSES = (4, 6, 8, 10, 12), 14, 5
MEAN = np.array([104.00699, 116.66877, 122.67892])  # blue, green, red
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


def test_parameters_are_those_of_the_mirrored_table():
    module = zoo.create_module("deconvnet")
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    params = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    encoder = 14_714_688 - 4_224  # VGG16 without biases
    mirrored = encoder - 9 * 3 * 64 + 9 * 64 * 64  # conv1_1 reads 3 channels, not 64
    fc6, fc7, head = 49 * 512 * 4096, 4096 * 4096, (64 + 1) * 21
    channels = 4_224 + 2 * 4096 + 512  # encoder, fc6, fc7 and the mirror image of fc6
    channels += 512 * 3 + (512 * 2 + 256) + (256 * 2 + 128) + (128 + 64) + 64 * 2
    wanted = encoder + mirrored + 2 * fc6 + fc7 + head
    wanted += 3 * channels  # bias, scale and shift
    assert wanted == 251_805_653  # the paper's 252 million
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == wanted


@pytest.mark.parametrize("size", [(224, 224), (225, 250), (321, 300)])
def test_scores_are_as_large_as_the_image(size):
    module = zoo.create_module("deconvnet")
    assert module.smallest_side == 224
    images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    init = functools.partial(module.init_with_output, jax.random.key(0))
    scores, _ = jax.eval_shape(init, images)
    assert (scores.shape, scores.dtype) == ((1, *size, 21), jnp.float32)


def _module(dtype):
    trunk = vgg.VGG16(WIDTHS, has_norm=True, input_style="caffe_fcn", dtype=dtype)
    decoder = deconvnet.DeconvNet(CLASSES, HIDDEN, dtype=dtype)
    return segmenter.Segmenter(trunk, decoder, 224)


@functools.cache
def _peer():
    """A network with random weights in double precision, and the weights as ours."""
    peers.timm()
    from benchmarks import torch_fcn

    network = peers.randomise(torch_fcn.DeconvNet(CLASSES, WIDTHS, HIDDEN)).double()
    params, statistics = {}, {}
    for name, layer in network.named_children():
        part = "backbone" if name.removeprefix("bn_").startswith("conv") else "decoder"
        if part == "backbone":
            name = name.replace("bn_conv", "bn")
        state = {key: value.numpy() for key, value in layer.state_dict().items()}
        if "running_mean" in state:
            params[part, name] = {"scale": state["weight"], "bias": state["bias"]}
            statistics[part, name] = {
                "mean": state["running_mean"],
                "var": state["running_var"],
            }
            continue
        kernel = state["weight"]
        if "deconv" in name:  # (in, out, h, w), and turned by half a turn
            kernel = kernel[:, :, ::-1, ::-1].transpose(2, 3, 0, 1)
        else:
            kernel = kernel.transpose(2, 3, 1, 0)
        params[part, name] = {"kernel": kernel, "bias": state["bias"]}
    nested = {}
    for kind, flat in (("params", params), ("batch_stats", statistics)):
        for (part, name), layer in flat.items():
            nested.setdefault(kind, {}).setdefault(part, {})[name] = layer
    return network, nested


def _images(height, width):
    return np.random.default_rng(0).random((1, height, width, 3))


# In double precision no rounding can exchange two pixels of a pooling window.
@pytest.mark.parametrize("size", [(224, 224), (230, 257)])
def test_scores_are_those_of_pytorch(size):
    network, variables = _peer()
    images = _images(*size)
    wanted = peers.output(network, images[..., ::-1] * 255 - MEAN)
    with jax.enable_x64(True):
        run = jax.jit(_module(jnp.float64).apply, compiler_options=FAST)
        ours = run(variables, images)
    assert peers.relative_error(ours, wanted) < 1e-6


def test_values_that_go_back_elsewhere_are_noticed(monkeypatch):
    network, variables = _peer()
    images = _images(224, 224)
    wanted = peers.output(network, images[..., ::-1] * 255 - MEAN)
    switches = deconvnet.unpooling.switches
    monkeypatch.setattr(
        deconvnet.unpooling, "switches", lambda x: jnp.zeros_like(switches(x))
    )
    with jax.enable_x64(True):
        run = jax.jit(_module(jnp.float64).apply, compiler_options=FAST)
        ours = run(variables, images)
    assert peers.relative_error(ours, wanted) > 1e-2
