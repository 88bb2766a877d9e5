"""Shipped weights: they load, fit, and do what their card says."""

import csv
import json
import pathlib

import cv2
import numpy as np
import pytest

import dpjax
from dpjax.inference import trained
from dpjax.weights import store

_NAMES = store.list_released("*")
_KINDS = {name: store.load(name).card["task"]["type"] for name in _NAMES}
_RESTORERS = [name for name, kind in _KINDS.items() if kind == "Restoration"]


def test_something_is_shipped():
    assert _NAMES


@pytest.mark.parametrize("name", _NAMES)
def test_a_card_tells_where_weights_come_from(name):
    card = store.load(name).card
    assert card["name"] == name
    assert card["scores"]
    assert card["trained_on"]
    assert (store._RELEASED / f"{name}.safetensors").stat().st_size < 10e6


@pytest.mark.parametrize("name", [n for n in _NAMES if "denoise" in n])
def test_noise_of_level_50_falls_by_more_than_10_db(name, photo):
    clean = photo / 255.0
    noise = np.random.default_rng(5).standard_normal(clean.shape)
    noisy = (clean + 50 / 255 * noise).astype(np.float32)
    restored = dpjax.Predictor(name)(noisy).array

    def error(image):
        return np.mean((image - clean) ** 2)

    assert 10 * np.log10(error(noisy) / error(restored)) > 10


@pytest.mark.parametrize("name", _RESTORERS)
def test_every_damage_that_weights_are_judged_by_is_undone(name, photo):
    loaded = trained.load(name)
    record = {"image": photo[40:140, 60:160], "id": "photo", "source": "test"}
    for condition in loaded.task.conditions():
        for protocol in loaded.task.protocols:
            given = loaded.task.evaluation_input(record, condition, protocol)
            output = loaded.module.apply(loaded.variables, given[None])[0]
            row = loaded.task.score(
                record, condition, given, np.asarray(output), protocol
            )
            assert row["psnr"] > row["psnr_input"] + 0.5, (condition, protocol)


_RESULTS = pathlib.Path(__file__).parents[2] / "results"


def test_streets_are_named_as_well_as_the_receipt_says(data_root):
    folder = data_root / "camvid" / "val"
    if not folder.is_dir():
        pytest.skip("DPJAX_DATA has no camvid/val")
    receipt = json.loads((_RESULTS / "lwrefinenet-camvid" / "whole.json").read_text())
    told = {row["id"].split("/")[-1]: row for row in receipt["rows"]}
    predict = dpjax.Predictor("lwrefinenet-camvid")
    for file in sorted((folder / "labels").iterdir())[::25]:
        labels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        (image,) = (folder / "images").glob(f"{file.stem}.*")
        known = labels < 11
        found = predict(image).maps["labels"]
        share = 100 * (found[known] == labels[known]).mean()
        assert share == pytest.approx(told[file.stem]["pixel_accuracy"], abs=0.01)


def test_rooms_are_as_far_as_the_receipt_says(data_root):
    folder = data_root / "nyu" / "val"
    if not folder.is_dir():
        pytest.skip("DPJAX_DATA has no nyu/val")
    name = "lwrefinenet-nyudv2"
    receipt = json.loads((_RESULTS / name / "nyu_eigen.json").read_text())
    told = {row["id"]: row for row in receipt["rows"]}
    with open(folder / "depth_max.csv") as file:
        largest = {r["name"]: float(r["depth_max_m"]) for r in csv.DictReader(file)}
    predict = dpjax.Predictor(name)
    seen = slice(45, 471), slice(41, 601)  # Eigen's crop
    for file in sorted((folder / "depth").iterdir())[::40]:
        stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)[seen]
        truth = (stored + 0.5) / 255 * largest[file.stem]
        (image,) = (folder / "images").glob(f"{file.stem}.*")
        found = predict(image).maps
        rel = np.mean(np.abs(found["depth"][seen] - truth) / truth)
        assert rel == pytest.approx(told[file.stem]["rel"], abs=2e-3)
        assert (found["deviation"] > 0).all()
