"""`python -m dpjax release` on a real, tiny run."""

import dataclasses
import json

import numpy as np
import pytest

from dpjax import config, errors
from dpjax.cli import release
from dpjax.data import degradations
from dpjax.inference import receipts
from dpjax.tasks import restoration
from dpjax.weights import store

NOISE = degradations.GaussianNoise((25.0, 25.0))
EXPERIMENT = config.Experiment(
    task=restoration.Restoration((NOISE,), (NOISE,), space="gray"),
    model=config.Model("rednet10", {"widths": 4}),
    data=config.Data(("photos:train",), ("photos:test",), directory="somewhere"),
    evaluation=config.Evaluation("dncnn", limit=1),
    optim=config.Optim(),
    total_steps=1,
    init_from="some/folder/start.safetensors",
)


@pytest.fixture
def run(tmp_path, tiny_weights):
    """The folder of a finished run; its records are where the tests keep them."""
    folder = tmp_path / "runs" / "a"
    (folder / "weights").mkdir(parents=True)
    for suffix in (".safetensors", ".json"):
        data = tiny_weights().with_suffix(suffix).read_bytes()
        (folder / "weights" / f"last{suffix}").write_bytes(data)
    data = dataclasses.replace(EXPERIMENT.data, directory=None)
    written = config.encode(dataclasses.replace(EXPERIMENT, data=data))
    (folder / "config.json").write_text(json.dumps(written))
    return folder


@pytest.mark.parametrize("half", [False, True])
def test_the_released_bytes_are_the_scored_ones(run, tmp_path, half, tiny_weights):
    path = tmp_path / "out" / "small.safetensors"
    words = [str(run), "-o", str(path), "--results", str(tmp_path / "results")]
    assert release.main([*words, *(["--half"] if half else [])]) == 0
    loaded, first = store.load(path), store.load(tiny_weights())
    receipt = receipts.read(tmp_path / "results" / "small" / "dncnn.json")
    assert receipt["weights"]["name"] == "small"
    assert receipt["weights"]["sha256"] == loaded.card["sha256"]
    values = receipt["summary"]["photos:test"]["noise25"]
    assert loaded.card["scores"] == [
        {"source": "photos:test", "condition": "noise25", "protocol": "dncnn", **values}
    ]
    assert loaded.card["trained_on"] == "photos:train"
    kernel = loaded.variables["params"]["conv1"]["kernel"]
    before = first.variables["params"]["conv1"]["kernel"]
    kept = before.astype(np.float16).astype(np.float32) if half else before
    np.testing.assert_array_equal(kernel, kept)


@pytest.mark.parametrize("asked", [None, "bfloat16"])
def test_released_weights_compute_in_float32_unless_asked(run, tmp_path, asked):
    card = run / "weights" / "last.json"
    card.write_text(card.read_text().replace('"float32"', '"bfloat16"'))
    path = tmp_path / "small.safetensors"
    words = [str(run), "-o", str(path), "--results", str(tmp_path / "results")]
    assert release.main([*words, *(["--compute-dtype", asked] if asked else [])]) == 0
    model = store.load(path).card["model"]
    assert model["compute_dtype"] == (asked or "float32")
    receipt = receipts.read(tmp_path / "results" / "small" / "dncnn.json")
    assert receipt["model"] == model


def test_a_card_names_no_folder_of_the_machine():
    portable = release._portable(EXPERIMENT)
    assert portable.data.directory is None
    assert portable.init_from == "start.safetensors"
    assert (
        dataclasses.replace(
            portable, data=EXPERIMENT.data, init_from=EXPERIMENT.init_from
        )
        == EXPERIMENT
    )


def test_an_unfinished_run_is_refused(run, tmp_path):
    (run / "weights" / "last.safetensors").rename(run / "weights" / "best.safetensors")
    with pytest.raises(errors.UserError, match=r"is not finished.*Continue it first"):
        release.main([str(run), "-o", str(tmp_path / "x.safetensors")])
    assert not (tmp_path / "x.safetensors").exists()
