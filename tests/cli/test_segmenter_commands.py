"""Segmentation from photographs and masks: train, continue, score, predict."""

import json

import chex
import numpy as np
import PIL.Image
import pytest

from dpjax import cli, config, errors
from dpjax.cli import evaluate as evaluate_command
from dpjax.cli import predict
from dpjax.data import preparation
from dpjax.inference import predictor, receipts
from dpjax.metrics import confusion
from dpjax.metrics import segmentation as metrics
from dpjax.tasks import segmentation
from dpjax.training import loop, stop
from dpjax.weights import store

pytestmark = pytest.mark.slow  # a small RefineNet is compiled for eight devices
NAMES = ("wall", "blue", "red")
SMALL = {
    "backbone": "wide_resnet_16",
    "width": 0.0625,
    "path_widths": (16, 16, 16, 16),
    "num_classes": 3,
}


def paint(folder):
    """Gray photographs with a blue and a red block, and what is where."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for i in range(count):
            image = rng.integers(60, 120, (48, 64, 3))
            mask = np.zeros((48, 64), np.uint8)
            for k, channel in ((1, 2), (2, 0)):
                y, x = rng.integers(24), rng.integers(40)
                place = slice(y, y + 20), slice(x, x + 20)
                image[*place, :] = 40
                image[*place, channel] = 220
                mask[place] = k
            mask[:2] = 9
            for name, values in (("images", image), ("masks", mask)):
                path = folder / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                PIL.Image.fromarray(values.astype(np.uint8)).save(path)
    (folder / "classes.txt").write_text("\n".join(NAMES) + "\n")


def experiment(records):
    return config.Experiment(
        task=segmentation.Segmentation(scales=(0.8, 1.2), by_class=True),
        model=config.Model("refinenet_lw50", SMALL),
        data=config.Data(
            ("mask_folder/m:train",),
            ("mask_folder/m:val",),
            crop=(32, 48),
            batch_size=8,
            directory=str(records),
        ),
        optim=config.Optim("adam", lr=3e-3),
        evaluation=config.Evaluation("whole", every_steps=6),
        record=config.Record(log_every=1, save_every=3, keep_last=1, panels=1),
        total_steps=12,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("masks")
    paint(root / "made")
    preparation.prepare(
        "mask_folder", folder=root / "made", directory=root / "r", config="m", ignore=9
    )
    return root


@pytest.fixture(scope="module")
def run(place):
    loop.train(experiment(place / "r"), place / "run")
    return place / "run"


def test_the_log_has_the_loss_and_the_pictures_are_there(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) == 12
    assert losses[-1] < losses[0]
    (scores,) = lines[-1]["evaluation"]["mask_folder/m:val"].values()
    assert {"miou", "pixel_accuracy", "mean_accuracy", "boundary_f"} <= set(scores)
    assert len(list((run / "panels").glob("*/*.png"))) == 2
    card = json.loads((run / "weights" / "last.json").read_text())
    assert card["task"]["classes"] == list(NAMES)


def test_a_stopped_run_continues_to_the_same_bytes(run, place, monkeypatch):
    again = place / "again"
    with monkeypatch.context() as patch:
        patch.setattr(stop.StopRequest, "reached", lambda self, step: step == 5)
        with pytest.raises(errors.Preempted):
            loop.train(experiment(place / "r"), again)
    loop.train(experiment(place / "r"), again)
    log = "metrics.jsonl"
    assert (again / log).read_bytes() == (run / log).read_bytes()
    chex.assert_trees_all_equal(store.load(again).variables, store.load(run).variables)


@pytest.fixture(scope="module")
def receipt(run):
    assert evaluate_command.main(["--workdir", str(run), "--panels", "1"]) == 0
    return receipts.read(run / "evaluations" / "whole.json")


def test_the_receipt_agrees_with_what_the_predictor_says_of_each_pixel(
    receipt, run, place
):
    name_pixels = predictor.Predictor(run)
    total = np.zeros((3, 3), np.int64)
    for row in receipt["rows"]:
        stem = row["id"].split("/")[-1].removesuffix(".png")
        file = place / "made" / "val" / "masks" / f"{stem}.png"
        mask = np.asarray(PIL.Image.open(file))
        told = name_pixels(place / "made" / "val" / "images" / f"{stem}.png")
        labels = told.maps["labels"]
        known = mask != 9
        total += confusion.confusion(mask[known], labels[known], 3)
    (scores,) = receipt["summary"]["mask_folder/m:val"].values()
    assert scores["miou"] == pytest.approx(metrics.summary(total)["miou"], abs=1e-9)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert lines[-1]["evaluation"] == receipt["summary"]
    table = receipt["tables"]["mask_folder/m:val"][""]["classes"]
    assert [line[0] for line in table["lines"]] == list(NAMES)


@pytest.mark.parametrize("protocol", ["mirrored", "scales", "sliding", "crf"])
def test_every_protocol_scores(run, tmp_path, protocol):
    words = ["--workdir", str(run), "--protocol", protocol, "--panels", "1"]
    path = tmp_path / "receipt.json"
    assert evaluate_command.main([*words, "-o", str(path)]) == 0
    found = receipts.read(path)
    assert found["protocol"] == protocol
    assert 0 <= found["best"] <= 100
    assert len(list(path.with_suffix("").rglob("*.png"))) == 1


def test_predict_writes_a_picture_with_a_legend_or_the_labels(
    run, place, tmp_path, capsys
):
    photo = place / "made" / "val" / "images" / "0.png"
    shown, labels = tmp_path / "shown.png", tmp_path / "labels.png"
    assert predict.main([str(run), str(photo), "-o", str(shown)]) == 0
    assert f"{shown}: 64 x " in capsys.readouterr().out
    assert predict.main([str(run), str(photo), "-o", str(labels), "--map=labels"]) == 0
    assert f"{labels}: 64 x 48\n" in capsys.readouterr().out
    result = predictor.Predictor(run)(photo)
    with PIL.Image.open(labels) as opened:
        assert opened.mode == "L"
        assert np.array_equal(np.asarray(opened), result.maps["labels"])
    with PIL.Image.open(shown) as opened:
        assert np.array_equal(np.asarray(opened), result.image)
        assert opened.height > 48  # the legend


def test_predict_takes_a_folder_and_large_pictures(run, place, tmp_path, monkeypatch):
    target = tmp_path / "out"
    folder = place / "made" / "val" / "images"
    words = [str(run), str(folder), "-o", str(target), "--map", "labels"]
    assert predict.main(words) == 0
    assert len(list(target.glob("*.png"))) == 3
    name_pixels = predictor.Predictor(run)
    name_pixels._engine.limit = 256
    large = np.asarray(PIL.Image.open(folder / "0.png").resize((640, 480)))
    result = name_pixels(large)
    assert not result.exact
    assert result.maps["labels"].shape == (480, 640)


def test_what_cannot_be_asked_is_refused(run, place, tiny_weights):
    photo = str(place / "made" / "val" / "images" / "0.png")
    for words, message in (
        (["predict", str(run), photo, "-o", "x.png", "--map", "label"], "mean labels"),
        (["predict", str(run), photo, "-o", "x.jpg", "--map", "labels"], "keep their"),
        (["predict", str(run), photo, "-o", "x.png", "--scale", "2"], "no option"),
        (
            ["predict", str(run), photo, "-o", "x.json"],
            "makes pictures; where do they go",
        ),
        (
            ["predict", str(tiny_weights()), photo, "-o", "x.png", "--map", "labels"],
            "makes pictures and gives no maps",
        ),
    ):
        with pytest.raises(errors.UserError, match=message):
            cli.main(words)
    with pytest.raises(errors.UserError, match="upside down"):
        evaluate_command.main(["--workdir", str(run), "--ensemble"])
