"""Arrays that fit a network but mean something else there are refused."""

import ast
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from dpjax import config, errors
from dpjax.cli import convert, experiments
from dpjax.models import zoo
from dpjax.tasks import restoration, segmentation
from dpjax.training import release
from dpjax.weights import matching, meanings, store
from tests import peers

WIDTHS = {"widths": (4,) * 5}
# Where torchvision's VGG16 has its convolutions.
PLACES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
STREETS = {
    "backbone": "wide_resnet_16",
    "width": 0.25,
    "num_classes": 11,
    "path_widths": (256, 128, 128, 128),
}


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    """A narrow VGG16 of torchvision, converted."""
    folder = tmp_path_factory.mktemp("converted")
    rng = np.random.default_rng(0)
    arrays = {}
    for i, place in enumerate(PLACES):
        shape = (4, 4 if i else 3, 3, 3)
        arrays[f"features.{place}.weight"] = rng.normal(size=shape)
        arrays[f"features.{place}.bias"] = rng.normal(size=4)
    np.savez(folder / "vgg16.npz", **arrays)

    def make(model, *options, skip):
        output = folder / f"{model}{len(options)}.safetensors"
        told = ("--option", "widths=[4,4,4,4,4]", "num_classes=3", *options)
        source = str(folder / "vgg16.npz")
        convert.main([model, source, "-o", str(output), "--skip", skip, *told])
        return output

    return make


def _run(name, options, start, skip=()):
    task = restoration.Restoration() if "rednet" in name else segmentation.Segmentation
    return config.Experiment(
        task=task if "rednet" in name else task(),
        model=config.Model(name, options),
        data=config.Data(("x:train",), ("x:test",), (64, 64), 8),
        optim=config.Optim(),
        evaluation=config.Evaluation("whole"),
        total_steps=1,
        init_from=str(start),
        init_skip=skip,
    )


def _start(run):
    module = zoo.create_module(run.model.name, **run.model.options)
    return release.starting_variables(run, module)


def _refused(run):
    """The lines of the options, and the run once the flags are passed."""
    with pytest.raises(errors.UserError, match="but mean something else") as caught:
        _start(run)
    _, *lines, advice = str(caught.value).splitlines()
    flags = shlex.split(advice.removeprefix("Pass "))
    return lines, experiments.override(run, flags, "train.py")


def test_converted_weights_are_refused_where_images_are_fed_otherwise(vgg16):
    path = vgg16("vgg16", skip="head/*")
    options = {**WIDTHS, "num_classes": 3, "fc_width": 4}
    run = _run("deeplab_largefov_vgg16", options, path, ("decoder/*", "head/*"))
    lines, mended = _refused(run)
    assert lines == ["  input_style: 'imagenet' there, 'caffe_deeplab' here"]
    # The pools that DeepLab has besides are what its authors put on these weights.
    found = _start(mended)
    np.testing.assert_array_equal(
        found["params"]["backbone"]["conv1_1"]["kernel"],
        store.load(path).variables["params"]["backbone"]["conv1_1"]["kernel"],
    )


def test_a_card_that_names_another_style_is_believed(vgg16, capsys):
    path = vgg16("deeplab_largefov_vgg16", "fc_width=4", skip="*decoder/*")
    assert "--option input_style=imagenet" in capsys.readouterr().err
    options = {**WIDTHS, "num_classes": 3, "fc_width": 4}
    assert _start(_run("deeplab_largefov_vgg16", options, path))
    right = ("fc_width=4", "input_style=imagenet")
    path = vgg16("deeplab_largefov_vgg16", *right, skip="*decoder/*")
    assert "warning" not in capsys.readouterr().err
    lines, _ = _refused(_run("deeplab_largefov_vgg16", options, path))
    assert lines == ["  input_style: 'imagenet' there, 'caffe_deeplab' here"]


def test_released_restorers_say_where_their_skips_are():
    run = _run("rednet10", {}, "rednet10-denoise-gray")
    lines, mended = _refused(run)
    assert lines == ["  skip_every: 2 there, 0 here"]
    assert mended.model.options == {"skip_every": 2}
    assert _start(mended)
    changed = {"skip_every": 2, "relu_before_sum": False}
    lines, mended = _refused(_run("rednet10", changed, "rednet10-denoise-gray"))
    assert lines == ["  relu_before_sum: True there, False here"]
    assert mended.model.options == {"skip_every": 2, "relu_before_sum": True}


def test_claims_that_are_false_are_passed_as_such(tmp_path):
    run = _run("rednet10", {"widths": 2}, tmp_path / "given.safetensors")
    model = config.Model("rednet10", {"widths": 2, "global_residual": False})
    variables = peers.random_variables(zoo.create_module("rednet10", widths=2))
    store.save(run.init_from, variables, {"model": config.encode(model)})
    lines, mended = _refused(run)
    assert lines == ["  global_residual: False there, True here"]
    assert mended.model.options == {"widths": 2, "global_residual": False}


def test_only_parts_that_are_taken_are_looked_at():
    weights, name = "lwrefinenet-camvid", "refinenet_lw50"
    assert _start(_run(name, STREETS, weights))
    other = {**STREETS, "pool_pad": "symmetric", "activation": "relu6"}
    lines, _ = _refused(_run(name, other, weights))
    assert lines == [
        "  pool_pad: 'same' there, 'symmetric' here",
        "  activation: 'relu' there, 'relu6' here",
    ]
    lines, _ = _refused(_run(name, other, weights, ("backbone/*",)))
    assert lines == ["  activation: 'relu' there, 'relu6' here"]
    lines, _ = _refused(_run(name, other, weights, ("decoder/*",)))
    assert lines == ["  pool_pad: 'same' there, 'symmetric' here"]


@pytest.mark.parametrize("model", [None, {"type": "Model", "name": "of_tomorrow"}])
def test_a_card_that_does_not_say_it_stops_nothing(tmp_path, model):
    run = _run("rednet10", {"channels": 1}, tmp_path / "given.safetensors")
    variables = store.load("rednet10-denoise-gray").variables
    store.save(run.init_from, variables, {} if model is None else {"model": model})
    assert _start(run)


BACKBONE = ("params/backbone/conv1/kernel",)


@pytest.mark.parametrize(
    ("given", "wanted", "expected"),
    [
        (
            ("resnet50", {}),
            ("refinenet50_official", {}),
            {
                "input_style": ("imagenet", "minus128"),
                "variant": ("v1.5", "v1"),
                "pool_pad": ("symmetric", "same"),
            },
        ),
        # A window more on odd maps moves no other.
        (
            ("resnet101", {"variant": "v1", "input_style": "caffe_deeplab"}),
            ("deeplab_v2_resnet101", {}),
            {},
        ),
        # What the name says of images stays when its backbone is another.
        (
            ("preact_resnet50", {}),
            ("refinenet50_official", {"backbone": "preact_resnet50"}),
            {"input_style": ("half", "minus128")},
        ),
        # Below a CRF, over superpixels, and with a trunk for each size.
        (
            ("resnet50", {}),
            ("dcnf_fcsp_refinenet50", {"trunk": "refinenet50_official"}),
            {
                "input_style": ("imagenet", "minus128"),
                "variant": ("v1.5", "v1"),
                "pool_pad": ("symmetric", "same"),
            },
        ),
        (
            ("resnet101", {"variant": "v1"}),
            ("refinenet101_2scale", {"crf": "exact"}),
            {"variant": ("v1", "v1.5")},
        ),
        (("vgg16", {}), ("fcn8s_vgg16", {"input_style": "imagenet"}), {}),
        (("wide_resnet_a", {}), ("wide_resnet_a1_fcn", {}), {}),
        (("resnet50", {}), ("resnet50", {"output_stride": 8, "norm": "frozen"}), {}),
    ],
)
def test_networks_within_networks_are_compared(given, wanted, expected):
    given, wanted = (
        zoo.create_module(name, **options) for name, options in (given, wanted)
    )
    assert meanings.differences(given, wanted, BACKBONE) == expected
    assert meanings.differences(given, wanted, ("params/head/fc/kernel",)) == {}


ROOT = Path(__file__).parents[2]
STARTS = [
    (path, found["start"], re.findall(r'"(.+?)"', found["skip"] or ""))
    for path in sorted((ROOT / "configs").glob("*/*.py"))
    for found in re.finditer(
        r"--init-from (?P<start>\S+)(?P<skip>[\s\\]+--init-skip(?:\s+\"[^\"]+\")+)?",
        ast.get_docstring(ast.parse(path.read_text())),
    )
]
PUBLIC = ("BACKBONE", "CNN_F", "VGG16", "RESNET50")
PREDECESSORS = {
    "RUN_OF_FCN32S": "fcn32s_voc2012",
    "RUN_OF_FCN16S": "fcn16s_voc2012",
    "RUN_OF_FCN8S": "fcn8s_voc2012",
}


@pytest.mark.parametrize(
    ("path", "start", "skip"),
    [
        pytest.param(*case, id=f"{case[0].stem}-{case[1]}")
        for case in STARTS
        if case[1] in (*PUBLIC, *PREDECESSORS) or case[1].endswith(".safetensors")
    ],
)
def test_configs_suit_the_weights_that_their_commands_start_from(path, start, skip):
    run = experiments.read_config(str(path))
    module = zoo.create_module(run.model.name, **run.model.options)
    if start in PREDECESSORS:
        before = experiments.read_config(str(path.with_stem(PREDECESSORS[start]))).model
        given = zoo.create_module(before.name, **before.options)
    elif start == "CNN_F":
        given = zoo.create_module("dcnf")
    else:
        options = {**zoo.list_options(run.model.name), **run.model.options}
        stem = start.removesuffix(".safetensors").lower()
        trunk = options.get("backbone", options.get("trunk"))
        given = zoo.create_module(stem if stem in zoo.list_backbones() else trunk)
    paths = (*BACKBONE, "params/decoder/fc6/kernel", "params/crf/beta")
    taken = [path for path in paths if not matching.is_skipped(path, skip)]
    assert BACKBONE[0] in taken
    assert meanings.differences(given, module, taken) == {}
