"""Settings of relative depth: what is refused, what papers say, what cards keep."""

import json
import math
import typing

import pytest

from dpjax import config, errors, tasks
from dpjax.cli import experiments
from dpjax.tasks import depth_bins, ordinal_pairs, relative_depth

POINTS = {"target": "points", "loss": "diw"}


def task_of(**changes):
    return relative_depth.RelativeDepth(**{"pairs": 60, **changes})


def experiment(task, model=None, protocol="dense"):
    return config.Experiment(
        task=task,
        model=model or config.Model("redweb_resnet50"),
        data=config.Data(("x",), ("y",), crop=(24, 32), batch_size=2),
        optim=config.Optim(),
        evaluation=config.Evaluation(protocol),
        total_steps=10,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "l1"}, "task.loss must be one of redweb, diw, sgr, rdis, affine_in"),
        (
            {"target": "disparity"},
            "loss must be one of rdis, diw, affine_invariant with a target of dispari",
        ),
        (
            {"target": "points", "loss": "rdis"},
            "one of diw, redweb, sgr with a target of points, which knows an order and",
        ),
        ({"target": "points", "loss": "affine_invariant"}, "one of diw, redweb, sgr"),
        ({"target": "metres"}, "task.target must be one of depth, disparity, points"),
        ({"pairs": 0}, "task.pairs must be at least 6"),
        ({**POINTS, "pairs": 0}, "task.pairs must be at least 1"),
        ({**POINTS, "sampler": "edges"}, "task.sampler must be left out with a target"),
        ({**POINTS, "threshold": 0.02}, "task.threshold must be left out with a targ"),
        ({**POINTS, "loss": "sgr", "gradient": 0.2}, "0 with a target of points"),
        ({"sampler": "hard"}, "task.sampler must be one of random, edges"),
        ({"threshold": 0.0}, "task.threshold must be above 0"),
        ({"keep": 0.0}, r"task.keep must be in \(0, 1\]"),
        (
            {"least_confidence": -0.1},
            r"least_confidence must be a share of .* \[0, 1\)",
        ),
        ({"least_confidence": 128.0}, r"in \[0, 1\), got 128.0. Change --task.least-"),
        ({"least_confidence": math.nan}, r"in \[0, 1\)"),
        ({"gradient": 0.2}, "0 but for sgr and affine_invariant"),
        ({"upsampling": "cubic"}, "half_pixel or align_corners"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, message):
    run = experiment(task_of(**changes))
    with pytest.raises(errors.UserError, match=message):
        run.task.check(run)


@pytest.mark.parametrize("kind", [relative_depth.RelativeDepth, depth_bins.DepthBins])
def test_what_may_be_typed_is_what_is_taken(kind):
    # The command line offers what the type names.
    assert set(typing.get_type_hints(kind)["upsampling"].__args__) == {
        "half_pixel",
        "align_corners",
    }


def test_what_is_left_to_the_paper_can_be_typed():
    words = ["--task.loss", "sgr", "--task.threshold", "0.1", "--task.keep", "None"]
    found = experiments.override(experiment(task_of(keep=0.5)), words, "train.py")
    assert (found.task.threshold, found.task.sampler, found.task.keep) == (
        0.1,
        None,
        None,
    )


def test_networks_of_other_numbers_are_refused():
    task = task_of()
    task.check(experiment(task))
    task.check(experiment(task, protocol="points"))
    for model, message in (
        (config.Model("rednet10"), "Relative depth wants a network that gives one num"),
        (config.Model("redweb_resnet50", {"num_classes": 9}), "the network gives 9"),
        (config.Model("redweb_resnet50", {"crf": "grid"}), "the CRF 'grid' joins"),
    ):
        with pytest.raises(errors.UserError, match=message):
            task.check(experiment(task, model))
    with pytest.raises(errors.UserError, match="relative_depth protocol"):
        task.check(experiment(task, protocol="nyu_eigen"))


@pytest.mark.parametrize("loss", ordinal_pairs.Loss.__args__)
def test_what_a_loss_does_not_say_is_that_of_its_paper(loss):
    order = task_of(loss=loss).order
    found = (order.threshold, order.sampler, order.keep)
    wanted = {"sgr": (0.03, "edges", 1.0), "redweb": (0.02, "random", 0.75)}
    assert found == wanted.get(loss, (0.02, "random", 1.0))
    order = task_of(loss=loss, threshold=0.1, sampler="random", keep=0.5).order
    assert (order.threshold, order.sampler, order.keep) == (0.1, "random", 0.5)


def test_a_card_keeps_the_task():
    run = experiment(task_of(loss="sgr", gradient=0.2))
    written = json.loads(json.dumps(config.encode(run)))
    assert config.decode(written["task"], tasks.TYPES) == run.task


def test_a_card_from_before_papers_were_asked_keeps_its_numbers():
    written = {
        "type": "RelativeDepth",
        "loss": "sgr",
        "target": "depth",
        "pairs": 3000,
        "sampler": "random",
        "threshold": 0.02,
        "keep": 0.75,
        "gradient": 0.0,
        "least_confidence": 0.0,
        "upsampling": "align_corners",
        "size": [448, 448],
        "zooms": [1.0, 1.5],
        "mirror": True,
        "jitter": 0.0,
    }
    found = config.decode(written, tasks.TYPES)
    found.check(experiment(found))
    assert (found.order.threshold, found.order.sampler) == (0.02, "random")
