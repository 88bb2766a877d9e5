"""FCN against a PyTorch rendering of the public one: counts, sizes, crops, scores."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import fcn, segmenter, vgg, zoo
from dpjax.weights import layouts, renaming
from tests import peers

# Specification of segmentation, section 3; 21 classes.
COUNTS = {
    "fcn32s_vgg16": 134_346_581,
    "fcn16s_vgg16": 134_357_354,
    "fcn8s_vgg16": 134_362_751,
    "fcn8s_at_once_vgg16": 134_362_751,
}
WITH_UPSAMPLING = {32: 136_152_917, 16: 134_815_994, 8: 134_489_759}
VGG = 14_714_688
WIDTHS, HIDDEN, CLASSES = (4, 6, 8, 10, 12), 14, 5
AT_ONCE = (0.01, 0.0001)
MEAN = np.array([104.00699, 116.66877, 122.67892])  # blue, green, red
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


def _count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@functools.cache
def _shapes(name):
    module = zoo.create_module(name)
    images = jnp.zeros((1, 1, 1, 3))
    return module, jax.eval_shape(module.init, jax.random.key(0), images)


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_the_published_ones(name):
    _, variables = _shapes(name)
    assert _count(variables) == COUNTS[name]
    assert _count(variables["params"]["backbone"]) == VGG


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (32, 32), (61, 97), (500, 375)])
def test_scores_are_as_large_as_the_image(name, size):
    module, variables = _shapes(name)
    assert module.smallest_side == 1
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    out = jax.eval_shape(module.apply, variables, images)
    assert (out.shape, out.dtype) == ((2, *size, 21), jnp.float32)


def _module(finest=8, scales=(1.0, 1.0), dtype=jnp.float32, **options):
    """A narrow copy."""
    options = {
        "first_padding": 100,
        "ceil_pools": True,
        "input_style": "caffe_fcn",
        **options,
    }
    trunk = vgg.VGG16(WIDTHS, dtype=dtype, **options)
    decoder = fcn.FCN(CLASSES, finest, scales, fc_width=HIDDEN, dtype=dtype)
    return segmenter.Segmenter(trunk, decoder, 1)


def _torch_fcn():
    peers.timm()
    from benchmarks import torch_fcn

    return torch_fcn.FCN


@functools.cache
def _peer(finest, scales=(1.0, 1.0)):
    """A PyTorch network with random weights, and those weights under our names."""
    network = peers.randomise(_torch_fcn()(finest, CLASSES, WIDTHS, HIDDEN, scales))
    module = _module(finest, scales)
    names = layouts.of(module)
    return network, renaming.variables(peers.arrays(network), module, names)


def _images(height, width):
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def _theirs(network, images):
    return peers.output(network, (images[..., ::-1] * 255 - MEAN).astype(np.float32))


def _ours(module, variables, images):
    with jax.default_matmul_precision("highest"):
        return jax.jit(module.apply, compiler_options=FAST)(variables, images)


@pytest.mark.parametrize("finest", [32, 16, 8])
def test_the_peer_has_the_published_parameters(finest):
    network = _torch_fcn()(finest, 1, WIDTHS, HIDDEN)
    upsampling = sum(
        p.shape[2] ** 2 for n, p in network.named_parameters() if n.startswith("upsc")
    )
    ours = COUNTS[f"fcn{finest}s_vgg16"]
    assert ours + 21**2 * upsampling == WITH_UPSAMPLING[finest]


@pytest.mark.parametrize("size", [(1, 1), (61, 97)])
@pytest.mark.parametrize(
    ("finest", "scales"), [(32, (1, 1)), (16, (1, 1)), (8, (1, 1)), (8, AT_ONCE)]
)
def test_scores_are_those_of_pytorch(finest, scales, size):
    network, variables = _peer(finest, scales)
    images = _images(*size)
    ours = _ours(_module(finest, scales), variables, images)
    assert peers.relative_error(ours, _theirs(network, images)) < 1e-5


@pytest.mark.parametrize("size", [(64, 96), (32, 33)])
def test_even_sizes_give_the_same_too(size):
    network, variables = _peer(8)
    images = _images(*size)
    ours = _ours(_module(8), variables, images)
    assert peers.relative_error(ours, _theirs(network, images)) < 1e-5


@pytest.mark.parametrize(
    ("table", "stride", "offset"),
    [("_IMAGE_OFFSETS", 8, 30), ("_SKIP_OFFSETS", 16, 4), ("_SKIP_OFFSETS", 8, 8)],
)
def test_another_crop_is_noticed(monkeypatch, table, stride, offset):
    network, variables = _peer(8)
    images = _images(61, 97)
    monkeypatch.setitem(getattr(fcn, table), stride, offset)
    ours = _ours(_module(8), variables, images)
    assert peers.relative_error(ours, _theirs(network, images)) > 1e-3


@pytest.mark.parametrize("wrong", [{"scales": AT_ONCE}, {"input_style": "caffe"}])
def test_another_network_of_the_same_shapes_is_noticed(wrong):
    network, variables = _peer(8)
    images = _images(61, 97)
    ours = _ours(_module(8, **wrong), variables, images)
    assert peers.relative_error(ours, _theirs(network, images)) > 1e-5


@pytest.mark.parametrize("wrong", [{"first_padding": 1}, {"ceil_pools": False}])
def test_maps_of_another_backbone_are_refused(wrong):
    module = _module(8, **wrong)
    with pytest.raises(errors.UserError, match=r"first_padding=100 and ceil_pools=Tr"):
        jax.eval_shape(module.init, jax.random.key(0), _images(61, 97))


def test_scores_start_at_zero():
    sides = {stride: -(-(1 + 198) // stride) for stride in (4, 8, 32)}
    pyramid = {
        stride: jnp.ones((1, side, side, width))
        for (stride, side), width in zip(sides.items(), (8, 10, 12), strict=True)
    }
    decoder = fcn.FCN(CLASSES, fc_width=HIDDEN)
    init = jax.jit(decoder.init, static_argnums=2, compiler_options=FAST)
    fresh = init(jax.random.key(0), pyramid, (1, 1))["params"]
    for name in ("head", "head_16", "head_8"):
        assert not np.any(fresh[name]["kernel"]), name
        assert not np.any(fresh[name]["bias"]), name
    assert np.std(fresh["fc6"]["kernel"]) == pytest.approx(0.01, rel=0.05)


def test_training_leaves_features_out():
    module, (_, variables) = _module(32), _peer(32)
    run = functools.partial(module.apply, variables, _images(1, 1), train=True)
    one, two, again = (
        run(rngs={"dropout": jax.random.key(seed)}) for seed in (0, 1, 0)
    )
    np.testing.assert_array_equal(one, again)
    assert peers.relative_error(one, two) > 1e-2


def test_every_parameter_has_a_gradient():
    module, (_, variables) = _module(8), _peer(8)
    images = _images(33, 40)

    def loss(params):
        return jnp.sum(module.apply({"params": params}, images) ** 2)

    slopes = jax.jit(jax.grad(loss), compiler_options=FAST)(variables["params"])
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path


def test_half_precision_is_near():
    (_, variables), images = _peer(8), _images(40, 33)
    single = _ours(_module(8), variables, images)
    half = _ours(_module(8, dtype=jnp.bfloat16), variables, images)
    assert half.dtype == jnp.float32
    assert 0 < peers.relative_error(half, single) < 0.05


@pytest.mark.parametrize("name", ["upscore2", "upscore8"])
def test_upsampling_that_was_trained_is_refused(name):
    network, _ = _peer(8)
    arrays = dict(peers.arrays(network))
    arrays[f"{name}.weight"] = arrays[f"{name}.weight"] * 1.01
    module = _module(8)
    with pytest.raises(errors.DataError, match=rf"{name}\.weight .* it was trained"):
        renaming.variables(arrays, module, layouts.of(module))


def test_a_classifier_gives_backbone_and_fc_layers():
    module = _module(8)
    shapes = jax.eval_shape(module.init, jax.random.key(0), _images(1, 1))
    flat = traverse_util.flatten_dict(shapes["params"], sep="/")
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    convolutions = [path for path in flat if path.endswith("kernel")][: len(places)]
    rng, arrays = np.random.default_rng(0), {}
    for place, path in zip(places, sorted(convolutions), strict=True):
        rows, columns, given, wanted = flat[path].shape
        kernel = rng.normal(size=(wanted, given, rows, columns))
        arrays[f"features.{place}.weight"] = kernel
        arrays[f"features.{place}.bias"] = rng.normal(size=wanted)
    for place, (given, wanted) in {
        0: (49 * WIDTHS[-1], HIDDEN),
        3: (HIDDEN, HIDDEN),
        6: (HIDDEN, 1000),
    }.items():
        arrays[f"classifier.{place}.weight"] = rng.normal(size=(wanted, given))
        arrays[f"classifier.{place}.bias"] = rng.normal(size=wanted)
    skip = ("decoder/head*",)
    names = layouts.of(module)
    loaded = renaming.variables(arrays, module, names, skip=skip)["params"]
    assert set(loaded["decoder"]) == {"fc6", "fc7"}
    fc6 = arrays["classifier.0.weight"].reshape(HIDDEN, WIDTHS[-1], 7, 7)
    np.testing.assert_allclose(
        loaded["decoder"]["fc6"]["kernel"], fc6.transpose(2, 3, 1, 0), rtol=1e-6
    )


def _by_pytorch(pyramid, params, finest):
    torch = pytest.importorskip("torch")
    total = None
    for stride in sorted(pyramid, reverse=True):
        if stride < finest:
            continue
        layer = params["head" if total is None else f"head_{stride}"]
        scores = pyramid[stride] @ layer["kernel"][0, 0] + layer["bias"]
        scores = torch.from_numpy(scores.transpose(0, 3, 1, 2))
        if total is not None:
            scores = scores + torch.nn.functional.interpolate(
                total, scores.shape[2:], mode="bilinear", align_corners=True
            )
        total = scores
    return total.numpy().transpose(0, 2, 3, 1)


@pytest.mark.torch
@pytest.mark.parametrize("finest", [32, 16, 8])
@pytest.mark.parametrize("size", [(33, 97), (50, 64)])
def test_any_pyramid_is_scored_and_summed(finest, size):
    rng = np.random.default_rng(0)
    pyramid = {
        stride: rng.normal(size=(2, *(-(-n // stride) for n in size), stride))
        for stride in (4, 8, 16, 32)
    }
    pyramid = {stride: x.astype(np.float32) for stride, x in pyramid.items()}
    decoder = fcn.PyramidFCN(CLASSES, finest)
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), pyramid, size)
    params = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes["params"]
    )
    assert len(params) == {32: 1, 16: 2, 8: 3}[finest]
    got = decoder.apply({"params": params}, pyramid, size)
    wanted = _by_pytorch(pyramid, params, finest)
    assert got.shape[1:3] == pyramid[finest].shape[1:3]
    assert peers.relative_error(got, wanted) < 1e-5


@pytest.mark.parametrize("decoder", [fcn.FCN, fcn.PyramidFCN])
def test_other_strides_are_refused(decoder):
    with pytest.raises(errors.UserError, match=r"32, 16 or 8, got finest=4"):
        decoder(21, 4)


def test_one_factor_for_two_skips_is_refused():
    with pytest.raises(errors.UserError, match=r"16 and 8, .* got \(0.01,\)"):
        fcn.FCN(21, skip_scales=(0.01,))
