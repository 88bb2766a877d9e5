"""The network of 2015 against its published table and a rendering in PyTorch."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import layouts, renaming
from tests import peers

# Kernel and bias of each layer (specification of depth, section 8): VGG16's last map
# has 7x9 pixels, AlexNet's 6x8, and the second matrix gives 14x19 of 64 features.
FULL1 = {"vgg16": 132_124_672, "alexnet": 50_335_744}
DECODER = {
    "full2": 69_747_328,
    "scale2_1": 23_424,
    "scale2_2": 256_064,
    "scale2_3": 102_464,
    "scale2_4": 102_464,
    "scale2_head": 1_601,
    "scale3_1": 15_616,
    "scale3_2": 104_064,
    "scale3_3": 102_464,
    "head": 1_601,
}
BACKBONES = {"vgg16": 14_714_688, "alexnet": 3_747_200}
SMALL = {"fc_width": 9, "coarse_width": 5, "first_widths": (6, 4), "width": 7}
WIDTHS = {"vgg16": (2, 3, 4, 5, 6), "alexnet": (4, 5, 6, 7, 8)}
IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
FAST = {"xla_backend_optimization_level": 0}
SIZE = (76, 101)  # 76 is 4.75 times 16: the map of scale 1 ends inside the next
both_backbones = pytest.mark.parametrize("backbone", BACKBONES)


def _module(backbone="alexnet", size=SIZE, **options):
    return zoo.create_module(
        f"eigen_fergus2015_{backbone}",
        image_size=size,
        **{"widths": WIDTHS[backbone], **SMALL, **options},
    )


def _images(size=SIZE, count=2):
    return np.random.default_rng(0).random((count, *size, 3), np.float32)


@functools.cache
def _program(module):
    return jax.jit(module.apply, compiler_options=FAST)


def _ours(module, variables, images):
    with jax.default_matmul_precision("highest"):
        return _program(module)(variables, images)


@both_backbones
def test_parameters_and_maps_are_the_published_ones(backbone):
    for scales, wanted in ((2, (55, 74)), (3, (109, 147))):
        module = zoo.create_module(f"eigen_fergus2015_{backbone}", scales=scales)
        images = zoo.example_input(module)
        assert images.shape == (1, 228, 304, 3)
        shapes = jax.eval_shape(module.init, jax.random.key(0), images)
        out = jax.eval_shape(module.apply, shapes, images)
        assert (out.shape, out.dtype) == ((1, *wanted, 1), jnp.float32)
    params = shapes["params"]
    assert (
        sum(x.size for x in jax.tree.leaves(params["backbone"]))
        == (BACKBONES[backbone])
    )
    decoder = {k: sum(x.size for x in v.values()) for k, v in params["decoder"].items()}
    assert decoder == {"full1": FULL1[backbone], **DECODER}


def _torch(params, images, features, scales, classes):
    """Written from the paper, from the last map of the classifier on."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    mean, deviation = IMAGENET
    pixels = ((images - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2)
    pixels = torch.tensor(pixels.copy())

    def convolve(x, name, **options):
        kernel, bias = (torch.tensor(params[name][k]) for k in ("kernel", "bias"))
        return functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, **options)

    def multiply(x, name):
        kernel, bias = (torch.tensor(params[name][k]) for k in ("kernel", "bias"))
        return (x @ kernel.flatten(0, -2) + bias).relu()

    rows, columns = (side // 16 for side in images.shape[1:3])
    size = [((side - 9) // 2 + 1) // 2 for side in images.shape[1:3]]
    x = multiply(multiply(torch.tensor(features).flatten(1), "full1"), "full2")
    x = x.unflatten(1, (rows, columns, -1)).permute(0, 3, 1, 2)
    x = functional.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)
    beyond = [max(n - side, 0) for n, side in zip(size, x.shape[2:], strict=True)]
    x = functional.pad(x, (0, beyond[1], 0, beyond[0]), mode="replicate")
    x = x[:, :, : size[0], : size[1]]
    first = functional.max_pool2d(convolve(pixels, "scale2_1", stride=2).relu(), 2)
    x = torch.cat([x, first], 1)
    for i in (2, 3, 4):
        x = convolve(x, f"scale2_{i}", padding=2).relu()
    x = convolve(x, "scale2_head", padding=2)
    if scales == 3:
        first = convolve(pixels, "scale3_1", stride=2).relu()
        first = functional.max_pool2d(first, 2, 1)
        rows, columns = (2 * side - 1 for side in size)
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        x = torch.cat([z[:, :, :rows, :columns] for z in (x, first)], 1)
        for i in (2, 3):
            x = convolve(x, f"scale3_{i}", padding=2).relu()
        x = convolve(x, "head", padding=2)
    return x.permute(0, 2, 3, 1).numpy()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("backbone", "scales", "classes", "size"),
    [
        ("alexnet", 2, 1, SIZE),
        ("alexnet", 3, 1, SIZE),
        ("alexnet", 3, 2, (87, 66)),  # 87 has 40 rows behind the first step, an even
        ("vgg16", 3, 1, (228, 304)),
    ],
)
def test_numbers_are_those_of_pytorch(backbone, scales, classes, size):
    module = _module(backbone, size, scales=scales, num_classes=classes)
    variables, images = peers.random_variables(module), _images(size)
    inner = {"params": variables["params"]["backbone"]}
    pyramid = jax.jit(module.backbone.clone(parent=None).apply)(inner, images)
    features = np.asarray(pyramid[32])
    theirs = _torch(variables["params"]["decoder"], images, features, scales, classes)
    assert theirs.std() > 0.1
    assert peers.relative_error(_ours(module, variables, images), theirs) < 1e-5


def test_the_last_scale_learns_alone_on_request():
    module = _module(is_joint=False)
    variables = peers.random_variables(module)

    def loss(params):
        return ((module.apply({"params": params}, _images()) - 1) ** 2).sum()

    slopes = jax.jit(jax.grad(loss), compiler_options=FAST)(variables["params"])
    moved = {
        path[1].key
        for path, slope in jax.tree_util.tree_leaves_with_path(slopes)
        if np.abs(slope).max() > 0
    }
    assert moved == {"scale3_1", "scale3_2", "scale3_3", "head"}


@pytest.mark.parametrize("scales", [2, 3])
def test_numbers_lie_where_the_grid_says(scales):
    # Scale 3 repeats the numbers of scale 2; without those its window is its own.
    module = _module(scales=scales, first_widths=(24, 24), width=12)
    variables = peers.random_variables(module)
    decoder = variables["params"]["decoder"]
    for name in ("full2", *(["scale2_head"] if scales == 3 else [])):
        decoder[name] = jax.tree.map(np.zeros_like, decoder[name])
    (first, step), (row, column) = module.grid, (8, 13)

    def number(images):
        return module.apply(variables, images)[:, row, column].sum()

    images = _images((228, 304), 2)[:, : SIZE[0], : SIZE[1]]
    slope = jax.jit(jax.grad(number), compiler_options=FAST)(images)
    for axis, place in ((1, row), (2, column)):
        others = tuple(a for a in range(4) if a != axis)
        (seen,) = np.nonzero(np.abs(slope).sum(others))
        assert (seen.min() + seen.max()) / 2 == first + step * place


def test_the_first_scale_starts_from_a_classifier():
    module = _module("vgg16")
    rng, arrays, given = np.random.default_rng(0), {}, 3
    plan = zip(WIDTHS["vgg16"], (2, 2, 3, 3, 3), strict=True)
    place = 0
    for width, count in plan:
        for _ in range(count):
            arrays[f"features.{place}.weight"] = rng.normal(size=(width, given, 3, 3))
            arrays[f"features.{place}.bias"] = rng.normal(size=width)
            given, place = width, place + 2
        place += 1
    arrays["classifier.0.weight"] = np.zeros((3, 3))
    found = renaming.variables(arrays, module, layouts.of(module), skip=("decoder/*",))
    kernel = found["params"]["backbone"]["conv5_3"]["kernel"]
    wanted = arrays["features.28.weight"].transpose(2, 3, 1, 0)
    np.testing.assert_allclose(kernel, wanted, rtol=1e-6)
    with pytest.raises(errors.UserError, match="No names of public checkpoints"):
        layouts.of(_module("alexnet"))


def test_training_leaves_features_out():
    module = _module()
    variables = peers.random_variables(module)
    run = functools.partial(module.apply, train=True)
    draw = jax.jit(lambda key: run(variables, _images(), rngs={"dropout": key}))
    one, two = (draw(jax.random.key(seed)) for seed in (0, 1))
    assert np.abs(one - two).max() > 1e-2


def test_images_of_other_sizes_are_refused():
    with pytest.raises(errors.UserError, match=r"76 rows and 101 columns.*228 and 304"):
        jax.eval_shape(_module().init, jax.random.key(0), _images((228, 304)))


def test_other_scales_are_refused():
    with pytest.raises(errors.UserError, match="map of scale 2 or 3, got 1"):
        _module(scales=1)
