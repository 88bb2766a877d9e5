"""The wide ResNets: published counts, and the laws that every variant must obey."""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import classifier, wide_resnet, zoo
from tests import peers

# Paper's name, layers, parameters (specification, sections 1.1 and 1.5).
MODELS = {
    "wide_resnet_a": ("224-0-3-3-6-3-1-1", 38, 109_167_912),
    "wide_resnet_a1": ("224-0-3-3-6-3-1-1", 38, 109_167_912),
    "wide_resnet_a2": ("224-0-3-3-6-3-1-1", 38, 109_167_912),
    "wide_resnet_b": ("224-0-1-1-1-3-1-1", 20, 82_612_520),
    "wide_resnet_16": ("224-0-1-1-1-1-1-1", 16, 63_732_008),
    "wide_resnet_c": ("112-1-1-1-1-13-1-1", 42, 177_089_064),
    "wide_resnet_d": ("112-1-1-1-1-9-1-1", 34, 139_328_040),
    "wide_resnet_e": ("112-1-1-1-1-5-1-1", 26, 101_567_016),
    "wide_resnet_f": ("56-1-1-1-1-9-1-1", 34, 139_328_040),
}
FC = 4_097_000
# Parameters of the levels, B1 to B7; B6 and B7 are alike in all models.
LEVELS_A = (0, 820_608, 3_279_616, 27_274_752, 26_484_736, 9_442_304, 37_758_976)
SINGLE = (73_984, 229_760, 918_272, 3_671_552)
B5, MORE_B5 = 7_604_224, 9_440_256
# Sides of the maps after conv1a and each level, for training images.
TRACES = {
    224: (224, 224, 112, 56, 28, 14, 7, 7),
    112: (112, 112, 56, 28, 14, 7, 7, 7),
    56: (56, 56, 28, 14, 7, 7, 7, 7),
}
CHANNELS = (64, 64, 128, 256, 512, 1024, 2048, 4096)
FEW = (0, 1, 1, 1, 2, 1, 1)
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


@functools.cache
def _traced(name):
    """Shapes of the parameters, and of every module's output, for a training image."""
    module = zoo.create_module(name)
    side = int(MODELS[name][0].split("-")[0])
    _, variables = jax.eval_shape(
        functools.partial(module.init_with_output, capture_intermediates=True),
        jax.random.key(0),
        jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32),
    )
    outputs = traverse_util.flatten_dict(variables.pop("intermediates"), sep="/")
    flat = traverse_util.flatten_dict(variables, sep="/")
    shapes = {path.removesuffix("/__call__"): v for path, v in outputs.items()}
    return {path: array.shape for path, array in flat.items()}, shapes


def _size(shapes, part):
    return sum(np.prod(s) for p, s in shapes.items() if p.startswith(f"params/{part}"))


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_the_published_ones(name):
    paper, depth, total = MODELS[name]
    shapes, _ = _traced(name)
    assert zoo.create_backbone(name).depth == depth
    assert _size(shapes, "") == total
    assert _size(shapes, "head/fc/") == FC
    levels = [_size(shapes, f"backbone/b{i}_") for i in range(1, 8)]
    if paper == MODELS["wide_resnet_a"][0]:
        wanted = LEVELS_A
    else:
        units = wide_resnet.parse(paper)["units"]
        wanted = [*SINGLE, B5 + (units[4] - 1) * MORE_B5, *LEVELS_A[5:]]
        wanted[0] *= units[0]
    assert levels == list(wanted)
    assert _size(shapes, "backbone/conv1a") == 1_728
    assert _size(shapes, "backbone/bn_out") == 8_192


@pytest.mark.parametrize(
    ("name", "kernels", "norms"),
    [
        ("wide_resnet_a", 43, 37),
        ("wide_resnet_b", 25, 19),
        ("wide_resnet_16", 21, 15),
        ("wide_resnet_c", 47, 41),
        ("wide_resnet_e", 31, 25),
        ("wide_resnet_f", 39, 33),
    ],
)
def test_leaves_are_counted(name, kernels, norms):
    paths, _ = _traced(name)
    assert sum(p.startswith("params/") for p in paths) == kernels + 2 + 2 * norms
    assert sum(p.startswith("batch_stats/") for p in paths) == 2 * norms
    assert sum(p.endswith("/kernel") for p in paths) == kernels + 1
    assert sum(p.endswith("/proj/kernel") for p in paths) == 6
    assert sum(p.endswith("/bias") and "bn_" not in p for p in paths) == 1


def test_variants_share_one_tree():
    assert _traced("wide_resnet_a")[0] == _traced("wide_resnet_a1")[0]
    assert _traced("wide_resnet_a")[0] == _traced("wide_resnet_a2")[0]
    assert _traced("wide_resnet_d")[0] == _traced("wide_resnet_f")[0]


@pytest.mark.parametrize("name", MODELS)
def test_every_net_ends_on_seven_pixels(name):
    paper, *_ = MODELS[name]
    _, outputs = _traced(name)
    sides = TRACES[int(paper.split("-")[0])]
    assert outputs["backbone/conv1a"][0].shape == (1, sides[0], sides[0], 64)
    for level, count in enumerate(wide_resnet.parse(paper)["units"], 1):
        for i in range(count):
            shape = outputs[f"backbone/b{level}_{i}"][0].shape
            assert shape == (1, sides[level], sides[level], CHANNELS[level])
    (pyramid,) = outputs["backbone"]
    for stride, features in pyramid.items():
        deepest = max(i for i, side in enumerate(sides) if side == sides[0] // stride)
        assert features.shape == (1, *[sides[deepest]] * 2, CHANNELS[deepest])
    assert min(pyramid) == 1
    assert max(pyramid) * 7 == sides[0]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("224-0-1-1-1-1-1", r"six counts of units\. Did you mean 0-1-1-1-1-1-1\?"),
        ("112-1-1-1-13-1-1", r"mean 1-1-1-1-13-1-1 or 0-1-1-1-13-1-1\?"),
        ("224-3-3-6-3-1-1", r"or 0-3-3-6-3-1-1\?"),
        ("224-0-3-3-6-3-1-1-1", "has seven levels"),
        ("224-0-3-0-6-3-1-1", "has seven levels"),
        ("100-0-3-3-6-3-1-1", "224, 112 or 56.*got '100-0"),
        ("wide", "224-0-3-3-6-3-1-1; got 'wide'"),
    ],
)
def test_names_of_another_form_are_refused(name, message):
    with pytest.raises(errors.UserError, match=message):
        wide_resnet.parse(name)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a", {"units": (0, 3, 3, 6, 3, 1)}, "six counts"),
        ("a", {"units": (0, 3, 3, 6, 3, 1, 1.0)}, "seven levels"),
        ("a", {"halvings": 6}, "3, 4 or 5 halvings, got 6"),
        ("a", {"output_stride": 4}, "wants output_stride 8 or 16 or 32, got 4"),
        ("c", {"output_stride": 32}, "4 halvings wants output_stride 8 or 16, got 32"),
        ("f", {"output_stride": 16}, "3 halvings wants output_stride 8, got 16"),
        ("a", {"halving": "pools"}, "halving of wide_resnet_a 'pools'. Did .* pool"),
        ("a1", {"pool_pad": "Same"}, "pool_pad of wide_resnet_a1 'Same'. Did .* same"),
        ("a", {"unit_dropout": (0.5,)}, "wants unit_dropout for B6 and for B7"),
        ("a", {"unit_dropout": (0.5, 1.0)}, "wants unit_dropout for B6 and for B7"),
        ("a", {"width": 0.3}, "64 times is a whole number.*got 0.3"),
    ],
)
def test_unknown_values_are_refused(name, options, message):
    with pytest.raises(errors.UserError, match=message):
        zoo.create_backbone(f"wide_resnet_{name}", **options)


def _images(height, width, channels=3, seed=0):
    return np.random.default_rng(seed).random((1, height, width, channels), np.float32)


def _net(**options):
    return wide_resnet.WideResNet(**{"units": FEW, "width": 1 / 16, **options})


def _drawn(module, *arguments, bias=0.5):
    """Variables with random scales, biases and statistics; activations keep size."""
    shapes = jax.eval_shape(lambda key: module.init(key, *arguments), jax.random.key(0))
    rng = np.random.default_rng(0)
    ranges = {"scale": (0.5, 1.5), "bias": (-bias, bias), "mean": (-bias, bias)}

    def draw(path, leaf):
        kind = path[-1].key
        if kind == "kernel":
            values = rng.normal(size=leaf.shape) / np.prod(leaf.shape[:-1]) ** 0.5
        else:
            values = rng.uniform(*ranges.get(kind, (0.5, 2.0)), leaf.shape)
        return values.astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


@functools.cache
def _random(units=FEW, width=1 / 16):
    module = wide_resnet.WideResNet(units, width=width)
    return _drawn(module, _images(32, 32))


def _pyramid(module, images, variables=None):
    variables = _random(tuple(module.units)) if variables is None else variables
    with jax.default_matmul_precision("highest"):
        run = jax.jit(module.apply, compiler_options=FAST)
        return jax.tree.map(np.asarray, run(variables, images))


@pytest.mark.parametrize(
    ("halving", "pool_pad", "size"),
    [
        ("conv", "same", (96, 101)),
        ("mixed", "same", (104, 97)),
        ("mixed", "symmetric", (99, 126)),
        ("pool", "same", (101, 96)),
        ("pool", "symmetric", (100, 103)),
    ],
)
def test_features_of_the_plain_network_are_among_the_dilated_ones(
    halving, pool_pad, size
):
    images = _images(*size)
    maps = {}
    for stride in (8, 16, 32):
        module = _net(halving=halving, pool_pad=pool_pad, output_stride=stride)
        pyramid = _pyramid(module, images)
        assert max(pyramid) == stride
        maps[stride] = pyramid[stride]
    assert maps[8].shape[1:3] == tuple(-(-side // 8) for side in size)
    assert peers.relative_error(maps[8][:, ::4, ::4], maps[32]) < 1e-5
    assert peers.relative_error(maps[16][:, ::2, ::2], maps[32]) < 1e-5
    assert peers.relative_error(maps[8][:, ::2, ::2], maps[16]) < 1e-5


@pytest.mark.parametrize("halving", ["conv", "pool"])
def test_networks_for_small_images_dilate_too(halving):
    module = _net(units=(1, *FEW[1:]), halvings=4, halving=halving)
    images = _images(48, 51)
    plain = _pyramid(module, images)
    dilated = _pyramid(module.clone(output_stride=8), images)
    assert max(plain) == 16
    assert peers.relative_error(dilated[8][:, ::2, ::2], plain[16]) < 1e-5


@pytest.mark.parametrize("halving", ["conv", "mixed"])
def test_dilating_the_first_convolution_breaks_that(halving):
    images = _images(64, 72)
    module = _net(halving=halving, dilate_first=True)
    plain, dilated = (
        _pyramid(module.clone(output_stride=stride), images)[stride]
        for stride in (32, 8)
    )
    assert peers.relative_error(dilated[:, ::4, ::4], plain) > 1e-2
    # It says nothing about a network that lost no stride.
    kept = _pyramid(module.clone(dilate_first=False, output_stride=32), images)[32]
    np.testing.assert_array_equal(kept, plain)


@pytest.mark.parametrize(
    ("name", "options", "side"),
    [
        ("a", {}, 649),
        ("a1", {}, 557),
        ("a2", {}, 569),
        ("a1", {"output_stride": 8}, 557),
        ("a2", {"output_stride": 8, "pool_pad": "symmetric"}, 569),
        ("b", {}, 441),
        ("16", {"halving": "conv"}, 221),
        ("c", {}, 989),
        ("f", {"halving": "conv"}, 369),
    ],
)
def test_receptive_field(name, options, side):
    # Positive kernels, no biases: a bright column on black reaches an output if and
    # only if it lies in the receptive field.  Rows are like columns: a strip will do.
    module = zoo.create_backbone(
        f"wide_resnet_{name}", input_style="unit", width=1 / 64, **options
    )
    columns = 2 * (side // 2 + 64)
    shapes = jax.eval_shape(module.init, jax.random.key(0), _images(8, 32))
    variables = jax.tree_util.tree_map_with_path(
        lambda path, a: jnp.full(
            a.shape,
            1 / np.prod(a.shape[:-1]) * (path[-1].key not in ("bias", "mean")),
        ),
        shapes,
    )
    stride = module.output_stride or 2**module.halvings
    lit = columns // 2 + np.arange(stride)  # all that can be told apart
    images = np.zeros((stride, 8, columns, 3), np.float32)
    images[np.arange(stride), :, lit] = 1
    features = _pyramid(module, images, variables)[stride]
    image, place = np.nonzero(features[:, 0].any(axis=-1))
    assert place.min() > 0
    assert place.max() < features.shape[2] - 1
    assert np.ptp(lit[image] - stride * place) + 1 == side


@pytest.mark.parametrize(
    ("units", "options"),
    [
        (FEW, {"halving": "conv", "output_stride": 8}),
        (FEW, {"halving": "pool"}),
        (FEW, {"halving": "mixed", "pool_pad": "symmetric"}),
        ((1, *FEW[1:]), {"halvings": 4}),
        ((1, *FEW[1:]), {"halvings": 3, "halving": "conv"}),
    ],
)
def test_a_shift_by_the_stride_shifts_the_features_by_one(units, options):
    module = _net(units=units, **options)
    strip = _images(32, 32 * 22)  # wider than twice the receptive field
    whole = _pyramid(module, strip)
    stride = max(whole)
    moved = _pyramid(module, strip[:, :, stride:])[stride]
    whole = whole[stride][:, :, 1:]
    inner = slice(whole.shape[2] // 2 - 1, whole.shape[2] // 2 + 2)
    error = peers.relative_error(moved[:, :, inner], whole[:, :, inner])
    assert error < 1e-5
    # At the border they differ, or the test would see nothing.
    assert peers.relative_error(moved[:, :, :1], whole[:, :, :1]) > 1e-2


def _run_unit(unit, variables, x):
    return np.asarray(jax.jit(unit.apply, static_argnums=2)(variables, x, False))


@pytest.mark.parametrize("widths", [(8, 8), (4, 6, 8)])
def test_an_identity_unit_without_its_last_convolution_changes_nothing(widths):
    unit = wide_resnet.Unit(widths)
    x = _images(6, 7, 8) * 4 - 2
    variables = _drawn(unit, x, False)
    assert "proj" not in variables["params"]
    assert np.abs(_run_unit(unit, variables, x) - x).max() > 0.1
    last = variables["params"][f"conv_{'abc'[len(widths) - 1]}"]
    last["kernel"] = np.zeros_like(last["kernel"])
    np.testing.assert_array_equal(_run_unit(unit, variables, x), x)


@pytest.mark.parametrize("has_projection", [True, False])
def test_the_projection_reads_the_rectified_tensor(has_projection):
    unit = wide_resnet.Unit((8, 8), has_projection=has_projection)
    x = _images(6, 7, 8) * 4 - 2
    variables = _drawn(unit, x, False, bias=0.0)
    lower = np.where(x < 0, x - 1, x)
    one, two = (_run_unit(unit, variables, image) for image in (x, lower))
    if has_projection:
        np.testing.assert_array_equal(one, two)
    else:
        np.testing.assert_allclose(one - two, x - lower, atol=1e-5)


def test_black_gives_the_bias_of_the_head():
    module = zoo.create_module(
        "wide_resnet_16", num_classes=5, width=1 / 64, input_style="unit"
    )
    black = np.zeros((1, 40, 33, 3), np.float32)
    variables = _drawn(module, black, bias=0.0)
    variables["params"]["head"]["fc"]["bias"] = np.arange(5, dtype=np.float32)
    scores = _pyramid(module, black, variables)
    np.testing.assert_array_equal(scores[0], np.arange(5))
    white = _pyramid(module, black + 1, variables)
    assert np.abs(white[0] - np.arange(5)).max() > 1e-3


def test_kernels_start_with_the_variance_of_their_inputs():
    unit = wide_resnet.Unit((32, 64, 128), has_projection=True)
    init = jax.jit(unit.init, static_argnums=2, compiler_options=FAST)
    params = init(jax.random.key(0), _images(4, 4, 96), False)["params"]
    for layer in ("conv_a", "conv_b", "conv_c", "proj"):
        kernel = np.asarray(params[layer]["kernel"])
        he = np.sqrt(2 / np.prod(kernel.shape[:-1]))
        assert kernel.std() == pytest.approx(he, rel=0.05), layer
        assert np.abs(kernel).max() > 3 * he  # it is not cut off


def test_the_head_starts_evenly_spread():
    head = classifier.LinearHead(200)
    params = head.init(jax.random.key(0), np.zeros((1, 1, 1, 400), "f"))["params"]["fc"]
    for leaf in ("kernel", "bias"):
        values = np.asarray(params[leaf]) * 20  # the root of the inputs' number
        assert np.abs(values).max() <= 1
        assert values.mean() == pytest.approx(0, abs=0.15)
        assert values.std() == pytest.approx(3**-0.5, rel=0.1)


def test_dilated_pools_pass_gradients_and_frozen_statistics_stay():
    module = _net(norm="frozen", output_stride=8)
    images = _images(34, 40)

    def loss(params):
        pyramid, changed = module.apply(
            {**_random(), "params": params}, images, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(pyramid[8] ** 2), changed

    slope = jax.jit(jax.grad(loss, has_aux=True), compiler_options=FAST)
    slopes, changed = slope(_random()["params"])
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path
    jax.tree.map(
        np.testing.assert_array_equal, changed["batch_stats"], _random()["batch_stats"]
    )


def test_recomputing_units_changes_no_gradient():
    units = (0, 1, 1, 1, 1, 1, 1)

    def slope(remat):
        module = _net(units=units, remat=remat, norm="frozen", unit_dropout=(0.3, 0.5))

        def loss(images, variables):
            keys = {"dropout": jax.random.key(3)}
            pyramid = module.apply(variables, images, train=True, rngs=keys)
            return jnp.sum(pyramid[32] ** 2)

        given = _images(32, 32), _random(units)
        text = str(jax.make_jaxpr(jax.grad(loss))(*given))
        assert ("checkpoint" in text or "remat" in text) == remat
        return jax.jit(jax.grad(loss), compiler_options=FAST)(*given)

    assert peers.relative_error(slope(True), slope(False)) < 1e-5


def test_dropout_is_element_wise_before_the_last_convolutions_of_b6_and_b7():
    module = _net(norm="frozen", output_stride=8, unit_dropout=(0.3, 0.5))

    @functools.partial(jax.jit, compiler_options=FAST)
    def outputs(variables, images):
        _, kept = module.apply(
            variables,
            images,
            train=True,
            rngs={"dropout": jax.random.key(0)},
            mutable=["intermediates"],
            capture_intermediates=lambda m, _: isinstance(m, nn.Dropout | nn.BatchNorm),
        )
        return traverse_util.flatten_dict(kept["intermediates"], sep="/")

    found = outputs(_random(), _images(80, 80))
    for level, count in enumerate(FEW, 1):
        for i in range(count):
            last = "c" if level > 5 else "b"
            (before,) = found[f"b{level}_{i}/bn_{last}/__call__"]
            (after,) = found[f"b{level}_{i}/Dropout_0/__call__"]
            before = np.maximum(before, 0)
            share = {6: 0.3, 7: 0.5}.get(level)
            if share is None:
                np.testing.assert_array_equal(after, before)
                continue
            lost = (before > 0) & (after == 0)
            kept = (before > 0) & ~lost
            assert lost.sum() / (lost | kept).sum() == pytest.approx(share, abs=0.03)
            np.testing.assert_allclose(
                after[kept], before[kept] / (1 - share), rtol=1e-5
            )
            for axes in ((0, 1, 2), 3):  # of each channel, of each pixel
                many = (lost | kept).sum(axes) > 30
                assert many.any()
                assert lost.any(axes)[many].all()
                assert kept.any(axes)[many].all()
