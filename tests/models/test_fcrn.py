"""FCRN against a PyTorch rendering of it, and its up-convolution against 5x5."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import fcrn, resnet, segmenter, zoo
from dpjax.weights import layouts, renaming
from tests import peers

# The paper has 63.6 million; the public port has exactly these.
COUNT = 63_571_649
RESNET = 23_508_032
COUNTS = {
    "reduce": 2_097_152,
    "bn_reduce": 2_048,
    "up1": 28_581_376,
    "up2": 7_147_264,
    "up3": 1_787_776,
    "up4": 447_424,
    "head": 577,
}
WIDTHS = (12, 10, 8, 6, 4)
IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
FAST = {"xla_backend_optimization_level": 0}
INTERLEAVINGS = ("unpool", "shifted", "exchanged")


@functools.cache
def _shapes():
    module = zoo.create_module("fcrn_resnet50")
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    return module, jax.eval_shape(module.init, jax.random.key(0), images)


def test_parameters_are_the_published_ones():
    params = _shapes()[1]["params"]
    flat = traverse_util.flatten_dict(params, sep="/")
    assert sum(x.size for x in flat.values()) == COUNT
    assert sum(x.size for x in jax.tree.leaves(params["backbone"])) == RESNET
    decoder = params["decoder"]
    counts = {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in decoder.items()}
    assert counts == COUNTS


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((228, 304), (128, 160)), ((256, 320), (128, 160)), ((33, 65), (32, 48))],
)
def test_every_32_begun_pixels_become_16(size, wanted):
    module, variables = _shapes()
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    out = jax.eval_shape(module.apply, variables, images)
    assert (out.shape, out.dtype) == ((2, *wanted, 1), jnp.float32)


def _module(interleaving="unpool", dtype=jnp.float32, **options):
    """A shallow backbone with a narrow decoder."""
    trunk = resnet.ResNet((1, 1, 1, 1), dtype=dtype, **options)
    decoder = fcrn.UpProjections(1, WIDTHS, interleaving, dtype=dtype)
    return segmenter.Segmenter(trunk, decoder)


@functools.cache
def _peer(interleaving):
    """A PyTorch network with random weights, and those weights under our names."""
    peers.timm()
    from torchvision.models import resnet as theirs

    from benchmarks import torch_fcrn

    trunk = theirs.ResNet(theirs.Bottleneck, [1, 1, 1, 1])
    network = peers.randomise(torch_fcrn.FCRN(trunk, WIDTHS, interleaving))
    module = _module(interleaving)
    arrays = peers.arrays(network)
    layout, variables = renaming.read(arrays, module, layouts.of(module))
    assert layout == "XPFly1989/FCRN"
    return network, variables


def _images(height, width):
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def _theirs(network, images):
    mean, deviation = IMAGENET
    return peers.output(network, ((images - mean) / deviation).astype(np.float32))


@functools.cache
def _program(module):
    return jax.jit(module.apply, compiler_options=FAST)


def _ours(module, variables, images):
    with jax.default_matmul_precision("highest"):
        return _program(module)(variables, images)


@pytest.mark.torch
@pytest.mark.parametrize("interleaving", INTERLEAVINGS)
def test_numbers_are_those_of_pytorch(interleaving):
    network, variables = _peer(interleaving)
    images = _images(70, 101)
    theirs = _theirs(network, images)
    for other in INTERLEAVINGS:
        error = peers.relative_error(_ours(_module(other), variables, images), theirs)
        assert error < 1e-5 if other == interleaving else error > 1e-2, other


def test_the_authors_geometry_is_one_of_options():
    options = {"variant": "v1", "pool_pad": "same", "interleaving": "shifted"}
    module = zoo.create_module("fcrn_resnet50", **options)
    assert (module.backbone.variant, module.backbone.pool_pad) == ("v1", "same")
    assert module.decoder.interleaving == "shifted"


@pytest.mark.torch
def test_four_convolutions_are_one_of_the_map_with_zeros_between():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(5, 5, 3, 2)).astype(np.float32)
    x = rng.normal(size=(2, 4, 6, 3)).astype(np.float32)
    module = fcrn.UpProjection(2)
    variables = jax.tree.map(
        lambda s: np.zeros(s.shape, np.float32),
        jax.eval_shape(module.init, jax.random.key(0), x),
    )
    params, statistics = variables["params"], variables["batch_stats"]
    # Only the shortcut is left, and its normalisation changes nothing.
    places = {"a": (0, 0), "b": (1, 0), "c": (0, 1), "d": (1, 1)}
    for part, (row, column) in places.items():
        params[f"conv_proj_{part}"]["kernel"] = kernel[row::2, column::2]
    params["bn_proj"]["scale"] = np.ones(2, np.float32)
    params["bn_proj"]["bias"] = np.full(2, 100, np.float32)  # so that all is positive
    for norm in statistics.values():
        norm["var"] = np.full(norm["var"].shape, 1 - 1e-5, np.float32)
    found = module.apply(variables, x) - 100
    spread = np.zeros((2, 8, 12, 3), np.float32)
    spread[:, ::2, ::2] = x
    wanted = torch.nn.functional.conv2d(
        torch.tensor(spread.transpose(0, 3, 1, 2)),
        torch.tensor(kernel.transpose(3, 2, 0, 1)),
        padding=2,
    )
    wanted = wanted.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.torch
def test_half_precision_stays_near_single():
    _, variables = _peer("unpool")
    images = _images(70, 101)
    single = _ours(_module(), variables, images)
    half = _ours(_module(dtype=jnp.bfloat16), variables, images)
    assert half.dtype == jnp.float32
    assert 0 < peers.relative_error(half, single) < 0.1


@pytest.mark.torch
def test_training_starts_from_a_classifier():
    _, variables = _peer("unpool")
    arrays = {
        name: value
        for name, value in peers.arrays(_peer("unpool")[0]).items()
        if name.split(".")[0]
        in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
    }
    arrays |= {"fc.weight": np.zeros((5, 2048)), "fc.bias": np.zeros(5)}
    module = _module()
    found = renaming.variables(arrays, module, layouts.of(module), skip=("*decoder/*",))
    jax.tree.map(
        np.testing.assert_array_equal,
        found["params"]["backbone"],
        variables["params"]["backbone"],
    )


def test_other_interleavings_are_refused():
    with pytest.raises(errors.UserError, match=r"'unpol'\. Did you mean unpool"):
        zoo.create_module("fcrn_resnet50", interleaving="unpol")
    with pytest.raises(errors.UserError, match="Unknown interleaving 'unpol'"):
        fcrn.UpProjections(1, interleaving="unpol")
