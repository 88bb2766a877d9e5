"""The segmentation networks of "Wider or Deeper": counts, head, the authors' names."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from dpjax.models import wide_fcn, zoo
from dpjax.weights import layouts, renaming
from tests import peers

# Specification of backbones, section 2.2: parameters by the number of classes.
COUNTS = {19: 124_033_363, 21: 124_042_581, 150: 124_637_142}
NAMES = ("wide_resnet_a_fcn", "wide_resnet_a1_fcn", "wide_resnet_a2_fcn")


def _shapes(name, size=(32, 32), **options):
    module = zoo.create_module(name, **options)
    images = jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    init = functools.partial(module.init_with_output, jax.random.key(0))
    return jax.eval_shape(init, images)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", COUNTS)
def test_parameters_are_the_published_ones(name, classes):
    _, variables = _shapes(name, num_classes=classes)
    flat = traverse_util.flatten_dict(variables["params"], sep="/")
    assert sum(leaf.size for leaf in flat.values()) == COUNTS[classes]
    assert flat["decoder/conv/kernel"].shape == (3, 3, 4096, 512)
    assert flat["decoder/head/bias"].shape == (classes,)


@pytest.mark.parametrize("name", NAMES)
def test_scores_have_a_stride_of_eight(name):
    assert _shapes(name, (504, 504))[0].shape == (1, 63, 63, 21)
    assert _shapes(name, (1024, 2048), num_classes=19)[0].shape == (1, 128, 256, 19)


def test_training_leaves_out_what_the_paper_does():
    module = zoo.create_module("wide_resnet_a1_fcn")
    assert module.backbone.unit_dropout == (0.3, 0.5)
    assert module.backbone.output_stride == 8


@pytest.mark.torch
@pytest.mark.parametrize("hidden", [6, 0])
def test_the_head_is_that_of_pytorch(hidden):
    torch = pytest.importorskip("torch")
    convolution = functools.partial(torch.nn.Conv2d, kernel_size=3, padding=12)
    layers = [convolution(hidden or 8, 5, dilation=12)]
    if hidden:
        layers = [convolution(8, hidden, dilation=12), torch.nn.ReLU(), *layers]
    network = peers.randomise(torch.nn.Sequential(*layers))
    x = np.random.default_rng(0).normal(size=(2, 27, 16, 8)).astype(np.float32)
    arrays = list(peers.arrays(network).values())
    names = ["conv", "head"] if hidden else ["head"]
    params = {
        name: {"kernel": kernel.transpose(2, 3, 1, 0), "bias": bias}
        for name, kernel, bias in zip(names, arrays[::2], arrays[1::2], strict=True)
    }
    wanted = peers.output(network, x)

    def error(dilation):
        head = wide_fcn.DilatedHead(5, hidden, dilation)
        ours = head.apply({"params": params}, {1: x[..., :1], 8: x}, (216, 128))
        return peers.relative_error(ours, wanted)

    assert error(12) < 1e-5
    assert error(11) > 1e-2


def test_the_authors_names_of_the_head_are_known():
    module = zoo.create_module("wide_resnet_a1_fcn", width=1 / 16, hidden=6)
    names = layouts.of(module)
    assert set(names) == {"ademxapp", "psa", "nvidia", "inplace_abn"}
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    rng, arrays = np.random.default_rng(0), {}
    for path, leaf in traverse_util.flatten_dict(shapes, sep="/").items():
        name, array = _ademxapp(path), rng.normal(size=leaf.shape)
        arrays[name] = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array
    assert {"arg:conv6a_weight", "arg:linear21_bias", "aux:bn7_moving_var"} <= set(
        arrays
    )
    loaded = renaming.variables(arrays, module, names)
    jax.tree.map(lambda a, b: np.testing.assert_equal(a.shape, b.shape), loaded, shapes)
    head = loaded["params"]["decoder"]
    np.testing.assert_allclose(
        head["conv"]["kernel"], arrays["arg:conv6a_weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_allclose(head["head"]["bias"], arrays["arg:linear21_bias"])


def _ademxapp(path):
    """One of our paths in the names of the authors' MXNet."""
    kind, _, *unit, layer, leaf = path.split("/")
    start = "aux:" if kind == "batch_stats" else "arg:"
    leaf = {
        "kernel": "weight",
        "scale": "gamma",
        "mean": "moving_mean",
        "var": "moving_var",
        "bias": "beta" if "bn" in layer else "bias",
    }[leaf]
    if not unit:
        names = {"conv": "conv6a", "head": "linear21", "bn_out": "bn7"}
        return f"{start}{names.get(layer, layer)}_{leaf}"
    level, i = unit[0].removeprefix("b").split("_")
    unit = f"{level}a" if i == "0" else f"{level}b{i}"
    branch = {"a": "2a", "b": "2b1", "c": "2b2", "proj": "1"}[layer.split("_")[-1]]
    return f"{start}{'bn' if 'bn' in layer else 'res'}{unit}_branch{branch}_{leaf}"
