"""RefineNet: published numbers, laws of the whole, a rendering of the public port."""

import functools
import math

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers, refinenet, zoo
from dpjax.ops import resize
from dpjax.weights import layouts, renaming
from tests import peers
from tests.models import quick_runs

FAST = quick_runs.FAST
_run, _changed = quick_runs.run, quick_runs.changed
# One unit in each stage of the ResNet, and a narrow decoder.
SMALL = {
    "blocks": (1, 1, 1, 1),
    "path_widths": (16, 8, 8, 8),
    "num_classes": 5,
    "norm": "device",
}


def _images(height, width, count=1):
    return np.random.default_rng(0).random((count, height, width, 3), np.float32)


@functools.cache
def _shapes(name, **options):
    module = zoo.create_module(name, **options)
    return jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))


def _size(tree):
    return sum(x.size for x in jax.tree.leaves(tree))


# Specification of segmentation, 1.4, with 21 classes.
@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({"cascades": 1}, (62_488_149, 81_480_277, 97_123_925)),
        ({"cascades": 2}, (68_976_981, 87_969_109, 103_612_757)),
        ({}, (99_060_309, 118_052_437, 133_696_085)),
        ({"pooling_stages": 2}, (90_802_773, 109_794_901, 125_438_549)),
        ({"pooling_stages": 0}, (82_545_237, 101_537_365, 117_181_013)),
    ],
)
def test_parameters_are_the_published_ones(options, counts):
    for depth, count in zip((50, 101, 152), counts, strict=True):
        assert _size(_shapes(f"refinenet{depth}", **options)["params"]) == count


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("refinenet50_2scale", 159_139_989),
        ("refinenet101_2scale", 197_124_245),
        ("refinenet101_official", 118_052_437),
    ],
)
def test_other_geometries_have_the_published_parameters(name, count):
    assert _size(_shapes(name)["params"]) == count


# Specification, 1.6: Person-Part, SUN RGB-D, PASCAL-Context, ADE20K.
@pytest.mark.parametrize(
    ("classes", "count"),
    [(7, 118_020_167), (37, 118_089_317), (60, 118_142_332), (150, 118_349_782)],
)
def test_only_the_head_depends_on_the_classes(classes, count):
    params = _shapes("refinenet101", num_classes=classes)["params"]
    assert _size(params) == count == 118_004_032 + 2305 * classes
    assert _size(params["decoder"]["head"]) == 2305 * classes
    assert _size(params["decoder"]) - 2305 * classes == 75_503_872


def test_every_part_has_the_published_parameters():
    decoder = _shapes("refinenet50")["params"]["decoder"]
    found = {
        "/".join(path): size
        for path, size in traverse_util.flatten_dict(
            jax.tree.map(lambda x: x.size, decoder)
        ).items()
    }
    parts = {
        "stride32/reduce": 9_437_184,
        "stride32/unit": 9_438_208,
        "block1/chain": 9_437_184,
        "block1/unit": 14_157_312,
        "block2/fuse_previous": 1_179_648,
        "block2/fuse_stride16": 589_824,
        "stride16/reduce": 2_359_296,
        "stride16/unit": 2_359_808,
        "block2/chain": 2_359_296,
        "block2/unit": 3_539_712,
        "block4/fuse_previous": 589_824,
        "stride4/reduce": 589_824,
        "head": 48_405,
    }
    for part, count in parts.items():
        assert sum(n for p, n in found.items() if p.startswith(part)) == count, part
    assert not any(path.startswith("block1/fuse") for path in found)


@pytest.mark.parametrize(("depth", "leaves"), [(50, (247, 106)), (152, (553, 310))])
def test_it_has_as_many_arrays_as_the_port(depth, leaves):
    shapes = _shapes(f"refinenet{depth}")
    kinds = ("params", "batch_stats")
    assert tuple(len(jax.tree.leaves(shapes[kind])) for kind in kinds) == leaves


@pytest.mark.parametrize(
    "size", [(1, 1), (33, 47), (64, 96), (65, 97), (97, 129), (468, 625)]
)
@pytest.mark.parametrize("name", ["refinenet50", "refinenet_lw_mobilenet_v2"])
def test_scores_have_a_quarter_of_the_size_rounded_up(name, size):
    module = zoo.create_module(name)
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    scores = jax.eval_shape(module.apply, _shapes(name), images)
    assert scores.shape == (2, *(math.ceil(side / 4) for side in size), 21)
    assert module.is_dense
    assert not module.align_corners


@functools.cache
def _small(name="refinenet50", **options):
    """A narrow network with random variables."""
    module = zoo.create_module(name, **{**SMALL, **options})
    return module, peers.random_variables(module)


@pytest.mark.parametrize("name", ["refinenet50", "refinenet_lw50"])
@pytest.mark.parametrize(("axis", "size"), [(1, (65, 40)), (2, (40, 33))])
def test_mirrored_images_and_kernels_give_mirrored_scores(name, axis, size):
    module, variables = _small(name)
    images = _images(*size)

    def error(images):
        def flip(path, a):
            return np.flip(a, axis - 1) if a.ndim == 4 else a

        scores = _run(module, variables, images)
        mirrored = _run(module, _changed(variables, flip), np.flip(images, axis))
        return peers.relative_error(np.flip(mirrored, axis), scores)

    assert error(images) < 1e-5
    # Where the last step is cut, sides differ: strides start at the left.
    assert error(np.delete(images, 0, axis)) > 0.05


def test_images_of_a_batch_are_independent_and_nothing_is_left_out_outside_training():
    module, variables = _small()
    images = _images(40, 33, count=3)
    scores = _run(module, variables, images)
    order = [2, 0, 1]
    again = _run(module, variables, images[order])
    # Of scores in the ten thousands, some of which are differences of such numbers.
    assert peers.relative_error(again, scores[np.array(order)]) < 1e-5


def test_training_leaves_out_features_of_the_decoder_only():
    module, variables = _small(head_dropout=0.0)
    train = functools.partial(
        module.apply, variables, _images(64, 64), train=True, mutable=["batch_stats"]
    )
    run = jax.jit(lambda key: train(rngs={"dropout": key}), compiler_options=FAST)
    (one, first), (two, second) = (run(jax.random.key(seed)) for seed in (0, 1))
    assert peers.relative_error(one, two) > 1e-2
    # Stage 4 of the backbone read the whole map of stage 3 both times.
    jax.tree.map(np.testing.assert_array_equal, first, second)


def test_only_the_two_coarsest_levels_are_left_out():
    pyramid = {2**i: np.ones((1, 32 >> i, 32 >> i, 4), np.float32) for i in range(2, 6)}
    decoder = refinenet.RefineNet(
        3, path_widths=(4,) * 4, path_units=0, block_units=0, dropout=1.0
    )
    shapes = jax.eval_shape(decoder.init, jax.random.key(0), pyramid, (32, 32))
    ones = jax.tree.map(lambda s: np.ones(s.shape, np.float32), shapes)

    def scores(left_out, train):
        given = {s: x * (s not in left_out) for s, x in pyramid.items()}
        run = functools.partial(
            decoder.clone(head_dropout=0.0).apply,
            size=(32, 32),
            train=train,
            rngs={"dropout": jax.random.key(0)},
        )
        return jax.jit(run, compiler_options=FAST)(ones, given)

    np.testing.assert_array_equal(scores((), True), scores((16, 32), False))
    assert np.abs(scores((), True) - scores((8, 16, 32), False)).max() > 1


@pytest.fixture(scope="module")
def port():
    """A rendering of the public port with random weights, and those under our names."""
    pytest.importorskip("torch")
    from benchmarks import torch_refinenet

    network = peers.randomise(
        torch_refinenet.RefineNet(SMALL["blocks"], SMALL["path_widths"], 5)
    )
    module, _ = _small()
    arrays = peers.arrays(network)
    return network, renaming.variables(arrays, module, layouts.of(module))


def _standardised(images):
    return np.asarray(layers.standardise(images, "imagenet"))


@pytest.mark.torch
@pytest.mark.parametrize("size", [(97, 129), (64, 40), (33, 47)])
def test_scores_are_those_of_the_port(port, size):
    network, variables = port
    images = _images(*size)
    theirs = peers.output(network, _standardised(images))
    assert peers.relative_error(_run(_small()[0], variables, images), theirs) < 1e-5


@pytest.mark.torch
@pytest.mark.parametrize(
    "change",
    [
        {"pooling_order": "conv_pool"},
        {"resize": "half_pixel"},
        {"resize": "cubic"},
        {"activation": "relu6"},
        {"variant": "v1"},
        {"pool_pad": "same"},
        {"input_style": "minus128"},
    ],
)
def test_another_graph_or_geometry_is_noticed(port, change):
    network, variables = port
    images = _images(64, 50)
    theirs = peers.output(network, _standardised(images))
    module = zoo.create_module("refinenet50", **{**SMALL, **change})
    assert peers.relative_error(_run(module, variables, images), theirs) > 1e-3


def test_the_official_network_sees_the_image_enlarged_as_in_matlab():
    module, variables = _small("refinenet50_official")
    images = _images(40, 53)
    scores = _run(module, variables, images)
    assert scores.shape == (1, 12, 16, 5)  # quarters of 48 x 64
    larger = resize.imresize(images, scale=1.2).astype(np.float32)
    plain = module.clone(input_scale=1.0)
    assert peers.relative_error(_run(plain, variables, larger), scores) < 1e-4
    options = zoo.list_options("refinenet101_official")
    assert options["variant"] == "v1"
    assert options["input_style"] == "minus128"
    assert options["pooling_order"] == "conv_pool"


@pytest.mark.parametrize(
    ("cascades", "stride", "blocks"),
    [(1, 32, 1), (2, 32, 2), (3, 32, 3), (4, 16, 3), (4, 8, 2)],
)
def test_levels_are_shared_out_among_blocks(cascades, stride, blocks):
    module = zoo.create_module(
        "refinenet50", **SMALL, cascades=cascades, output_stride=stride
    )
    example = jax.ShapeDtypeStruct((1, 50, 66, 3), jnp.float32)
    scores, variables = jax.eval_shape(
        module.init_with_output, jax.random.key(0), example
    )
    assert scores.shape == (1, 13, 17, 5)
    decoder = variables["params"]["decoder"]
    assert sum(name.startswith("block") for name in decoder) == blocks
    first = {name for name in decoder["block1"] if name.startswith("fuse")}
    coarse = {1: 4, 2: 2, 3: 2, 4: 0}[cascades]
    assert len(first) == coarse


@pytest.mark.parametrize("name", ["refinenet50", "refinenet_lw_mobilenet_v2"])
def test_half_precision_stays_near_single(name):
    options = {"backbone": "resnet50", **SMALL, "pooling_stages": 1}
    module, variables = _small(name, **options)
    half = zoo.create_module(name, compute_dtype="bfloat16", **options)
    images = _images(40, 33)
    single, rounded = (_run(m, variables, images) for m in (module, half))
    assert single.dtype == rounded.dtype == jnp.float32
    assert 0 < peers.relative_error(rounded, single) < 0.1


# A backbone of each family; see `test_all_backbones` for what they are alone.
FEW = {
    "inception_v4": {"blocks": (1, 1, 1)},
    "mobilenet_v2": {"width": 0.125},
    "preact_resnet50": {"blocks": (1, 1, 1, 1)},
    "vgg16": {},
    "wide_resnet_e": {"units": (1,) * 7, "width": 1 / 32},
}


@pytest.mark.parametrize("backbone", FEW)
@pytest.mark.parametrize("name", ["refinenet50", "refinenet_lw50"])
def test_any_backbone_serves_and_learns(name, backbone):
    few = {"path_widths": (12, 8, 8, 8), "pooling_stages": 1, "norm": "frozen"}
    if name == "refinenet50":
        few |= {"path_units": 1, "block_units": 1}
    module = zoo.create_module(
        name, backbone=backbone, dropout=0.0, head_dropout=0.0, **few, **FEW[backbone]
    )
    variables = peers.random_variables(module)
    side = module.smallest_side + 5
    images = _images(side, side + 8)

    def loss(params):
        scores = module.apply({**variables, "params": params}, images, train=True)
        return jnp.sum(scores**2), scores

    run = jax.jit(jax.grad(loss, has_aux=True), compiler_options=FAST)
    slopes, scores = run(variables["params"])
    for got, whole in zip(scores.shape[1:3], images.shape[1:3], strict=True):
        assert abs(got - whole / 4) <= 4  # unpadded layers lose a few
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
    assert all(np.abs(x).max() > 0 for x in jax.tree.leaves(slopes["decoder"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling_order": "conv"}, "pooling_order of refinenet50 'conv'"),
        ({"resize": "bicubic"}, "Did you mean cubic"),
        ({"activation": "gelu"}, "activation of refinenet50"),
        ({"kernel_init": "he"}, "kernel_init of refinenet50"),
        ({"cascades": 0}, "at least 1 cascade"),
        ({"kernel": 2}, "an odd kernel"),
        ({"path_widths": ()}, "at least one level"),
        ({"input_scales": 1.2}, "input_scales wants one factor or several"),
        ({"input_scales": ()}, "input_scales wants one factor or several"),
        ({"max_over_scales": 1.0}, "max_over_scales wants one factor or several"),
        ({"max_over_scales": (1.0, 0.0)}, "several above 0, such as"),
        ({"pooling_stages": -1}, "pooling_stages=-1"),
        ({"backbone": "resnet51"}, "Did you mean resnet50"),
        ({"expands_first": True}, "Unknown option of refinenet50 'expands_first'"),
    ],
)
def test_unknown_values_are_refused(options, message):
    with pytest.raises(errors.UserError, match=message):
        zoo.create_module("refinenet50", **options)
