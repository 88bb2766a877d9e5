"""VGG16 against timm and torchvision, and its head as a convolution."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import classifier, vgg, zoo
from dpjax.weights import renaming
from dpjax.weights.layouts import vgg as layouts
from tests import peers

# Specification of the architecture, section 3.1.
COUNTS = {
    "backbone": 14_714_688,
    "head/fc6": 102_764_544,
    "head/fc7": 16_781_312,
    "head/fc8": 4_097_000,
}
NORMS = 8_448
WIDTHS = (4, 6, 8, 10, 12)
HIDDEN = 14
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


@pytest.mark.parametrize("name", ["vgg16", "vgg16_bn"])
def test_parameters_are_the_published_ones(name):
    module = zoo.create_module(name)
    example = zoo.example_input(module)
    assert example.shape == (1, 224, 224, 3)
    shapes = jax.eval_shape(module.init, jax.random.key(0), example)
    flat = traverse_util.flatten_dict(shapes["params"], sep="/")
    counts = {
        part: sum(x.size for p, x in flat.items() if p.startswith(f"{part}/"))
        for part in COUNTS
    }
    norms = NORMS if name == "vgg16_bn" else 0
    assert counts == {**COUNTS, "backbone": COUNTS["backbone"] + norms}
    assert (
        sum(counts.values())
        == 138_357_544 + norms
        == sum(x.size for x in flat.values())
    )


def _module(has_norm=False, dropout=0.5, dtype=jnp.float32, **options):
    """A narrow copy; the zoo's head cannot be narrow, nor is there need."""
    trunk = vgg.VGG16(WIDTHS, has_norm, dtype=dtype, **options)
    head = vgg.VGGHead(10, dropout, HIDDEN, dtype=dtype)
    return classifier.Classifier(trunk, head, head.smallest_side)


def _timm(has_norm=False):
    """timm's network with fewer channels."""
    peers.timm()
    from timm.models import vgg as theirs
    from torch import nn

    norm = nn.BatchNorm2d if has_norm else None
    network = theirs.VGG(_PLAN, num_classes=10, norm_layer=norm)
    network.pre_logits = theirs.ConvMlp(WIDTHS[-1], HIDDEN, 7)
    network.head.fc = nn.Linear(HIDDEN, 10)
    return network


def _torchvision(has_norm=False):
    """torchvision's network with fewer channels."""
    peers.timm()
    import torch
    from torch import nn
    from torchvision.models import vgg as theirs

    with torch.device("meta"):  # the hundred million numbers are replaced below
        network = theirs.VGG(nn.Identity(), init_weights=False)
    network.features = theirs.make_layers(_PLAN, batch_norm=has_norm)
    sizes = (WIDTHS[-1] * 49, HIDDEN, HIDDEN, 10)
    for place, given, wanted in zip((0, 3, 6), sizes, sizes[1:], strict=False):
        network.classifier[place] = nn.Linear(given, wanted)
    return network


_PLAN = [
    step
    for width, count in zip(WIDTHS, (2, 2, 3, 3, 3), strict=True)
    for step in [*(width,) * count, "M"]
]


@functools.cache
def _peer(build, has_norm=False):
    """A PyTorch network with random weights, and those weights under our names."""
    network = peers.randomise(build(has_norm))
    arrays = peers.arrays(network)
    return network, renaming.variables(arrays, _module(has_norm), layouts.LAYOUTS)


def _images(height, width):
    return np.random.default_rng(0).random((2, height, width, 3), np.float32)


def _standardised(images):
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return ((images - mean) / deviation).astype(np.float32)


def _pyramid_and_scores(module, images):
    pyramid = module.backbone(images)
    return pyramid, module.head(pyramid[max(pyramid)])


def _ours(module, variables, images, method=_pyramid_and_scores):
    run = functools.partial(module.apply, method=method)
    with jax.default_matmul_precision("highest"):
        return jax.jit(run, compiler_options=FAST)(variables, images)


def _theirs(network, images):
    """What the five pools read, what the last gives; and the scores."""
    from torch import nn

    maps, hooks = [], []
    for pool in (
        layer for layer in network.features if isinstance(layer, nn.MaxPool2d)
    ):
        keep = lambda layer, given, out: maps.append((given[0], out))  # noqa: E731
        hooks.append(pool.register_forward_hook(keep))
    scores = peers.output(network, _standardised(images))
    for hook in hooks:
        hook.remove()
    maps = [given for given, _ in maps] + [maps[-1][1]]
    return [m.numpy().transpose(0, 2, 3, 1) for m in maps], scores


@pytest.mark.parametrize("has_norm", [False, True])
@pytest.mark.parametrize("size", [(224, 224), (257, 321)])
def test_every_map_and_the_scores_are_those_of_timm(size, has_norm):
    # Larger images too: both average over the places where the head fits.
    network, variables = _peer(_timm, has_norm)
    images = _images(*size)
    maps, wanted = _theirs(network, images)
    pyramid, scores = _ours(_module(has_norm), variables, images)
    assert list(pyramid) == [1, 2, 4, 8, 16, 32]
    for features, theirs in zip(pyramid.values(), maps, strict=True):
        assert peers.relative_error(features, theirs) < 1e-5
    assert peers.relative_error(scores, wanted) < 1e-5


@pytest.mark.parametrize("has_norm", [False, True])
def test_scores_are_those_of_torchvision(has_norm):
    network, variables = _peer(_torchvision, has_norm)
    images = _images(224, 224)
    _, scores = _ours(_module(has_norm), variables, images)
    wanted = peers.output(network, _standardised(images))
    assert peers.relative_error(scores, wanted) < 1e-5


def test_the_order_of_the_flattened_map_matters():
    network, variables = _peer(_torchvision)
    kernel = variables["params"]["head"]["fc6"]["kernel"]
    matrix = network.classifier[0].weight.detach().numpy()
    other = matrix.T.reshape(kernel.shape)  # rows, columns, channels
    head = {**variables["params"]["head"], "fc6": {"kernel": other}}
    head["fc6"]["bias"] = variables["params"]["head"]["fc6"]["bias"]
    params = {**variables["params"], "head": head}
    images = _images(224, 224)
    _, scores = _ours(_module(), {**variables, "params": params}, images)
    wanted = peers.output(network, _standardised(images))
    assert peers.relative_error(scores, wanted) > 1e-2


@pytest.mark.parametrize("options", [{"input_style": "caffe"}, {"ceil_pools": True}])
def test_another_network_of_the_same_shapes_is_noticed(options):
    network, variables = _peer(_timm)
    images = _images(240, 232)
    _, scores = _ours(_module(**options), variables, images)
    wanted = peers.output(network, _standardised(images))
    assert peers.relative_error(scores, wanted) > 1e-3


def test_pools_can_keep_the_last_window():
    network = _timm()
    network.load_state_dict(_peer(_timm)[0].state_dict())
    for layer in network.features:
        layer.ceil_mode = True
    images = _images(225, 250)
    maps, wanted = _theirs(network.eval(), images)
    pyramid, scores = _ours(_module(ceil_pools=True), _peer(_timm)[1], images)
    assert pyramid[32].shape[1:3] == (8, 8)
    assert peers.relative_error(pyramid[32], maps[-1]) < 1e-5
    assert peers.relative_error(scores, wanted) < 1e-5


def test_the_score_map_has_the_scores_of_each_window():
    _, variables = _peer(_timm)
    head = _module().head
    inner = {"params": variables["params"]["head"]}
    pool5 = np.random.default_rng(1).random((2, 9, 8, WIDTHS[-1]), np.float32)
    scores = head.apply(inner, pool5, method="score_map")
    assert scores.shape == (2, 3, 2, 10)
    for row in range(3):
        for column in range(2):
            window = pool5[:, row : row + 7, column : column + 7]
            one = head.apply(inner, window)
            assert peers.relative_error(scores[:, row, column], one) < 1e-5
    features = head.apply(inner, pool5, method="dense_features")
    assert features.shape == (2, 3, 2, HIDDEN)
    fc8 = inner["params"]["fc8"]
    again = features @ fc8["kernel"][0, 0] + fc8["bias"]
    assert peers.relative_error(scores, again) < 1e-5
    assert peers.relative_error(head.apply(inner, pool5), scores.mean((1, 2))) < 1e-5


def test_training_leaves_features_out_behind_both_layers():
    head = vgg.VGGHead(10, 0.5, 4096)
    pool5 = jnp.ones((1, 7, 7, 2))
    params = {
        f"fc{i}": {"kernel": kernel, "bias": jnp.zeros(kernel.shape[-1])}
        for i, kernel in (
            (6, jnp.full((7, 7, 2, 4096), 1 / 98)),
            (7, jnp.eye(4096)[None, None]),
            (8, jnp.ones((1, 1, 4096, 10))),
        )
    }
    run = functools.partial(head.apply, {"params": params}, pool5)
    features = run(
        train=True, rngs={"dropout": jax.random.key(0)}, method="dense_features"
    )
    values, counts = np.unique(np.asarray(features), return_counts=True)
    np.testing.assert_allclose(values, [0, 4], rtol=1e-5)
    assert counts[1] / 4096 == pytest.approx(0.25, abs=0.03)
    np.testing.assert_allclose(run(method="dense_features"), 1, rtol=1e-5)


@pytest.mark.parametrize("has_norm", [False, True])
def test_every_parameter_has_a_gradient(has_norm):
    module = _module(has_norm, norm="frozen", dropout=0.0)
    variables, images = _peer(_timm, has_norm)[1], _images(224, 224)

    def loss(params):
        scores, changed = module.apply(
            {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(scores**2), changed.get("batch_stats", {})

    slopes, statistics = jax.jit(jax.grad(loss, has_aux=True), compiler_options=FAST)(
        variables["params"]
    )
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path
    before = variables.get("batch_stats", {})
    jax.tree.map(np.testing.assert_array_equal, statistics, before)


def test_training_moves_every_statistic():
    trunk, variables = _module(True, norm="device").backbone, _peer(_timm, True)[1]
    inner = {kind: tree["backbone"] for kind, tree in variables.items()}
    _, changed = jax.jit(
        functools.partial(trunk.apply, train=True, mutable=["batch_stats"]),
        compiler_options=FAST,
    )(inner, _images(32, 32))
    for old, new in zip(
        jax.tree.leaves(inner["batch_stats"]), jax.tree.leaves(changed), strict=True
    ):
        assert (np.asarray(old) != new).any()


def test_half_precision_is_near():
    images, variables = _images(224, 224), _peer(_timm)[1]
    one, scores = _ours(_module(), variables, images)
    two, near = _ours(_module(dtype=jnp.bfloat16), variables, images)
    assert near.dtype == jnp.float32
    assert 0 < peers.relative_error(near, scores) < 0.05
    for stride, features in one.items():
        assert two[stride].dtype == jnp.bfloat16
        error = peers.relative_error(two[stride].astype(np.float32), features)
        assert 0 < error < 0.05


def test_images_too_small_for_the_head_are_refused():
    module = _module()
    assert module.smallest_side == 224
    images = _images(224, 223)
    with pytest.raises(errors.UserError, match=r"at least 224 pixels.*map of 7x6"):
        jax.eval_shape(module.init, jax.random.key(0), images)


def test_other_numbers_of_widths_are_refused():
    with pytest.raises(errors.UserError, match=r"five stages.*got \(64, 128\)"):
        zoo.create_module("vgg16", widths=(64, 128))
