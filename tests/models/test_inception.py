"""Both Inception networks against timm, with every map of the pyramid."""

import copy
import functools

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import inception, layers, zoo
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
def _whole_peer(name):
    return peers.randomise(peers.timm().create_model(name, num_classes=10))


@functools.cache
def _peer(name, blocks):
    """timm's network with random weights, and those weights under our names."""
    network = _whole_peer(name)
    if blocks != FULL[name]:
        network = copy.deepcopy(network)
        _shorten(network, name, blocks)
    module = zoo.create_module(name, num_classes=10, blocks=blocks)
    layout = layouts.of(module)
    return network, renaming.variables(peers.arrays(network), module, layout)


@pytest.fixture(scope="module", autouse=True)
def _memory_is_given_back():
    yield
    _peer.cache_clear()
    _whole_peer.cache_clear()


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


def _counts_padding(x, window, stride=1, *, padding=0):
    sides = [(padding, padding)] * 2
    return nn.avg_pool(x, (window, window), (stride, stride), sides)


def _in_reverse(maps):
    return jnp.concatenate(maps[::-1], axis=-1)


@pytest.mark.parametrize(
    ("network", "module", "name", "wrong"),
    [
        ("inception_resnet_v2", layers, "average_pool", _counts_padding),
        ("inception_v4", inception, "_join", _in_reverse),
        ("inception_v4", inception, "_EPSILON", 1e-5),
    ],
)
def test_a_wrong_variant_is_noticed(network, module, name, wrong, monkeypatch):
    peer, variables = _peer(network, SHORT)
    images = _photo(75, 98)
    _, theirs = _theirs(peer, network, SHORT, images)
    monkeypatch.setattr(module, name, wrong)
    _, ours = _ours(network, SHORT, images, variables)
    assert peers.relative_error(ours, theirs) > 1e-4


@pytest.mark.parametrize(
    # Three repeated blocks, once each, and those that stand alone.
    ("name", "recomputed"),
    [("inception_v4", 3 + 5), ("inception_resnet_v2", 3 + 4)],
)
def test_every_block_is_computed_again_in_the_backward_pass(name, recomputed):
    def trace(remat):
        options = {"blocks": (1, 1, 1), "norm": "device", "remat": remat}
        module = zoo.create_module(name, **options)
        example = zoo.example_input(module)
        variables = jax.eval_shape(module.init, jax.random.key(0), example)
        train = functools.partial(
            module.apply,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(1)},
        )
        program, result = jax.make_jaxpr(train, return_shape=True)(variables, example)
        calls = [e for e in program.eqns if e.primitive.name == "remat2"]
        return len(calls), variables, result

    (none, *plain), (some, *again) = trace(remat=False), trace(remat=True)
    assert (none, some) == (0, recomputed)
    assert plain == again  # the same parameters, scores and statistics


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_image_ends_in_one_pixel_and_a_smaller_one_is_refused(name):
    module = zoo.create_module(name, blocks=(1, 1, 1))
    example = zoo.example_input(module)
    variables = jax.eval_shape(module.init, jax.random.key(0), example)
    backbone = {kind: tree["backbone"] for kind, tree in variables.items()}
    apply = functools.partial(jax.eval_shape, module.backbone.apply, backbone)
    assert apply(example)[32].shape == (1, 1, 1, 1536)
    height, width = example.shape[1:3]
    small = jax.ShapeDtypeStruct((1, height - 1, width, 3), example.dtype)
    with pytest.raises(errors.UserError, match="at least 75 x 75 pixels, got 74 x 75"):
        apply(small)


@pytest.mark.parametrize("name", NAMES)
def test_training_leaves_out_a_fifth_of_the_features_unless_told_otherwise(name):
    assert zoo.list_options(name)["dropout"] == 0.2
    assert zoo.create_module(name).head.dropout == 0.2
    assert zoo.create_module(name, dropout=0.0).head.dropout == 0.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "options",
    [
        {"blocks": (4, 7)},
        {"blocks": (4, 7, 0)},
        {"blocks": (4, 7, 3.0)},
        {"blocks": "473"},
        {"blocks": 3},
        {"norm": "synch"},
        {"input_style": "halves"},
        {"output_stride": 16},
    ],
)
def test_unknown_values_are_refused(name, options):
    def build():
        module = zoo.create_module(name, **options)
        jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))

    with pytest.raises(errors.UserError):
        build()
