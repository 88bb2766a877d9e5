"""Both Inception networks against timm, with every map of the pyramid."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util

from dpjax.models import zoo
from dpjax.weights import layouts, renaming
from tests import peers

NAMES = ("inception_v4", "inception_resnet_v2")
FULL = {"inception_v4": (4, 7, 3), "inception_resnet_v2": (10, 20, 9)}
SHORT = (1, 2, 1)
# Specification of the architecture, sections 3.4 and 3.5: how many modules of our tree
# have how many parameters each.
COUNTS = {
    "inception_v4": {
        "backbone/features_0": 928,
        "backbone/features_1": 9_280,
        "backbone/features_2": 18_560,
        "backbone/features_3": 55_488,
        "backbone/features_4": 189_312,
        "backbone/features_5": 332_160,
        **{f"backbone/features_{i}": 317_632 for i in range(6, 10)},
        "backbone/features_10": 2_306_112,
        **{f"backbone/features_{i}": 2_936_256 for i in range(11, 18)},
        "backbone/features_18": 2_747_392,
        **{f"backbone/features_{i}": 4_553_088 for i in range(19, 22)},
        "head/fc": 1_537_000,
    },
    "inception_resnet_v2": {
        "backbone/conv2d_1a": 928,
        "backbone/conv2d_2a": 9_280,
        "backbone/conv2d_2b": 18_560,
        "backbone/conv2d_3b": 5_280,
        "backbone/conv2d_4a": 138_624,
        "backbone/mixed_5b": 268_320,
        **{f"backbone/block35_{i}": 123_168 for i in range(10)},
        "backbone/mixed_6a": 2_664_960,
        **{f"backbone/block17_{i}": 1_126_784 for i in range(20)},
        "backbone/mixed_7a": 3_880_960,
        **{f"backbone/block8_{i}": 2_035_424 for i in range(9)},
        "backbone/block8_last": 2_035_424,
        "backbone/conv2d_7b": 3_197_952,
        "head/fc": 1_537_000,
    },
}
TOTALS = {"inception_v4": 42_679_816, "inception_resnet_v2": 55_843_464}
CONVOLUTIONS = {"inception_v4": 149, "inception_resnet_v2": 244}


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_the_published_ones(name):
    module = zoo.create_module(name)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    flat = traverse_util.flatten_dict(shapes["params"], sep="/")
    counts = dict.fromkeys(COUNTS[name], 0)
    for path, leaf in flat.items():
        counts["/".join(path.split("/")[:2])] += leaf.size
    assert counts == COUNTS[name]
    assert sum(counts.values()) == TOTALS[name]
    kernels = [path for path in flat if path.endswith("/kernel")]
    assert len(kernels) == CONVOLUTIONS[name] + 1  # and the matrix of the head


def _shorten(network, name, blocks):
    """Leaves the first few of the repeated blocks of timm's network."""
    if name == "inception_v4":
        f = list(network.features)
        a, b, c = blocks
        kept = [*f[: 6 + a], f[10], *f[11 : 11 + b], f[18], *f[19 : 19 + c]]
        network.features = type(network.features)(*kept)
    else:
        for part, count in zip(("repeat", "repeat_1", "repeat_2"), blocks, strict=True):
            setattr(network, part, getattr(network, part)[:count])


@functools.cache
def _peer(name, blocks):
    """timm's network with random weights, and those weights under our names."""
    network = peers.timm().create_model(name, num_classes=10)
    _shorten(network, name, blocks)
    peers.randomise(network)
    module = zoo.create_module(name, num_classes=10, blocks=blocks)
    layout = layouts.BY_NETWORK[type(module.backbone).__name__]
    return network, renaming.variables(peers.arrays(network), module, layout)


def _photo(height, width):
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def _pyramid_and_scores(module, images):
    pyramid = module.backbone(images)
    return pyramid, module.head(pyramid[max(pyramid)])


def _ours(name, blocks, images, variables, **options):
    module = zoo.create_module(name, num_classes=10, blocks=blocks, **options)
    run = jax.jit(functools.partial(module.apply, method=_pyramid_and_scores))
    with jax.default_matmul_precision("highest"):
        return run(variables, images)


def _theirs(network, name, blocks, images):
    """The last map of every stride, and the scores, of images in [0, 1]."""
    a, b, _ = blocks
    last = {
        "inception_v4": [f"features.{i}" for i in (2, 4, 5 + a, 6 + a + b)],
        "inception_resnet_v2": ["conv2d_2b", "conv2d_4a", "repeat", "repeat_1"],
    }[name] + ["features" if name == "inception_v4" else "conv2d_7b"]
    maps, hooks = {}, []
    for stride, part in zip((2, 4, 8, 16, 32), last, strict=True):

        def keep(layer, inputs, output, stride=stride):
            maps[stride] = output.detach().numpy().transpose(0, 2, 3, 1).copy()

        hooks.append(network.get_submodule(part).register_forward_hook(keep))
    scores = peers.output(network, images * 2 - 1)
    for hook in hooks:
        hook.remove()
    return maps, scores


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("size", "is_full"), [((299, 299), True), ((128, 155), False), ((75, 98), False)]
)
def test_every_map_and_the_scores_are_those_of_timm(name, size, is_full):
    blocks = FULL[name] if is_full else SHORT
    network, variables = _peer(name, blocks)
    images = _photo(*size)
    maps, scores = _theirs(network, name, blocks, images)
    pyramid, ours = _ours(name, blocks, images, variables)
    if is_full:
        assert [pyramid[s].shape[1] for s in sorted(pyramid)] == [147, 71, 35, 17, 8]
    assert pyramid.keys() == maps.keys()
    for stride in maps:
        assert peers.relative_error(pyramid[stride], maps[stride]) < 1e-5, stride
    assert peers.relative_error(ours, scores) < 1e-5
