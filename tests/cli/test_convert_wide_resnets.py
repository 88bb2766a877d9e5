"""Weights in the names of the public wide ResNets: what the converter makes of them."""

import jax
import numpy as np
import pytest
from flax import traverse_util

from dpjax import errors
from dpjax.cli import convert
from dpjax.models import zoo
from dpjax.weights import store

NARROW = {"width": 1 / 16, "num_classes": 4}
LEAVES = {
    "kernel": "weight",
    "scale": "weight",
    "bias": "bias",
    "mean": "running_mean",
    "var": "running_var",
}
PSA = {
    "bn_a": "bn_branch2a",
    "conv_a": "conv_branch2a",
    "bn_b": "bn_branch2b1",
    "conv_b": "conv_branch2b1",
    "bn_c": "bn_branch2b2",
    "conv_c": "conv_branch2b2",
    "proj": "conv_branch1",
}
WIDER = {
    "conv_a": "convs.conv1",
    "conv_b": "convs.conv2",
    "conv_c": "convs.conv3",
    "proj": "proj_conv",
}


def psa(path):
    """The name of a layer in psa."""
    unit, *layer = path
    if not layer:
        return {"conv1a": "conv1a", "bn_out": "bn7"}[unit]
    return f"{unit.removesuffix('_0')}.{PSA[layer[0]]}"


def wider(end):
    """The names of layers in inplace_abn, where a normalisation ends so."""
    norms = {"bn_a": "bn1", "bn_b": "convs.bn2", "bn_c": "convs.bn3"}

    def name(path):
        unit, *layer = path
        if not layer:
            return {"conv1a": "mod1.conv1", "bn_out": f"bn_out{end}"}[unit]
        level, i = unit.removeprefix("b").split("_")
        inner = norms[layer[0]] + end if layer[0] in norms else WIDER[layer[0]]
        return f"mod{level}.block{int(i) + 1}.{inner}"

    return name


def write(path, model, name):
    """Writes zeros as arrays of a network under the names of another code."""
    module = zoo.create_module(model, **NARROW)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    arrays = {}
    for place, leaf in traverse_util.flatten_dict(shapes).items():
        _, part, *layer, kind = place
        there = "classifier.fc" if part == "head" else name(layer)
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[len(leaf.shape)]
        shape = [leaf.shape[axis] for axis in axes]
        if part != "head" or name is not psa:
            arrays[f"{there}.{LEAVES[kind]}"] = np.zeros(shape, np.float32)
    np.savez(path, **arrays)


def run(tmp_path, model, name, *options, more=()):
    write(tmp_path / "given.npz", model, name)
    words = [f"{key}={value}" for key, value in NARROW.items()]
    output = tmp_path / "out.safetensors"
    files = (str(tmp_path / "given.npz"), "-o", str(output))
    convert.main([model, *files, "--option", *words, *options, *more])
    return output


@pytest.mark.parametrize(
    ("model", "side"), [("wide_resnet_f", 56), ("wide_resnet_c", 112)]
)
def test_the_task_has_the_side_of_the_paper(tmp_path, model, side):
    output = run(tmp_path, model, psa, more=("--skip", "head/*"))
    assert store.load(output).card["task"]["side"] == side


NVIDIA = ("pool_pad=symmetric", "dilate_first=true")


@pytest.mark.parametrize(
    ("model", "name", "options", "wanted"),
    [
        ("wide_resnet_16", wider(".0"), (), NVIDIA),
        ("wide_resnet_16", wider(".0"), NVIDIA[1:], NVIDIA[:1]),
        ("wide_resnet_16", wider(".0"), NVIDIA, ()),
        ("wide_resnet_16", psa, (), ("halving=conv",)),
        ("wide_resnet_a1", psa, (), ()),
        ("wide_resnet_a1", psa, ("dilate_first=true",), ("dilate_first=false",)),
    ],
)
def test_options_that_the_code_of_the_weights_implies_are_named(
    tmp_path, capsys, model, name, options, wanted
):
    more = ("--skip", "head/*") if name is psa else ()
    run(tmp_path, model, name, *options, more=more)
    said = capsys.readouterr().err
    if wanted:
        assert said.startswith("warning: ")
        assert f"--option {' '.join(wanted)}" in said
        assert said.count("\n") == 1
    else:
        assert said == ""


def test_weights_of_another_activation_are_refused(tmp_path):
    with pytest.raises(
        errors.DataError, match=r"given\.npz.*\|gamma\|.*bn1\.0\.weight"
    ):
        run(tmp_path, "wide_resnet_16", wider(""))
    assert not (tmp_path / "out.safetensors").exists()
