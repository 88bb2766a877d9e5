"""Weights of one trunk that start the trunks of a network for several sizes."""

import chex
import jax
import numpy as np
import pytest
from flax import traverse_util

from dpjax import config, errors
from dpjax.models import zoo
from dpjax.tasks import depth, segmentation
from dpjax.training import release
from dpjax.weights import store, trunks
from tests import peers

SMALL = {"widths": (4, 4, 4, 4, 4)}
NARROW = {
    **SMALL,
    "backbone": "vgg16_bn",
    "path_widths": (4, 4),
    "path_units": 0,
    "block_units": 0,
    "input_scales": (1.2, 0.6),
}
NEW = ("decoder/*", "head/*")


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """Random weights of a narrow VGG-16 with batch statistics: file and variables."""
    module = zoo.create_module("vgg16_bn", num_classes=3, **SMALL)
    variables = peers.random_variables(module)
    path = tmp_path_factory.mktemp("trunk") / "vgg.safetensors"
    store.save(path, variables, {"model": config.encode(config.Model("vgg16_bn"))})
    return path, variables


def run_of(start, skip=NEW, name="refinenet50_2scale", **options):
    options = {**NARROW, "num_classes": 5, **options}
    is_depth = options["num_classes"] == 1
    return config.Experiment(
        task=depth.Depth() if is_depth else segmentation.Segmentation(),
        model=config.Model(name, options),
        data=config.Data(("x:train",), ("x:test",), (64, 96), 8),
        optim=config.Optim(),
        evaluation=config.Evaluation("all_pixels" if is_depth else "whole"),
        total_steps=1,
        init_from=str(start),
        init_skip=skip,
    )


def started(run):
    module = zoo.create_module(run.model.name, **run.model.options)
    return module, release.starting_variables(run, module)


def arrays_below(variables, folder):
    """Arrays of every collection whose path holds a folder, by the rest of it."""
    flat = traverse_util.flatten_dict(variables, sep="/")
    return {
        path.replace(f"/{folder}/", "/"): np.asarray(array)
        for path, array in flat.items()
        if f"/{folder}/" in path
    }


@pytest.mark.parametrize(
    ("name", "options", "sizes"),
    [
        ("refinenet50_2scale", {}, 2),
        ("refinenet50", {"input_scales": (1.0, 0.8, 0.5)}, 3),
        ("refinenet50", {"num_classes": 1, "crf": "grid"}, 2),
    ],
    ids=["two sizes", "three sizes", "below a crf"],
)
def test_a_classifier_starts_the_trunk_of_every_size(
    classifier, capsys, name, options, sizes
):
    path, given = classifier
    skip = (*NEW, "crf/*") if "crf" in options else NEW
    module, found = started(run_of(path, skip, name, **options))
    fresh = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    chex.assert_trees_all_equal_shapes_and_dtypes(found, fresh)
    wanted = arrays_below(given, "backbone")
    assert len(wanted) > 50  # statistics too
    names = [f"backbones_{i}" for i in range(sizes)]
    assert set(found["params"]["backbone"]) == set(names)
    for trunk in names:
        ours = arrays_below(found, f"backbone/{trunk}")
        assert ours.keys() == wanted.keys()
        for place, array in wanted.items():
            np.testing.assert_array_equal(ours[place], array, err_msg=place)
    said = capsys.readouterr().err
    assert f"{path}: each of {' and '.join(names)} has backbone/*" in said
    assert f"{path}: {sizes * len(wanted)} arrays of backbone/*; fresh: " in said


def test_trunks_that_start_alike_do_not_share_memory(classifier):
    _, found = started(run_of(classifier[0]))
    one, two = (
        jax.tree.leaves(found["params"]["backbone"][f"backbones_{i}"]) for i in (0, 1)
    )
    assert not any(np.shares_memory(a, b) for a, b in zip(one, two, strict=True))


def test_the_trunk_of_one_size_may_start_fresh(classifier):
    path, given = classifier
    _, found = started(run_of(path, (*NEW, "backbone/backbones_1/*")))
    wanted = arrays_below(given, "backbone")
    one, two = (arrays_below(found, f"backbone/backbones_{i}") for i in (0, 1))
    kernels = [place for place in wanted if place.endswith("kernel")]
    for place in kernels:
        np.testing.assert_array_equal(one[place], wanted[place])
        assert np.abs(two[place] - wanted[place]).max() > 0.01


def test_weights_that_fit_as_they_are_stay(classifier, tmp_path, capsys):
    run = run_of(classifier[0])
    module, variables = started(run)
    assert trunks.of_each_size(variables, module) is variables
    plain = zoo.create_module("refinenet50", **{**NARROW, "input_scales": (1.0,)})
    assert trunks.names(plain) == ()
    assert trunks.of_each_size(classifier[1], plain) is classifier[1]
    without = {"params": {"conv": {"bias": np.zeros(3)}}}
    assert trunks.of_each_size(without, module) is without
    path = tmp_path / "both.safetensors"
    store.save(path, variables, {"model": config.encode(run.model)})
    capsys.readouterr()
    _, again = started(run_of(path, ()))
    chex.assert_trees_all_equal(again, variables)
    assert capsys.readouterr().err == ""


def test_a_trunk_of_another_network_shows_where_it_differs(classifier):
    with pytest.raises(errors.UserError) as caught:
        started(run_of(classifier[0], widths=(4, 4, 4, 4, 6)))
    text = str(caught.value)
    assert "36 of 156 arrays differ" in text  # 18 of each trunk
    assert "backbone/backbones_0/" in text
