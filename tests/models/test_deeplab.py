"""DeepLab-v2 against a PyTorch rendering of the public port."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers, zoo
from dpjax.weights import layouts, matching, renaming
from tests import peers

NAME = "deeplab_v2_resnet101"
# Specification of segmentation, section 4: 21 classes; sides of images and scores.
COUNT = 44_048_532
SIDES = {513: 65, 512: 65, 321: 41}
BLOCKS, CLASSES = (1, 1, 2, 1), 5
RATES = (1, 2, 3, 4)  # the published ones would reach past the small maps here
MEAN = np.array([104.008, 116.669, 122.675])  # blue, green, red
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


def _shapes(side, **options):
    module = zoo.create_module(NAME, **options)
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    init = functools.partial(module.init_with_output, jax.random.key(0))
    return jax.eval_shape(init, images)


def test_rates_and_parameters_are_the_published_ones():
    assert zoo.list_options(NAME)["rates"] == (6, 12, 18, 24)
    _, variables = _shapes(32)
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == COUNT


@pytest.mark.parametrize("side", SIDES)
def test_scores_have_the_published_size(side):
    scores, _ = _shapes(side, blocks=(1, 1, 1, 1))
    assert scores.shape == (1, SIDES[side], SIDES[side], 21)


def test_convolutions_start_small():
    aspp = zoo.create_module(NAME).decoder
    fresh = aspp.init(jax.random.key(0), {8: jnp.zeros((1, 2, 2, 256))}, (16, 16))
    assert len(fresh["params"]) == 4
    for layer in fresh["params"].values():
        assert np.std(layer["kernel"]) == pytest.approx(0.01, rel=0.02)
        assert not np.any(layer["bias"])


@functools.cache
def _peer():
    peers.timm()
    from benchmarks import torch_fcn

    network = peers.randomise(torch_fcn.DeepLab(BLOCKS, CLASSES, RATES))
    module = _module()
    names = layouts.of(module)
    return network, renaming.variables(peers.arrays(network), module, names)


def _module(**options):
    options = {"num_classes": CLASSES, "blocks": BLOCKS, "rates": RATES, **options}
    return zoo.create_module(NAME, **options)


def _images(height, width):
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def _caffe(images):
    return (images[..., ::-1] * 255 - MEAN).astype(np.float32)


def _ours(module, images):
    with jax.default_matmul_precision("highest"):
        return jax.jit(module.apply, compiler_options=FAST)(_peer()[1], images)


@pytest.mark.parametrize("size", [(65, 97), (64, 90)])
def test_scores_are_those_of_pytorch(size):
    images = _images(*size)
    wanted = peers.output(_peer()[0], _caffe(images))
    assert peers.relative_error(_ours(_module(), images), wanted) < 1e-5


@pytest.mark.parametrize(
    "wrong",
    [
        {"rates": (1, 2, 3, 5)},
        {"variant": "v1.5"},
        {"input_style": "imagenet"},
        {"pool_pad": "same"},
    ],
)
def test_another_network_of_the_same_shapes_is_noticed(wrong):
    images = _images(64, 90)
    wanted = peers.output(_peer()[0], _caffe(images))
    ours = _ours(_module(**wrong), images)
    height, width = ours.shape[1:3]
    assert peers.relative_error(ours, wanted[:, :height, :width]) > 1e-3


def test_names_of_the_port_that_trains_on_three_sizes_are_known():
    network, variables = _peer()
    module = _module(max_over_scales=(1.0, 0.75, 0.5))
    assert module.smallest_side == 64  # half of it is the least for one size
    arrays = {f"base.{name}": array for name, array in peers.arrays(network).items()}
    loaded = renaming.variables(arrays, module, layouts.of(module))
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_a_crf_on_top_starts_fresh_on_the_published_names():
    network, variables = _peer()
    module = _module(crf="lattice")
    arrays, names = peers.arrays(network), layouts.of(module)
    with pytest.raises(errors.DataError, match=r'or skip "crf/\*" to give it fresh'):
        renaming.variables(arrays, module, names)
    loaded = renaming.variables(arrays, module, names, skip=("crf/*",))
    jax.tree.map(np.testing.assert_array_equal, loaded, variables)


def test_a_classifier_of_imagenet_gives_its_backbone():
    module = _module()
    source = zoo.create_module("resnet101", blocks=BLOCKS)
    shapes = jax.eval_shape(source.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    arrays = {}
    for path, leaf in traverse_util.flatten_dict(shapes, sep="/").items():
        array = np.broadcast_to(np.float32(len(arrays)), leaf.shape)
        arrays[_torchvision(path)] = array.T if array.ndim == 4 else array
    with pytest.raises(errors.DataError, match="missing in the file: params/decoder"):
        renaming.variables(arrays, module, layouts.of(module))
    loaded = renaming.variables(arrays, module, layouts.of(module), skip=("decoder/*",))
    assert set(loaded["params"]) == {"backbone"}
    matching.check_matches(loaded, module, skip=("decoder/*",))


def _torchvision(path):
    """One of our paths in the names of torchvision."""
    _, _, *unit, layer, leaf = path.split("/")
    leaf = {"kernel": "weight", "scale": "weight", "bias": "bias"}.get(
        leaf, f"running_{leaf}"
    )
    layer = {"conv_proj": "downsample.0", "bn_proj": "downsample.1"}.get(layer, layer)
    return ".".join([*(u.replace("_", ".") for u in unit), layer, leaf])


@pytest.mark.torch
@pytest.mark.parametrize("window", [2, 3])
def test_pools_with_ceil_have_the_windows_of_pytorch(window):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).normal(size=(1, 13, 13, 2)).astype(np.float32)
    for height, width in zip(range(1, 14), range(13, 0, -1), strict=True):
        part = x[:, :height, :width]
        wanted = torch.nn.functional.max_pool2d(
            torch.from_numpy(part.transpose(0, 3, 1, 2).copy()),
            window,
            2,
            (window - 1) // 2,
            ceil_mode=True,
        )
        got = layers.max_pool(part, window, pad="ceil")
        np.testing.assert_array_equal(got, wanted.numpy().transpose(0, 2, 3, 1))


def test_corners_are_aligned_unless_told_otherwise():
    assert zoo.create_module(NAME).align_corners
    assert not zoo.create_module(NAME, align_corners=False).align_corners


def test_misspelt_options_are_refused():
    with pytest.raises(errors.UserError, match=r"option of deeplab_v2.*'rate'.*rates"):
        zoo.create_module(NAME, rate=(12,))


@pytest.mark.parametrize("rates", [(), (6, 0), (6, 1.5), 6, "6"])
def test_rates_that_are_none_are_refused(rates):
    with pytest.raises(errors.UserError, match=r"ASPP wants at least one rate.*got"):
        zoo.create_module(NAME, rates=rates)
