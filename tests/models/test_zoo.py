"""Every name of the zoo builds, differentiates and refuses what it does not know."""

import pathlib
import runpy
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax import numpy as jnp

import dpjax
from dpjax import errors
from dpjax.models import zoo

RESTORATION = zoo.list_models("rednet*")
BACKBONES = zoo.list_backbones()
SEGMENTERS = zoo.list_segmenters()
DEPTH = zoo.list_depth_networks()


@pytest.mark.parametrize("name", RESTORATION)
@pytest.mark.parametrize("options", [{}, {"channels": 3, "stride": 2}])
def test_every_model_maps_images_to_images(name, options):
    module = zoo.create_module(name, compute_dtype="bfloat16", **options)
    example = zoo.example_input(module)
    variables = jax.eval_shape(module.init, jax.random.key(0), example)
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    images = jax.ShapeDtypeStruct((2, 9, 14, module.channels), jnp.float32)
    out = jax.eval_shape(module.apply, variables, images)
    assert (out.shape, out.dtype) == (images.shape, images.dtype)
    assert example.shape[1] % module.stride == 0
    assert module.halo == (module.receptive_field - 1) // 2


def test_every_model_is_of_a_known_kind():
    scorers = {*SEGMENTERS, *DEPTH, *zoo.list_superpixel_networks()}
    scorers |= set(zoo.list_disparity_networks())
    assert set(zoo.list_models()) == {*RESTORATION, *BACKBONES, *scorers}


@pytest.mark.parametrize("name", zoo.list_superpixel_networks())
def test_every_network_over_superpixels_says_a_depth_for_each(name):
    module = zoo.create_module(name, compute_dtype="bfloat16")
    example = zoo.example_input(module)
    found, variables = jax.eval_shape(
        module.init_with_output, jax.random.key(0), example
    )
    count = example["region_valid"].shape
    assert found["mean"].shape == found["deviation"].shape == count
    assert found["mean"].dtype == jnp.float32
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_gives_a_pyramid_and_every_classifier_scores(name):
    module = zoo.create_module(name, compute_dtype="bfloat16", num_classes=7)
    example = zoo.example_input(module)
    variables = jax.eval_shape(module.init, jax.random.key(0), example)
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    side = example.shape[1] + 96
    images = jax.ShapeDtypeStruct((2, side, side + 32, 3), jnp.float32)
    out = jax.eval_shape(module.apply, variables, images)
    assert (out.shape, out.dtype) == ((2, 7), jnp.float32)
    assert not module.is_dense
    backbone = zoo.create_backbone(name, compute_dtype="bfloat16")
    inner = {kind: tree["backbone"] for kind, tree in variables.items()}
    pyramid = jax.eval_shape(backbone.apply, inner, images)
    assert sorted(pyramid) == list(pyramid)
    for stride, features in pyramid.items():
        assert features.dtype == jnp.bfloat16
        for got, whole in zip(features.shape[1:3], images.shape[1:3], strict=True):
            assert abs(got - whole / stride) <= 4  # unpadded layers lose a few


@pytest.mark.parametrize("name", ["rednet10", "rednet20", "rednet30"])
def test_every_parameter_has_a_gradient(name):
    module, variables = zoo.create_model(name, widths=8)
    x = np.random.default_rng(0).random((2, 12, 12, 1), np.float32)

    def loss(variables):
        return jnp.mean((module.apply(variables, x) - x) ** 2)

    grads = jax.jit(jax.grad(loss))(variables)
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path


def test_the_seed_decides_the_parameters():
    _, first = zoo.create_model("rednet10", widths=4, seed=1)
    _, again = zoo.create_model("rednet10", widths=4, seed=1)
    _, other = zoo.create_model("rednet10", widths=4, seed=2)
    kernel = lambda v: np.asarray(v["params"]["conv2"]["kernel"])  # noqa: E731
    np.testing.assert_array_equal(kernel(first), kernel(again))
    assert np.abs(kernel(first) - kernel(other)).min() > 0


def test_layers_start_with_unrelated_kernels():
    _, variables = zoo.create_model("rednet20")
    kernels = [
        np.asarray(layer["kernel"]).ravel()
        for layer in variables["params"].values()
        if layer["kernel"].shape == (3, 3, 64, 64)
    ]
    assert len(kernels) == 18
    correlation = np.corrcoef(kernels) - np.eye(18)
    assert np.abs(correlation).max() < 0.03  # 36,864 numbers: five deviations
    for kernel in kernels:  # He: variance 2 / fan-in
        assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.02)


def test_names_are_found_by_pattern():
    assert zoo.list_models("*_wide") == ["rednet20_wide", "rednet30_wide"]
    assert zoo.list_models("nothing*") == []
    assert sorted(RESTORATION) == RESTORATION


def test_options_of_a_name_are_listed_with_their_values():
    options = zoo.list_options("rednet10")
    assert options["depth"] == 10
    assert options["skip_every"] == 0
    assert not {"dtype", "parent", "name"} & options.keys()


def test_published_sides_are_those_of_the_configs_and_papers():
    folder = pathlib.Path(__file__).parents[2] / "configs" / "classification"
    seen = set()
    for path in folder.glob("*_imagenet.py"):
        config = runpy.run_path(str(path))["get_config"]()
        assert zoo.published_side(config.model.name) == config.task.side, path
        seen.add(config.model.name)
    assert len(seen) > 8
    assert zoo.published_side("inception_v4") == 299
    assert zoo.published_side("inception_resnet_v2") == 299
    with pytest.raises(errors.UserError, match="Unknown backbone 'rednet30'"):
        zoo.published_side("rednet30")


def test_presets_have_the_published_widths():
    widths = {name: zoo.create_module(name).widths for name in RESTORATION}
    assert widths["rednet30"] == 64
    assert widths["rednet30_128"] == 128
    assert tuple(widths["rednet20_wide"]) == (128,) * 4 + (256,) * 3 + (512,) * 3
    assert tuple(widths["rednet30_wide"]) == (128,) * 6 + (256,) * 6 + (512,) * 3


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("rednet3O", {}, "Unknown model 'rednet3O'.*rednet30"),
        ("resnet", {}, "Unknown model .resnet.. Did you mean resnet"),
        ("rednet30", {"chanels": 3}, "Unknown option of rednet30 'chanels'.*channels"),
        ("rednet30", {"dtype": "x"}, "Unknown option of rednet30 'dtype'"),
        ("rednet30", {"compute_dtype": "bf16"}, "compute_dtype 'bf16'.*bfloat16"),
        ("rednet30", {"widths": (64, 64)}, "wants 15 widths"),
        ("rednet30", {"widths": "sixty-four"}, "wants 15 widths"),
        ("rednet30", {"channels": "x"}, "channels of rednet30 wants int, got 'x'"),
        ("rednet30", {"stride": True}, "stride of rednet30 wants int, got True"),
        ("rednet30", {"global_residual": 1}, "wants bool, got 1"),
        ("resnet50", {"num_classes": 0}, "num_classes of resnet50 wants at least 1"),
        ("vgg16", {"num_classes": -1}, "wants at least 1, got -1"),
        ("vgg16", {"dropout": 1.5}, "dropout of vgg16 wants a share.*got 1.5"),
        ("resnet50", {"dropout": 1}, "below 1, got 1"),
        ("mobilenet_v2", {"width": float("nan")}, "width of .* finite number, got nan"),
        ("wide_resnet_a", {"width": float("inf")}, "finite number, got inf"),
        ("resnet50", {"blocks": (3, 4, 6)}, r"4 positive .*blocks.*got \(3, 4, 6\)"),
        ("resnet50", {"blocks": (0, 0, 0, 0)}, "4 positive counts"),
        ("resnet50", {"blocks": 3}, "4 positive counts.*got 3"),
        ("inception_v4", {"blocks": (4, 7)}, "3 positive counts"),
        ("resnet50", {"pool_pad": "smae"}, "pool_pad of resnet50 'smae'.*same"),
        ("resnet50", {"input_style": "imagnet"}, "'imagnet'. Did you mean imagenet"),
        ("resnet50", {"norm": "synch"}, "norm of resnet50 'synch'. Did you mean sync"),
        ("vgg16", {"norm": 3}, "norm of vgg16 '3'. Known: device, frozen, sync"),
    ],
)
def test_misspelt_requests_name_the_nearest(name, options, message):
    with pytest.raises(errors.UserError, match=message):
        zoo.create_module(name, **options)


def test_backbones_are_checked_as_classifiers_are():
    with pytest.raises(errors.UserError, match="norm of resnet50 'synch'"):
        zoo.create_backbone("resnet50", norm="synch")


def test_the_package_names_its_entry_points():
    assert dpjax.list_models is zoo.list_models
    assert dpjax.create_model is zoo.create_model
    assert {"Predictor", "create_model", "list_models"} <= set(dir(dpjax))
    with pytest.raises(AttributeError, match="no attribute 'create_modle'"):
        _ = dpjax.create_modle


def test_importing_the_package_loads_no_framework():
    code = (
        "import sys, dpjax; assert 'jax' not in sys.modules; print(dpjax.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
