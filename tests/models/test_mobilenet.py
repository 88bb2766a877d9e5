"""MobileNet-v2 against timm and torchvision, and the maps that decoders read."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import renaming
from dpjax.weights.layouts import mobilenet as layouts
from tests import peers

CHANNELS = (16, 24, 32, 64, 96, 160, 320)
STRIDES = (2, 4, 8, 16, 16, 32, 32)
NARROW = 0.35
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


def _module(width=NARROW, **options):
    return zoo.create_module("mobilenet_v2", num_classes=10, width=width, **options)


def _size(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


def _shapes(**options):
    module = zoo.create_module("mobilenet_v2", **options)
    example = zoo.example_input(module)
    return jax.eval_shape(module.init, jax.random.key(0), example)["params"]


def test_parameters_are_the_published_ones():
    params = _shapes()
    assert _size(params) == 3_504_872
    assert _size(params["head"]) == 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    # Light-weight RefineNet with 21 classes has 3,284,565 (specification of
    # segmentation, section 2), of which its decoder has these.
    decoder = 256 * sum(CHANNELS[1:]) + (4 * 4 + 3) * 256**2 + (9 * 256 + 1) * 21
    trunk = _shapes(expands_first=True)["backbone"]
    assert _size(trunk) + decoder == 3_284_565


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.4])
def test_other_widths_round_as_timm_does(width):
    network = peers.timm().create_model(f"mobilenetv2_{round(100 * width):03}")
    assert _size(_shapes(width=width)) == sum(p.numel() for p in network.parameters())


def _timm(width=NARROW, **options):
    name = f"mobilenetv2_{round(100 * width):03}"
    return peers.timm().create_model(name, num_classes=10, **options)


def _imported(network, module, **changed):
    found = {**layouts.LAYOUTS, **changed}
    return renaming.variables(peers.arrays(network), module, found)


@functools.cache
def _peer():
    """timm's narrow network with random weights, and those under our names."""
    network = peers.randomise(_timm())
    return network, _imported(network, _module())


def _images(height, width):
    return np.random.default_rng(0).random((2, height, width, 3), np.float32)


def _standardised(images):
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((images - mean) / deviation).astype(np.float32)


def _stages_and_scores(module, images):
    maps = module.backbone.stages(images)
    return [m for _, m in maps], module.head(maps[-1][1])


def _ours(module, variables, images):
    run = functools.partial(module.apply, method=_stages_and_scores)
    with jax.default_matmul_precision("highest"):
        return jax.jit(run, compiler_options=FAST)(variables, images)


def _theirs(network, images):
    """The maps of the seven stages, and the scores."""
    maps, hooks = [], []
    for stage in network.blocks:
        keep = lambda layer, given, out: maps.append(out.numpy().copy())  # noqa: E731
        hooks.append(stage.register_forward_hook(keep))
    scores = peers.output(network, _standardised(images))
    for hook in hooks:
        hook.remove()
    return [m.transpose(0, 2, 3, 1) for m in maps], scores


def _assert_same(ours, theirs):
    for features, wanted in zip(ours[0], theirs[0], strict=True):
        assert peers.relative_error(features, wanted) < 1e-5
    assert peers.relative_error(ours[1], theirs[1]) < 1e-5


@pytest.mark.parametrize("size", [(64, 64), (97, 65), (33, 118)])
def test_every_stage_and_the_scores_are_those_of_timm(size):
    network, variables = _peer()
    images = _images(*size)
    _assert_same(_ours(_module(), variables, images), _theirs(network, images))


def test_the_full_width_is_that_of_timm():
    network, module = peers.randomise(_timm(1.0)), _module(1.0)
    images = _images(40, 33)
    ours = _ours(module, _imported(network, module), images)
    assert tuple(m.shape[-1] for m in ours[0]) == CHANNELS
    _assert_same(ours, _theirs(network, images))


def test_scores_are_those_of_torchvision():
    peers.timm()
    from torchvision import models

    network = peers.randomise(models.mobilenet_v2(num_classes=10, width_mult=NARROW))
    images = _images(64, 50)
    _, scores = _ours(_module(), _imported(network, _module()), images)
    wanted = peers.output(network, _standardised(images))
    assert peers.relative_error(scores, wanted) < 1e-5


def test_the_first_unit_can_expand_as_the_others_do():
    from timm.models import _efficientnet_blocks as blocks
    from torch import nn

    network = _timm()
    first = network.blocks[0][0]
    given, wanted = first.conv_dw.in_channels, first.conv_pw.out_channels
    network.blocks[0][0] = blocks.InvertedResidual(
        given, wanted, exp_ratio=1.0, act_layer=nn.ReLU6
    )
    peers.randomise(network)
    rules = layouts.LAYOUTS["timm"].rules
    first_rules = {
        pattern.replace(r"blocks\.1", r"blocks\.0"): path.replace("layer2", "layer1")
        for pattern, path in rules.items()
        if pattern.startswith(r"blocks\.1")
    }
    layout = renaming.Layout({**rules, **first_rules})
    module = _module(expands_first=True)
    variables = _imported(network, module, expanding=layout)
    images = _images(40, 33)
    _assert_same(_ours(module, variables, images), _theirs(network, images))


def _with_rectified_bottlenecks(network):
    from torch import nn

    for stage in network.blocks[1:]:
        stage[0].bn3.act = nn.ReLU6()


def _with_unbounded_activations(network):
    from torch import nn

    for layer in network.modules():
        if isinstance(getattr(layer, "act", None), nn.ReLU6):
            layer.act = nn.ReLU()


def _with_padding_at_the_bottom_right(network):
    network.conv_stem.padding = (0, 0)
    network.conv_stem.register_forward_pre_hook(
        lambda layer, given: (_padded_at_the_bottom_right(given[0]),)
    )


def _padded_at_the_bottom_right(x):
    from torch.nn import functional

    return functional.pad(x, (0, 1, 0, 1))


@pytest.mark.parametrize(
    "change",
    [
        _with_rectified_bottlenecks,
        _with_unbounded_activations,
        _with_padding_at_the_bottom_right,
    ],
)
def test_another_network_of_the_same_shapes_is_noticed(change):
    network = _timm()
    network.load_state_dict(_peer()[0].state_dict())
    change(network.eval())
    images = _images(64, 64) * 8 - 4  # beyond 6 inside
    _, scores = _ours(_module(), _peer()[1], images)
    same = peers.output(_peer()[0], _standardised(images))
    assert peers.relative_error(scores, same) < 1e-5
    wanted = peers.output(network, _standardised(images))
    assert peers.relative_error(scores, wanted) > 1e-3


def test_the_pyramid_has_the_deepest_map_of_each_stride():
    images = _images(64, 96)
    variables = {kind: tree["backbone"] for kind, tree in _peer()[1].items()}
    trunk = _module().backbone
    maps = jax.jit(
        functools.partial(trunk.apply, method="stages"), compiler_options=FAST
    )(variables, images)
    assert tuple(stride for stride, _ in maps) == STRIDES
    for stride, features in maps:
        assert features.shape[1:3] == (64 // stride, 96 // stride)
    pyramid = jax.jit(trunk.apply, compiler_options=FAST)(variables, images)
    assert list(pyramid) == [2, 4, 8, 16, 32]
    for stride, stage in zip(pyramid, (0, 1, 2, 4, 6), strict=True):
        np.testing.assert_array_equal(pyramid[stride], maps[stage][1])


def test_the_pyramid_has_all_stages_on_request():
    images = _images(40, 33)
    variables = {kind: tree["backbone"] for kind, tree in _peer()[1].items()}

    def both(trunk, images):
        return trunk.stages(images), trunk(images)

    trunk = zoo.create_backbone("mobilenet_v2", width=NARROW, every_stage=True)
    run = functools.partial(trunk.apply, method=both)
    stages, pyramid = jax.jit(run, compiler_options=FAST)(variables, images)
    assert list(pyramid) == [2, 4, 8, 16, 32]
    flat = [(stride, x) for stride, maps in pyramid.items() for x in maps]
    assert tuple(stride for stride, _ in flat) == STRIDES
    for (_, ours), (_, wanted) in zip(flat, stages, strict=True):
        np.testing.assert_array_equal(ours, wanted)
    with pytest.raises(errors.UserError, match="Leave out every_stage"):
        _module(every_stage=True)


def test_features_of_the_plain_network_are_among_the_dilated_ones():
    images = _images(96, 104)
    last = {}
    for stride in (8, 16, 32):
        maps, _ = _ours(_module(output_stride=stride), _peer()[1], images)
        last[stride] = np.asarray(maps[-1])
        assert last[stride].shape[1:3] == tuple(-(-s // stride) for s in (96, 104))
    assert peers.relative_error(last[8][:, ::4, ::4], last[32]) < 1e-5
    assert peers.relative_error(last[16][:, ::2, ::2], last[32]) < 1e-5


@pytest.mark.parametrize("stride", [8, 16])
def test_the_dilated_network_is_that_of_timm(stride):
    network = _timm(output_stride=stride)
    network.load_state_dict(_peer()[0].state_dict())
    images = _images(72, 88)
    ours = _ours(_module(output_stride=stride), _peer()[1], images)
    _assert_same(ours, _theirs(network.eval(), images))


def test_every_parameter_has_a_gradient_also_when_units_are_recomputed():
    images, variables = _images(32, 40), _peer()[1]

    def slopes(remat):
        module = _module(remat=remat, norm="frozen", dropout=0.0)

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
    jax.tree.map(np.testing.assert_array_equal, statistics, variables["batch_stats"])
    again = jax.tree.leaves(slopes(True)[0])
    for one, two in zip(jax.tree.leaves(plain), again, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-4 * np.abs(one).max())


def test_training_moves_every_statistic_and_leaves_features_out():
    module, variables = _module(norm="device", dropout=0.5), _peer()[1]
    train = functools.partial(
        module.apply, variables, _images(64, 64), train=True, mutable=["batch_stats"]
    )
    run = jax.jit(lambda key: train(rngs={"dropout": key}), compiler_options=FAST)
    one, changed = run(jax.random.key(0))
    two, _ = run(jax.random.key(1))
    assert peers.relative_error(one, two) > 1e-2
    for old, new in zip(
        jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(changed), strict=True
    ):
        assert (np.asarray(old) != new).any()


def test_half_precision_is_near():
    images = _images(64, 64)
    one, scores = _ours(_module(), _peer()[1], images)
    module = zoo.create_module(
        "mobilenet_v2", num_classes=10, width=NARROW, compute_dtype="bfloat16"
    )
    two, near = _ours(module, _peer()[1], images)
    assert near.dtype == jnp.float32
    for features, other in zip((*one, scores), (*two, near), strict=True):
        error = peers.relative_error(np.asarray(other, np.float32), features)
        assert 0 < error < 0.1
    assert two[-1].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_stride": 4}, "wants output_stride 8, 16 or 32, got 4"),
        ({"width": 0}, "wants a width above 0, got 0"),
        ({"width": "wide"}, "width of mobilenet_v2 wants float, got 'wide'"),
    ],
)
def test_unknown_values_are_refused(options, message):
    with pytest.raises(errors.UserError, match=message):
        zoo.create_module("mobilenet_v2", **options)
