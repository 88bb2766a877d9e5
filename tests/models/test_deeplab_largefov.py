"""DeepLab-LargeFOV against a PyTorch rendering of the authors' network."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import deeplab, vgg, zoo
from dpjax.weights import layouts, matching, renaming
from tests import peers

NAME = "deeplab_largefov_vgg16"
# Taps x given channels x wanted channels + biases, layer by layer; 20.5 M in the paper.
# The 37.3 M of some later tables is no count of these layers.
COUNTS = {
    "backbone": 14_714_688,  # VGG16's convolutions
    "decoder/fc6": 9 * 512 * 1024 + 1024,
    "decoder/fc7": 1024 * 1024 + 1024,
    "decoder/head": 1024 * 21 + 21,
}
SIDES = {513: 65, 512: 65, 321: 41, 320: 41}  # of images and scores
WIDTHS, HIDDEN, CLASSES = (4, 6, 8, 10, 12), 14, 5
RATE = 3  # the published one would reach past the small maps here
MEAN = np.array([104.008, 116.669, 122.675])  # blue, green, red
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


@functools.cache
def _shapes(side):
    module = zoo.create_module(NAME)
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    init = functools.partial(module.init_with_output, jax.random.key(0))
    return jax.eval_shape(init, images)


def test_parameters_are_those_counted_by_hand():
    flat = traverse_util.flatten_dict(_shapes(321)[1]["params"], sep="/")
    counts = {
        part: sum(x.size for path, x in flat.items() if path.startswith(f"{part}/"))
        for part in COUNTS
    }
    assert counts == COUNTS
    assert sum(x.size for x in flat.values()) == sum(COUNTS.values()) == 20_505_429


@pytest.mark.parametrize("side", SIDES)
def test_scores_have_the_published_size(side):
    assert _shapes(side)[0].shape == (1, SIDES[side], SIDES[side], 21)


def test_what_other_weights_would_not_show_is_as_published():
    options = zoo.list_options(NAME)
    wanted = {"rate": 12, "fc_width": 1024, "dropout": 0.5}
    assert {name: options[name] for name in wanted} == wanted
    assert zoo.create_module(NAME).align_corners


def _module(**options):
    """A narrow copy; all else is what the name stands for."""
    narrow = {"widths": WIDTHS, "fc_width": HIDDEN, "num_classes": CLASSES}
    return zoo.create_module(NAME, **{**narrow, "rate": RATE, **options})


@functools.cache
def _peer():
    """A PyTorch network with random weights, and those weights under our names."""
    peers.timm()
    from benchmarks import torch_fcn

    network = peers.randomise(torch_fcn.LargeFOV(CLASSES, WIDTHS, HIDDEN, RATE))
    module = _module()
    names = layouts.of(module)
    return network, renaming.variables(peers.arrays(network), module, names)


def _images(height, width):
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def _theirs(images):
    caffe = (images[..., ::-1] * 255 - MEAN).astype(np.float32)
    return peers.output(_peer()[0], caffe)


def _ours(module, images):
    with jax.default_matmul_precision("highest"):
        return jax.jit(module.apply, compiler_options=FAST)(_peer()[1], images)


@pytest.mark.parametrize("size", [(65, 97), (64, 90), (1, 2)])
def test_scores_are_those_of_pytorch(size):
    images = _images(*size)
    ours = _ours(_module(), images)
    assert peers.relative_error(ours, _theirs(images)) < 1e-5


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": RATE + 1},
        {"has_mean": False},
        {"has_holes": False},
        {"pool_window": 2},
        {"ceil_pools": False},
        {"input_style": "caffe"},
    ],
)
def test_another_network_of_the_same_shapes_is_noticed(wrong):
    images = _images(64, 90)
    ours = np.asarray(_ours(_module(**wrong), images))
    wanted = _theirs(images)
    height, width = min(ours.shape, wanted.shape)[1:3]
    ours, wanted = ours[:, :height, :width], wanted[:, :height, :width]
    assert peers.relative_error(ours, wanted) > 1e-4


def test_training_leaves_half_of_the_features_out_behind_both_layers():
    features = {8: jnp.ones((1, 3, 3, 2))}
    decoder = deeplab.LargeFOV(1, fc_width=4096, has_mean=False)
    first = np.zeros((3, 3, 2, 4096), np.float32)
    first[1, 1] = 0.5
    params = {
        "fc6": {"kernel": first, "bias": jnp.zeros(4096)},
        "fc7": {"kernel": jnp.eye(4096)[None, None], "bias": jnp.zeros(4096)},
        "head": {"kernel": jnp.ones((1, 1, 4096, 1)) / 4096, "bias": jnp.zeros(1)},
    }
    run = functools.partial(decoder.apply, {"params": params}, features, (24, 24))
    np.testing.assert_allclose(run(), 1, rtol=1e-5)
    # A quarter of the features is left, four times as large; each place draws anew.
    kept = run(train=True, rngs={"dropout": jax.random.key(0)}) * 4096 / 4
    np.testing.assert_allclose(kept, np.round(kept), atol=1e-2)
    assert np.mean(kept) / 4096 == pytest.approx(0.25, abs=0.01)
    assert len(np.unique(kept)) > 1


def test_holes_let_convolutions_see_what_they_saw_with_the_stride():
    inner = {"params": _peer()[1]["params"]["backbone"]}
    images = _images(64, 96)

    def last(**options):
        """conv5_3, before the last pool."""
        _, kept = vgg.VGG16(WIDTHS, **options).apply(
            inner, images, capture_intermediates=True, mutable=["intermediates"]
        )
        return kept["intermediates"]["conv5_3"]["__call__"][0]

    with jax.default_matmul_precision("highest"):
        plain = last()
        dense = last(output_stride=8, has_holes=True)[:, ::2, ::2]
        without = last(output_stride=8)[:, ::2, ::2]
    assert plain.shape[1:3] == (4, 6)
    assert peers.relative_error(dense, plain) < 1e-5
    assert peers.relative_error(without, plain) > 1e-2


def test_half_precision_is_near():
    images = _images(40, 33)
    single = _ours(_module(), images)
    half = _ours(_module(compute_dtype="bfloat16"), images)
    assert half.dtype == jnp.float32
    assert 0 < peers.relative_error(half, single) < 0.05


def test_scores_start_small_and_the_layers_before_keep_the_size():
    decoder = deeplab.LargeFOV(CLASSES, fc_width=256)
    fresh = decoder.init(jax.random.key(0), {8: jnp.zeros((1, 2, 2, 64))}, (16, 16))
    deviations = {"fc6": (2 / 576) ** 0.5, "fc7": (2 / 256) ** 0.5, "head": 0.01}
    assert set(fresh["params"]) == set(deviations)
    for name, layer in fresh["params"].items():
        assert np.std(layer["kernel"]) == pytest.approx(deviations[name], rel=0.05)
        assert not np.any(layer["bias"])


def test_a_classifier_of_imagenet_gives_its_backbone():
    module = _module()
    shapes = jax.eval_shape(module.init, jax.random.key(0), _images(1, 1))
    trunk = traverse_util.flatten_dict(shapes["params"]["backbone"], sep="/")
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    rng, arrays = np.random.default_rng(0), {}
    kernels = sorted(path for path in trunk if path.endswith("kernel"))
    for place, path in zip(places, kernels, strict=True):
        rows, columns, given, wanted = trunk[path].shape
        kernel = rng.normal(size=(wanted, given, rows, columns))
        arrays[f"features.{place}.weight"] = kernel
        arrays[f"features.{place}.bias"] = rng.normal(size=wanted)
    for place in (0, 3, 6):
        arrays[f"classifier.{place}.weight"] = np.zeros((7, 7))
        arrays[f"classifier.{place}.bias"] = np.zeros(7)
    names = layouts.of(module)
    with pytest.raises(errors.DataError, match="missing in the file: params/decoder"):
        renaming.variables(arrays, module, names)
    loaded = renaming.variables(arrays, module, names, skip=("decoder/*",))
    assert set(loaded["params"]) == {"backbone"}
    matching.check_matches(loaded, module, skip=("decoder/*",))
    first = loaded["params"]["backbone"]["conv1_1"]["kernel"]
    wanted = arrays["features.0.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_allclose(first, wanted, rtol=1e-6)


def test_the_head_stands_on_a_resnet_too():
    module = zoo.create_module(NAME, backbone="resnet50", blocks=(1, 1, 1, 1))
    images = jnp.zeros((1, 65, 97, 3))
    scores, variables = jax.eval_shape(
        functools.partial(module.init_with_output, jax.random.key(0)), images
    )
    assert scores.shape == (1, 9, 13, 21)
    assert variables["params"]["decoder"]["fc6"]["kernel"].shape == (3, 3, 2048, 1024)


def test_pools_of_other_sizes_are_refused():
    with pytest.raises(errors.UserError, match=r"2 or 3 pixels, got pool_window=4"):
        zoo.create_module(NAME, pool_window=4)


@pytest.mark.parametrize(
    "wrong", [{"rate": 0}, {"rate": True}, {"rate": -12}, {"fc_width": 0}]
)
def test_heads_without_taps_or_channels_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(errors.UserError, match=rf"{name}.*{value}"):
        zoo.create_module(NAME, **wrong)
