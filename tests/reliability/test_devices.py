"""The number of devices and processes changes nothing that a user could see."""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

_STEPS = ("--total-steps", "20", "--optim.schedule", "constant")


def _result(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    score = json.loads(lines[-1])["evaluation"]
    return load_file(folder / "weights" / "last.safetensors"), score


def _assert_same(a, b):
    for name, value in a[0].items():
        np.testing.assert_allclose(b[0][name], value, rtol=1e-5, atol=1e-6)
    for source, conditions in a[1].items():
        for condition, metrics in conditions.items():
            for name, value in metrics.items():
                assert b[1][source][condition][name] == pytest.approx(value, rel=1e-5)


@pytest.fixture(scope="module")
def alone(runs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    runs.finish(folder, *_STEPS)
    return _result(folder)


@pytest.mark.parametrize("devices", [2, 4, 8])
def test_devices_do_not_change_run_or_score(runs, alone, tmp_path, devices):
    runs.finish(tmp_path / "run", *_STEPS, devices=devices)
    _assert_same(alone, _result(tmp_path / "run"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("form", ["pmap", "shard_map"])
def test_two_processes_of_two_devices_equal_one(runs, alone, tmp_path, free_port, form):
    folder = tmp_path / "run"
    group = ["--coordinator", f"localhost:{free_port}", "--processes", "2"]
    group += [*_STEPS, "--parallel", form]
    both = [
        runs.start(folder, *group, "--process", str(i), devices=2) for i in range(2)
    ]
    texts = [process.communicate(timeout=240)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], "\n".join(texts)
    _assert_same(alone, _result(folder))
