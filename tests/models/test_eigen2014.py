"""The network of 2014 against its published table and a rendering in PyTorch."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import zoo
from tests import peers

# Kernel and bias of each layer (specification of depth, section 8), with maps of 6x8
# pixels before the first matrix and 55x74 behind the second.
COUNTS = {
    "backbone": {
        "conv1": 34_944,
        "conv2": 614_656,
        "conv3": 885_120,
        "conv4": 1_327_488,
        "conv5": 884_992,
    },
    "decoder": {
        "fc6": 50_335_744,
        "coarse": 16_674_790,
        "fine1": 15_372,
        "fine2": 102_464,
        "head": 1_601,
    },
}
SMALL = {"widths": (4, 5, 6, 7, 8), "fc_width": 9, "fine_widths": (6, 5)}
IMAGENET = (np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]))
FAST = {"xla_backend_optimization_level": 0}


def _module(size=(76, 101), **options):
    return zoo.create_module("eigen2014", image_size=size, **{**SMALL, **options})


def _images(size=(76, 101), count=2):
    return np.random.default_rng(0).random((count, *size, 3), np.float32)


@functools.cache
def _program(module):
    return jax.jit(module.apply, compiler_options=FAST)


def _ours(module, variables, images):
    with jax.default_matmul_precision("highest"):
        return _program(module)(variables, images)


def test_parameters_are_the_published_ones():
    module = zoo.create_module("eigen2014")
    images = zoo.example_input(module)
    assert images.shape == (1, 228, 304, 3)
    shapes = jax.eval_shape(module.init, jax.random.key(0), images)
    counts = {
        part: {
            name: sum(x.size for x in layer.values()) for name, layer in tree.items()
        }
        for part, tree in shapes["params"].items()
    }
    assert counts == COUNTS
    out = jax.eval_shape(module.apply, shapes, images)
    assert (out.shape, out.dtype) == ((1, 55, 74, 1), jnp.float32)


def _torch(params, images, scales, classes):
    """Written from the paper, layer by layer."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    mean, deviation = IMAGENET
    pixels = ((images - mean) / deviation).astype(np.float32).transpose(0, 3, 1, 2)
    pixels = torch.tensor(pixels.copy())

    def layer(part, name):
        kernel, bias = (torch.tensor(params[part][name][k]) for k in ("kernel", "bias"))
        if kernel.ndim == 4:
            kernel = kernel.permute(3, 2, 0, 1)
        return (kernel if kernel.ndim == 4 else kernel.T), bias

    x = functional.conv2d(pixels, *layer("backbone", "conv1"), stride=4).relu()
    x = functional.max_pool2d(x, 2)
    x = functional.conv2d(x, *layer("backbone", "conv2"), padding=2).relu()
    x = functional.max_pool2d(x, 2)
    x = functional.conv2d(x, *layer("backbone", "conv3"), padding=1).relu()
    x = functional.conv2d(x, *layer("backbone", "conv4"), padding=1).relu()
    x = functional.conv2d(x, *layer("backbone", "conv5"), stride=2).relu()
    kernel, bias = layer("decoder", "fc6")
    x = functional.linear(x.flatten(1), kernel.flatten(1), bias).relu()
    x = functional.linear(x, *layer("decoder", "coarse"))
    first = None
    if scales == 2:
        first = functional.conv2d(pixels, *layer("decoder", "fine1"), stride=2).relu()
        first = functional.max_pool2d(first, 2)
    rows, columns = [((side - 9) // 2 + 1) // 2 for side in images.shape[1:3]]
    x = x.unflatten(1, (rows, columns, classes)).permute(0, 3, 1, 2)
    if scales == 2:
        x = torch.cat([first, x], 1)
        x = functional.conv2d(x, *layer("decoder", "fine2"), padding=2).relu()
        x = functional.conv2d(x, *layer("decoder", "head"), padding=2)
    return x.permute(0, 2, 3, 1).numpy()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("scales", "classes", "size"),
    [(1, 1, (76, 101)), (2, 1, (76, 101)), (2, 3, (87, 66)), (2, 1, (228, 304))],
)
def test_numbers_are_those_of_pytorch(scales, classes, size):
    module = _module(size, scales=scales, num_classes=classes)
    variables, images = peers.random_variables(module), _images(size)
    theirs = _torch(variables["params"], images, scales, classes)
    assert theirs.std() > 0.1
    assert peers.relative_error(_ours(module, variables, images), theirs) < 1e-5


def _slopes(module, variables):
    def loss(params):
        numbers = module.apply({"params": params}, _images(), train=False)
        return ((numbers - 1) ** 2).sum()

    slopes = jax.jit(jax.grad(loss), compiler_options=FAST)(variables["params"])
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.abs(slope).max()
        for path, slope in jax.tree_util.tree_leaves_with_path(slopes)
    }


def test_the_fine_network_learns_alone_on_request():
    variables = peers.random_variables(_module())
    slopes = _slopes(_module(is_joint=False), variables)
    fine = {k for k in slopes if k.split("/")[1] in ("fine1", "fine2", "head")}
    assert {k for k, slope in slopes.items() if slope > 0} == fine
    assert len(fine) == 6
    assert min(_slopes(_module(), variables).values()) > 0


def test_the_weights_of_the_coarse_network_fit_the_fine_one():
    coarse = peers.random_variables(_module(scales=1))["params"]
    fine = peers.random_variables(_module())["params"]
    assert set(fine["decoder"]) - set(coarse["decoder"]) == {"fine1", "fine2", "head"}
    fine["decoder"] |= coarse["decoder"]
    fine["backbone"] = coarse["backbone"]
    # A fine network that hands the coarse map on: its channel is the last.
    kernel = np.zeros_like(fine["decoder"]["fine2"]["kernel"])
    kernel[2, 2, -1, :2] = 1, -1  # rectified twice, with both signs
    head = np.zeros_like(fine["decoder"]["head"]["kernel"])
    head[2, 2, :2, 0] = 1, -1
    for name, value in (("fine2", kernel), ("head", head)):
        bias = np.zeros_like(fine["decoder"][name]["bias"])
        fine["decoder"][name] = {"kernel": value, "bias": bias}
    images = _images()
    wanted = _ours(_module(scales=1), {"params": coarse}, images)
    found = _ours(_module(), {"params": fine}, images)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_numbers_lie_where_the_grid_says():
    module = _module(is_joint=False, fine_widths=(32, 16))
    variables = peers.random_variables(module)
    (first, step), (row, column) = module.grid, (7, 9)

    def number(images):
        return module.apply(variables, images)[:, row, column].sum()

    slope = jax.jit(jax.grad(number), compiler_options=FAST)(_images(count=4))
    for axis, place in ((1, row), (2, column)):
        others = tuple(a for a in range(4) if a != axis)
        (seen,) = np.nonzero(np.abs(slope).sum(others))
        assert (seen.min() + seen.max()) / 2 == first + step * place


def test_training_leaves_features_out():
    module = _module()
    variables = peers.random_variables(module)
    run = functools.partial(module.apply, train=True)
    draw = jax.jit(lambda key: run(variables, _images(), rngs={"dropout": key}))
    one, two = (draw(jax.random.key(seed)) for seed in (0, 1))
    assert np.abs(one - two).max() > 1e-2
    none = _module(dropout=0.0).apply
    same = jax.jit(functools.partial(none, train=True))(variables, _images())
    np.testing.assert_allclose(same, _ours(module, variables, _images()), rtol=1e-4)


@pytest.mark.parametrize("size", [(75, 101), (101, 76), (228, 304)])
def test_images_of_other_sizes_are_refused(size):
    module = _module()
    message = rf"76 rows and 101 columns.*got {size[0]} and {size[1]}\. Resize"
    with pytest.raises(errors.UserError, match=message):
        jax.eval_shape(module.init, jax.random.key(0), _images(size))


@pytest.mark.parametrize("shape", [(76, 101, 3), (1, 76, 101, 2)])
def test_images_of_other_forms_are_refused(shape):
    with pytest.raises(errors.UserError, match=r"RGB images \[b, h, w, 3\]"):
        jax.eval_shape(_module().init, jax.random.key(0), jnp.zeros(shape))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (63, 304)}, r"columns from 64.*got \(63, 304\)"),
        ({"image_size": 228}, "such as .228, 304., got 228"),
        ({"image_size": (228.0, 304)}, r"got \(228.0, 304\)"),
        ({"scales": 3}, "1 or 2 scales, got 3"),
        ({"widths": (96, 256)}, r"five convolutions.*got \(96, 256\)"),
        ({"num_classes": 0}, "at least 1, got 0"),
        ({"backbone": "vgg16"}, "Unknown option of eigen2014 'backbone'"),
    ],
)
def test_options_that_are_no_network_are_refused(options, message):
    with pytest.raises(errors.UserError, match=message):
        zoo.create_module("eigen2014", **options)
