"""The benchmarks' shared parts; the measurements themselves need an idle machine."""

import importlib
import inspect
import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

from benchmarks import measure
from dpjax import config, errors
from dpjax.cli import startup
from dpjax.models import layers, zoo
from tests import peers

SCRIPTS = sorted(
    path.stem
    for path in (Path(__file__).parents[1] / "benchmarks").glob("[!_]*.py")
    if "torch" not in path.stem
)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_explains_how_to_run_it(name):
    text = importlib.import_module(f"benchmarks.{name}").__doc__
    is_shared = name in ("measure", "depth_scores")
    assert is_shared or f"python -m benchmarks.{name}" in text


def test_ratio_compares_round_by_round():
    # The machine was three times slower in the second round, for both.
    found = measure.ratio([2.0, 6.0, 4.0], [1.0, 3.0, 1.0])
    assert found == {"median": 2.0, "lowest": 2.0, "highest": 4.0}


def test_table_leaves_single_repeats_out_and_gaps_empty():
    rows = [{"what": "a", "ms": 1.23456, "s": [1, 2]}, {"what": "bb", "speed-up": 2}]
    assert measure.table(rows).splitlines() == [
        "| what | ms    | speed-up |",
        "|------|-------|----------|",
        "| a    | 1.235 |          |",
        "| bb   |       | 2        |",
    ]


def test_cores_are_those_that_may_be_used(monkeypatch, capsys):
    monkeypatch.setattr(startup, "usable_cpus", lambda: 7)
    assert measure.machine()["cores"] == 7
    monkeypatch.setattr(measure, "_LOAD_BEFORE", 7.0)
    measure.warn_if_busy()
    assert "the load is 7.0 on 7 cores" in capsys.readouterr().err
    monkeypatch.setattr(measure, "_LOAD_BEFORE", 0.7)
    measure.warn_if_busy()
    assert capsys.readouterr().err == ""


def test_synthetic_batches_have_the_form_of_real_ones():
    run = measure.experiment(config.Model("rednet10"), crop=(12, 8), batch_size=4)
    batch = measure.synthetic_batch(run.task, run.data, position=8)
    spec = run.task.batch_spec(run.data, 4)
    assert {k: (v.shape, v.dtype) for k, v in batch.items()} == {
        k: (v.shape, v.dtype) for k, v in spec.items()
    }
    assert batch["valid"].all()
    assert batch["position"].tolist() == [8, 9, 10, 11]


def test_updates_keep_learning_on_the_batch_that_stays():
    model = config.Model("rednet10", {"widths": 4})
    run = measure.experiment(model, crop=(8, 8), batch_size=8)
    update = measure.Updates(run, zoo.create_module("rednet10", widths=4))
    sums = [float(update()["sums"]["loss"]) for _ in range(8)]
    losses = np.diff(sums, prepend=0.0)  # the log window adds them up
    assert losses[-1] < losses[0]


@pytest.mark.torch
@pytest.mark.parametrize("depth", [10, 20])
def test_the_peer_in_pytorch_is_the_same_network(depth):
    torch = pytest.importorskip("torch")
    from benchmarks import torch_rednet

    name = f"rednet{depth}"
    module, variables = zoo.create_model(name, widths=6, channels=3, last_scale=1.0)
    images = np.random.default_rng(0).random((2, 9, 11, 3), np.float32)
    peer = torch_rednet.RedNet(module, variables)
    with torch.inference_mode():
        theirs = peer(torch.from_numpy(images).permute(0, 3, 1, 2))
    ours = np.asarray(module.apply(variables, images))
    np.testing.assert_allclose(
        ours, theirs.permute(0, 2, 3, 1).numpy(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "side"), [("wide_resnet_a", 64), ("wide_resnet_f", 24)]
)
def test_the_wide_peer_in_pytorch_is_the_same_network(name, side):
    pytest.importorskip("torch")
    from benchmarks import torch_wide_resnet

    module = zoo.create_module(name, width=1 / 16, num_classes=7)
    variables = peers.random_variables(module)
    network = torch_wide_resnet.WideResNet(module, variables).eval()
    images = np.random.default_rng(0).random((2, side, side, 3), np.float32)
    theirs = peers.output(network, np.asarray(layers.standardise(images, "imagenet")))
    assert peers.relative_error(module.apply(variables, images), theirs) < 1e-5


@pytest.mark.torch
def test_the_wide_peer_has_the_pools_of_models_a_to_f_only():
    pytest.importorskip("torch")
    from benchmarks import torch_wide_resnet

    with pytest.raises(ValueError, match="pools of Models A to F"):
        torch_wide_resnet.WideResNet(zoo.create_module("wide_resnet_a1"), {})


@pytest.mark.torch
def test_classifiers_are_paired_with_their_peers():
    torch = pytest.importorskip("torch")
    from benchmarks import classifiers_vs_pytorch, torch_turns

    torch.manual_seed(0)  # how far mirroring moves the loss depends on the weights
    pair = classifiers_vs_pytorch.pair("resnet50", 8, "float32", 32)
    kinds = torch_turns.candidates(pair, "cpu", compiles=False, work=("training",))
    losses = {name: c.call() for name, c in kinds["training"].items()}
    ours = losses["dpjax"]
    start = float(ours["sums"]["loss"]) / float(ours["counts"]["loss"])
    # Both learn from the same images and labels; only ours mirrors some of them.
    assert abs(start - losses["torch eager"].item()) < 0.5


@pytest.mark.torch
def test_both_frameworks_do_the_same_work_on_inputs_that_lie_ready():
    torch = pytest.importorskip("torch")
    from benchmarks import torch_turns, train_and_infer_vs_pytorch

    pair = train_and_infer_vs_pytorch.pair("rednet10", 8, 8, "float32")
    kinds = torch_turns.candidates(pair, "cpu", compiles=False)
    assert {kind: list(c) for kind, c in kinds.items()} == {
        "forward": ["dpjax", "torch eager"],
        "training": ["dpjax", "torch eager"],
    }
    # A forward is the network and nothing else: no scaling, no conversion, no copy.
    with torch.profiler.profile() as profile:
        kinds["forward"]["torch eager"].call()
    called = {event.key for event in profile.key_averages()}
    assert "aten::convolution" in called
    assert not called & {"aten::div", "aten::to", "aten::_to_copy"}
    call = kinds["forward"]["dpjax"].call
    with jax.transfer_guard("disallow"):
        given = call()
    assert len(given.sharding.device_set) == jax.device_count()
    inputs = inspect.getclosurevars(call).nonlocals["given"]
    for array in jax.tree.leaves(inputs):
        assert array.dtype == np.float32
        assert len(array.sharding.device_set) == jax.device_count()


def test_a_record_is_written_whole_or_not_at_all(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "ROOT", tmp_path)
    monkeypatch.setattr(measure, "RESULTS", tmp_path / "results")
    measure.record("some", {"batch": 8}, [{"what": "a", "ms": 1.5}])
    (path,) = (tmp_path / "results").iterdir()
    assert path.name == "some_cpu.json"
    assert json.loads(path.read_text())["rows"] == [{"what": "a", "ms": 1.5}]
    assert "| a " in capsys.readouterr().out

    def full(*_):
        raise OSError(28, "No space left on device")

    before = path.read_text()
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(errors.StorageError, match="No space left"):
        measure.record("some", {"batch": 9}, [])
    assert path.read_text() == before
