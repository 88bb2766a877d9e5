"""Light-weight RefineNet: published numbers, renderings of the two public ports."""

import functools

import jax
import numpy as np
import pytest

from dpjax.models import layers, zoo
from dpjax.weights import layouts, renaming
from tests import peers

FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower
SMALL = {"blocks": (1, 1, 1, 1), "path_widths": (16, 8, 8, 8), "num_classes": 5}
MOBILE = {"path_widths": (8,) * 4, "num_classes": 5}


@functools.cache
def _shapes(name, **options):
    module = zoo.create_module(name, **options)
    return jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))


def _size(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


# Specification of segmentation, 1.6 and 2, with 21 classes.
@pytest.mark.parametrize(
    ("name", "count", "leaves"),
    [
        ("refinenet_lw50", 27_357_525, (187, 106)),
        ("refinenet_lw101", 46_349_653, (340, 208)),
        ("refinenet_lw152", 61_993_301, (493, 310)),
    ],
)
def test_parameters_are_the_published_ones(name, count, leaves):
    shapes = _shapes(name)
    assert _size(shapes["params"]) == count
    assert _size(shapes["params"]["decoder"]) == 3_849_493
    kinds = ("params", "batch_stats")
    assert tuple(len(jax.tree.leaves(shapes[kind])) for kind in kinds) == leaves


def test_parameters_on_mobilenet_are_the_published_ones():
    assert _size(_shapes("refinenet_lw_mobilenet_v2")["params"]) == 3_284_565


def _images(height, width):
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def _error(network, arrays, name, images, options):
    """How far our network with the arrays of theirs is from theirs."""
    module = zoo.create_module(name, **options)
    variables = renaming.variables(arrays, module, layouts.of(module))
    theirs = peers.output(network, np.asarray(layers.standardise(images, "imagenet")))
    with jax.default_matmul_precision("highest"):
        ours = jax.jit(module.apply, compiler_options=FAST)(variables, images)
    return peers.relative_error(ours, theirs)


@pytest.fixture(scope="module")
def on_resnet():
    """A rendering of the public port with random weights."""
    pytest.importorskip("torch")
    from benchmarks import torch_refinenet

    return peers.randomise(
        torch_refinenet.RefineNet(
            SMALL["blocks"], SMALL["path_widths"], 5, is_light=True
        )
    )


@pytest.fixture(scope="module")
def on_mobilenet():
    """A rendering of the public port with random weights."""
    pytest.importorskip("torch")
    from benchmarks import torch_refinenet

    return peers.randomise(torch_refinenet.OnMobileNet(8, 5))


@pytest.mark.torch
@pytest.mark.parametrize("size", [(97, 129), (64, 40), (33, 47)])
def test_scores_are_those_of_the_port(on_resnet, size):
    arrays, images = peers.arrays(on_resnet), _images(*size)
    assert _error(on_resnet, arrays, "refinenet_lw50", images, SMALL) < 1e-5


@pytest.mark.torch
@pytest.mark.parametrize("size", [(97, 129), (33, 47)])
def test_scores_on_mobilenet_are_those_of_the_port(on_mobilenet, size):
    arrays, images = peers.arrays(on_mobilenet), _images(*size)
    name = "refinenet_lw_mobilenet_v2"
    assert _error(on_mobilenet, arrays, name, images, MOBILE) < 1e-5


@pytest.mark.torch
@pytest.mark.parametrize(
    "change", [{"pooling_order": "conv_pool"}, {"resize": "half_pixel"}]
)
def test_another_graph_is_noticed(on_resnet, change):
    arrays, images = peers.arrays(on_resnet), _images(64, 50)
    options = {**SMALL, **change}
    assert _error(on_resnet, arrays, "refinenet_lw50", images, options) > 1e-3


@pytest.mark.torch
def test_another_activation_is_noticed(on_mobilenet):
    arrays, images = peers.arrays(on_mobilenet), _images(64, 50)
    options = {**MOBILE, "activation": "relu"}
    name = "refinenet_lw_mobilenet_v2"
    assert _error(on_mobilenet, arrays, name, images * 4 - 2, options) > 1e-3


def test_stages_of_one_stride_do_not_change_places():
    rules = layouts.BY_NETWORK["RefineNet"]["light-weight-refinenet's MobileNet"].rules
    assert rules["conv5"] == "decoder/stride16_0/reduce"
    shapes = _shapes("refinenet_lw_mobilenet_v2", **MOBILE)["params"]["decoder"]
    given = {
        name: shapes[name]["reduce"]["kernel"].shape[2]
        for name in shapes
        if name.startswith("stride")
    }
    assert given == {
        "stride32_0": 160,
        "stride32_1": 320,
        "stride16_0": 64,
        "stride16_1": 96,
        "stride8": 32,
        "stride4": 24,
    }


def test_new_kernels_are_drawn_as_in_the_published_code():
    pyramid = {4: np.zeros((1, 2, 2, 256), np.float32)}

    def drawn(name):
        decoder = zoo.create_module(name, path_widths=(64,)).decoder
        start = functools.partial(decoder.init, pyramid=pyramid, size=(8, 8))
        params = jax.jit(start, compiler_options=FAST)(jax.random.key(0))["params"]
        assert not np.any(params["head"]["bias"])
        return np.asarray(params["stride4"]["reduce"]["kernel"])

    light, reach = drawn("refinenet_lw50"), 256**-0.5
    assert 0.99 * reach < np.abs(light).max() <= reach
    assert light.std() == pytest.approx(reach / 3**0.5, rel=0.02)
    assert drawn("refinenet50").std() == pytest.approx(0.01, rel=0.02)
