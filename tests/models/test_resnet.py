"""ResNet against timm, and against what à trous promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import renaming
from dpjax.weights.layouts import resnet as layouts
from tests import peers

IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
# Total, and that of each stage (specification of the architecture, section 3.2).
COUNTS = {
    "resnet50": (25_557_032, (215_808, 1_219_584, 7_098_368, 14_964_736)),
    "resnet101": (44_549_160, (215_808, 1_219_584, 26_090_496, 14_964_736)),
    "resnet152": (60_192_808, (215_808, 2_339_840, 40_613_888, 14_964_736)),
}


def _photo(height, width, seed=0):
    return np.random.default_rng(seed).random((1, height, width, 3), np.float32)


def _standardised(images):
    return ((images - IMAGENET[0]) / IMAGENET[1]).astype(np.float32)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_the_published_ones(name):
    module = zoo.create_module(name)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    flat = traverse_util.flatten_dict(shapes["params"], sep="/")
    total, stages = COUNTS[name]
    assert sum(x.size for x in flat.values()) == total
    for i, wanted in enumerate(stages, 1):
        part = f"backbone/layer{i}_"
        assert wanted == sum(x.size for p, x in flat.items() if p.startswith(part))


@pytest.fixture(scope="module")
def peer():
    """timm's ResNet-50 with random weights, and those weights under our names."""
    network = peers.randomise(peers.timm().create_model("resnet50", num_classes=10))
    module = zoo.create_module("resnet50", num_classes=10)
    return network, renaming.variables(peers.arrays(network), module, layouts.LAYOUTS)


def _ours(variables, images, **options):
    module = zoo.create_module("resnet50", num_classes=10, **options)
    with jax.default_matmul_precision("highest"):
        return jax.jit(module.apply)(variables, images)


@pytest.mark.parametrize("size", [(64, 64), (97, 65), (33, 118)])
def test_scores_are_those_of_timm(peer, size):
    network, variables = peer
    images = _photo(*size)
    theirs = peers.output(network, _standardised(images))
    assert peers.relative_error(_ours(variables, images), theirs) < 1e-5


def test_another_stride_place_or_padding_is_noticed(peer):
    network, variables = peer
    images = _photo(64, 64)
    theirs = peers.output(network, _standardised(images))
    for options in ({"variant": "v1"}, {"pool_pad": "same"}, {"input_style": "half"}):
        ours = _ours(variables, images, **options)
        assert peers.relative_error(ours, theirs) > 1e-2, options


@pytest.mark.parametrize("variant", ["v1", "v1.5"])
def test_features_of_the_plain_network_are_among_the_dilated_ones(peer, variant):
    variables = {k: v["backbone"] for k, v in peer[1].items()}
    images = _photo(96, 104)
    maps = {}
    for stride in (8, 16, 32):
        module = zoo.create_backbone("resnet50", output_stride=stride, variant=variant)
        with jax.default_matmul_precision("highest"):
            pyramid = jax.jit(module.apply)(variables, images)
        assert max(pyramid) == stride
        maps[stride] = np.asarray(pyramid[stride])
    assert peers.relative_error(maps[8][:, ::4, ::4], maps[32]) < 1e-5
    assert peers.relative_error(maps[16][:, ::2, ::2], maps[32]) < 1e-5


def test_the_dilated_network_is_that_of_timm(peer):
    network = peers.timm().create_model("resnet50", num_classes=10, output_stride=8)
    network.load_state_dict(peer[0].state_dict())
    images = _photo(72, 88)
    theirs = peers.output(network.eval(), _standardised(images))
    ours = _ours(peer[1], images, output_stride=8)
    assert peers.relative_error(ours, theirs) < 1e-5


def test_recomputing_units_changes_no_gradient(peer):
    images = _photo(64, 64)

    def gradient(remat):
        module = zoo.create_module("resnet50", num_classes=10, remat=remat)

        def loss(params):
            variables = {**peer[1], "params": params}
            return jnp.sum(module.apply(variables, images) ** 2)

        return jax.jit(jax.grad(loss))(peer[1]["params"])

    plain, again = (jax.tree.leaves(gradient(remat)) for remat in (False, True))
    for one, two in zip(plain, again, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.abs(one).max())


@pytest.mark.parametrize(
    "options", [{"output_stride": 4}, {"variant": "v2"}, {"norm": "synch"}]
)
def test_unknown_values_are_refused(options):
    def build():
        module = zoo.create_module("resnet50", **options)
        jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))

    with pytest.raises(errors.UserError):
        build()


def test_grey_images_are_rgb_ones_of_equal_channels(peer):
    network, variables = peer
    grey = _photo(40, 33)[..., :1]
    alike = np.repeat(grey, 3, axis=-1)
    theirs = peers.output(network, _standardised(alike))
    assert peers.relative_error(_ours(variables, grey), theirs) < 1e-5


@pytest.mark.parametrize("shape", [(1, 40, 33, 2), (1, 40, 33, 4), (40, 33, 3)])
def test_images_of_other_channels_are_refused(peer, shape):
    with pytest.raises(errors.UserError, match=r"RGB images \[b, h, w, 3\] or grey"):
        _ours(peer[1], np.zeros(shape, np.float32))
