"""The pre-activation ResNets against timm, with both stems, and their laws."""

import collections
import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import classifier, preact_resnet, zoo
from dpjax.weights import renaming
from dpjax.weights.layouts import preact_resnet as layouts
from tests import peers

# Specification of the architecture, section 3.3; both stems have as many.
COUNTS = {
    "preact_resnet50": 25_549_352,
    "preact_resnet101": 44_541_480,
    "preact_resnet152": 60_185_128,
    "preact_resnet200": 64_666_152,
}
STEMS = preact_resnet.Stem.__args__
FEW = (1, 2, 2, 2)
WIDTH = 1 / 8
# As timm says it, with as few classes.
NARROW = {"channels": (32, 64, 128, 256), "stem_chs": 8, "num_classes": 10}
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


@pytest.mark.parametrize(
    ("name", "stem"),
    [(name, "activated") for name in COUNTS] + [("preact_resnet50", "plain")],
)
def test_parameters_are_the_published_ones(name, stem):
    module = zoo.create_module(name, stem=stem)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == COUNTS[name]


def _timm(blocks=FEW, stem="plain", **options):
    """timm's network; with the other stem as fb.resnet.torch builds it."""
    peers.timm()
    from timm.layers import BatchNormAct2d, create_conv2d
    from timm.models import resnetv2
    from torch import nn

    network = resnetv2.ResNetV2(
        list(blocks),
        **NARROW,
        conv_layer=create_conv2d,
        norm_layer=BatchNormAct2d,
        **options,
    )
    if stem == "activated":
        first, conv, pool = network.stages[0].blocks[0], *network.stem
        # Of timm's normalisations each rectifies, too.
        parts = {"conv": conv, "norm": first.norm1, "pool": pool}
        network.stem = nn.Sequential(collections.OrderedDict(parts))
        first.norm1 = nn.Identity()
    return network


def _module(blocks=FEW, stem="plain", **options):
    trunk = preact_resnet.PreActResNet(blocks, stem, WIDTH, **options)
    return classifier.Classifier(trunk, classifier.LinearHead(10))


def _imported(network, module):
    return renaming.variables(peers.arrays(network), module, layouts.LAYOUTS)


@functools.cache
def _peer(stem="plain"):
    """A PyTorch network with random weights, and those weights under our names."""
    network = peers.randomise(_timm(stem=stem))
    return network, _imported(network, _module(stem=stem))


def _images(height, width):
    return np.random.default_rng(0).random((2, height, width, 3), np.float32)


def _standardised(images):
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((images - mean) / deviation).astype(np.float32)


def _pyramid_and_scores(module, images):
    pyramid = module.backbone(images)
    return pyramid, module.head(pyramid[max(pyramid)])


def _ours(module, variables, images):
    run = functools.partial(module.apply, method=_pyramid_and_scores)
    with jax.default_matmul_precision("highest"):
        return jax.jit(run, compiler_options=FAST)(variables, images)


def _theirs(network, images):
    """What the stem pools, the sums of three stages, the last map; and the scores."""
    maps, hooks = [], []
    stem = list(network.stem)[-2]
    for part in (stem, *network.stages[:3], network.norm):
        keep = lambda layer, given, out: maps.append(out.detach().numpy().copy())  # noqa: E731
        hooks.append(part.register_forward_hook(keep))
    scores = peers.output(network, images)
    for hook in hooks:
        hook.remove()
    return [m.transpose(0, 2, 3, 1) for m in maps], scores


@pytest.mark.parametrize(
    ("size", "stem"),
    [
        ((64, 64), "plain"),
        ((97, 65), "plain"),
        ((33, 118), "plain"),
        ((64, 64), "activated"),
        ((49, 70), "activated"),
    ],
)
def test_every_map_and_the_scores_are_those_of_the_peer(size, stem):
    network, variables = _peer(stem)
    images = _images(*size)
    maps, scores = _theirs(network, _standardised(images))
    pyramid, ours = _ours(_module(stem=stem), variables, images)
    assert list(pyramid) == [2, 4, 8, 16, 32]
    for features, wanted in zip(pyramid.values(), maps, strict=True):
        assert peers.relative_error(features, wanted) < 1e-5
    assert peers.relative_error(ours, scores) < 1e-5


def test_scores_are_those_of_timm_by_name():
    network = peers.timm().create_model("resnetv2_50", num_classes=10)
    for kind in ("mean", "std"):  # what timm's weights of this name expect
        assert set(network.default_cfg[kind]) == {0.5}
    peers.randomise(network)
    module = zoo.create_module("preact_resnet50", num_classes=10)
    images = _images(40, 33)
    _, scores = _ours(module, _imported(network, module), images)
    assert peers.relative_error(scores, peers.output(network, images * 2 - 1)) < 1e-5


def test_the_hundred_and_one_layers_of_timm_fit():
    network = peers.timm().create_model("resnetv2_101", **NARROW)
    assert set(network.default_cfg["mean"]) == {0.5}
    module = zoo.create_module("preact_resnet101", num_classes=10, width=WIDTH)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    given = _imported(network, module)
    assert jax.tree.map(np.shape, given) == jax.tree.map(np.shape, shapes)
    backbone = module.backbone
    assert (backbone.stem, backbone.input_style) == ("plain", "half")


def test_two_hundred_layers_are_those_of_the_peer():
    trunk = zoo.create_backbone("preact_resnet200", width=WIDTH)
    assert (trunk.stem, trunk.input_style) == ("activated", "imagenet")
    network = peers.randomise(_timm((3, 24, 36, 3), stem=trunk.stem))
    module = classifier.Classifier(trunk, classifier.LinearHead(10))
    images = _images(40, 33)
    _, scores = _ours(module, _imported(network, module), images)
    wanted = peers.output(network, _standardised(images))
    assert peers.relative_error(scores, wanted) < 1e-5


def _with_stride_on_1x1(network):
    for stage in network.stages[1:]:
        first = stage.blocks[0]
        first.conv1.stride, first.conv2.stride = (2, 2), (1, 1)


def _with_pool_at_the_bottom_right(network):
    network.stem.pool.padding, network.stem.pool.ceil_mode = 0, True


def _with_projection_of_the_bare_input(network):
    first, seen = network.stages[1].blocks[0], []
    first.register_forward_pre_hook(lambda layer, given: seen.append(given))
    first.downsample.register_forward_pre_hook(lambda layer, given: seen.pop())


@pytest.mark.parametrize(
    "change",
    [
        _with_stride_on_1x1,
        _with_pool_at_the_bottom_right,
        _with_projection_of_the_bare_input,
    ],
)
def test_another_network_of_the_same_shapes_is_noticed(change):
    network = _timm()
    network.load_state_dict(_peer()[0].state_dict())
    change(network.eval())
    images = _images(64, 64)
    _, scores = _ours(_module(), _peer()[1], images)
    wanted = peers.output(network, _standardised(images))
    assert peers.relative_error(scores, wanted) > 1e-2


def test_the_stems_agree_only_where_no_scale_is_negative():
    # A rising function may follow the largest of its arguments or be among them.
    plain = jax.tree.map(np.asarray, _peer()[1])
    images = _images(40, 40)

    def outputs():
        moved = {kind: dict(tree["backbone"]) for kind, tree in plain.items()}
        for tree in moved.values():
            tree["layer1_0"] = dict(tree["layer1_0"])
            tree["bn1"] = tree["layer1_0"].pop("bn1")
        both = {"plain": {k: v["backbone"] for k, v in plain.items()}}
        both["activated"] = moved
        run = lambda stem: _module(stem=stem).backbone.apply(both[stem], images)[4]  # noqa: E731
        return [jax.jit(run, static_argnums=0)(stem) for stem in STEMS]

    assert peers.relative_error(*outputs()) < 1e-5
    plain["params"]["backbone"]["layer1_0"]["bn1"]["scale"] *= -1
    assert peers.relative_error(*outputs()) > 1e-2


def test_weights_of_one_stem_are_no_weights_of_the_other():
    arrays = peers.arrays(_peer("activated")[0])
    with pytest.raises(errors.DataError, match=r"stem\.norm\.weight"):
        renaming.variables(arrays, _module(stem="plain"), layouts.LAYOUTS)


def test_features_of_the_plain_network_are_among_the_dilated_ones():
    images = _images(96, 104)
    maps = {}
    for stride in (8, 16, 32):
        pyramid, _ = _ours(_module(output_stride=stride), _peer()[1], images)
        assert max(pyramid) == stride
        maps[stride] = np.asarray(pyramid[stride])
    assert peers.relative_error(maps[8][:, ::4, ::4], maps[32]) < 1e-5
    assert peers.relative_error(maps[16][:, ::2, ::2], maps[32]) < 1e-5


def test_the_dilated_network_is_that_of_timm():
    network = _timm(output_stride=8)
    network.load_state_dict(_peer()[0].state_dict())
    images = _images(72, 88)
    _, scores = _ours(_module(output_stride=8), _peer()[1], images)
    wanted = peers.output(network.eval(), _standardised(images))
    assert peers.relative_error(scores, wanted) < 1e-5


def test_every_parameter_has_a_gradient_also_when_units_are_recomputed():
    images, variables = _images(32, 40), _peer("activated")[1]

    def slopes(remat):
        module = _module(stem="activated", remat=remat, norm="frozen")

        def loss(params):
            scores, changed = module.apply(
                {**variables, "params": params},
                images,
                train=True,
                mutable=["batch_stats"],
            )
            return jnp.sum(scores**2), changed["batch_stats"]

        run = jax.jit(jax.grad(loss, has_aux=True), compiler_options=FAST)
        return run(variables["params"])

    plain, statistics = slopes(False)
    for path, slope in jax.tree_util.tree_leaves_with_path(plain):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path
    jax.tree.map(
        np.testing.assert_array_equal, statistics, dict(variables["batch_stats"])
    )
    again = jax.tree.leaves(slopes(True)[0])
    for one, two in zip(jax.tree.leaves(plain), again, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.abs(one).max())


def test_training_moves_every_statistic():
    module, variables = _module(norm="device"), _peer()[1]
    _, changed = jax.jit(
        functools.partial(module.apply, train=True, mutable=["batch_stats"]),
        compiler_options=FAST,
    )(variables, _images(32, 32))
    for old, new in zip(
        jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(changed), strict=True
    ):
        assert (np.asarray(old) != new).any()


def test_half_precision_is_near():
    images = _images(64, 64)
    one, _ = _ours(_module(), _peer()[1], images)
    two, _ = _ours(_module(dtype=jnp.bfloat16), _peer()[1], images)
    for stride, features in one.items():
        assert two[stride].dtype == jnp.bfloat16
        error = peers.relative_error(two[stride].astype(np.float32), features)
        assert 0 < error < 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_stride": 4}, "wants output_stride 8, 16 or 32, got 4"),
        ({"stem": "activate"}, "Unknown stem of .* 'activate'. Did you mean activated"),
        ({"blocks": (3, 4, 6)}, r"4 positive counts.*got \(3, 4, 6\)"),
        ({"blocks": (3, 4, 6, 0)}, "4 positive counts"),
        ({"width": 0.3}, "64 times is a whole number.*got 0.3"),
    ],
)
def test_unknown_values_are_refused(options, message):
    with pytest.raises(errors.UserError, match=message):
        zoo.create_module("preact_resnet50", **options)
