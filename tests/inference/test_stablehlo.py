"""Exported networks: parity, open sizes, platforms, and files that are wrong."""

import json
import os

import numpy as np
import pytest

from dpjax import errors, storage
from dpjax.inference import export, trained
from dpjax.weights import store


@pytest.fixture(scope="module")
def loaded(tiny_weights):
    return trained.load(tiny_weights())


def live(loaded, images):
    return np.asarray(loaded.module.apply(loaded.variables, images))


@pytest.mark.parametrize("how", ["baked", "beside"])
def test_a_file_gives_what_the_network_gives_for_any_size(tmp_path, loaded, how):
    path = tmp_path / "m.stablehlo"
    about = export.write(
        path, loaded.module, loaded.variables, card=loaded.card, weights=how
    )
    assert about == json.loads((tmp_path / "m.stablehlo.json").read_text())
    assert about["input"]["shape"] == "b, h, w, 1"
    assert about["platforms"] == ["cpu", "cuda", "tpu"]
    assert about["parity"] <= 1e-5
    assert about["card"]["name"] == "tiny"
    run = export.read(path)
    rng = np.random.default_rng(0)
    for shape in ((1, 9, 30, 1), (3, 16, 16, 1)):
        images = rng.random(shape, np.float32)
        np.testing.assert_allclose(run(images), live(loaded, images), rtol=0, atol=1e-5)
    names = {"m.stablehlo", "m.stablehlo.json"}
    if how == "beside":
        names |= {"m.weights.safetensors", "m.weights.json"}
    assert set(os.listdir(tmp_path)) == names


def test_strided_networks_take_multiples(tmp_path, tiny_weights):
    strided = trained.load(tiny_weights("strided", stride=2))
    about = export.write(tmp_path / "m", strided.module, strided.variables)
    assert about["input"]["shape"] == "b, 2*h, 2*w, 1"
    images = np.random.default_rng(0).random((2, 10, 14, 1), np.float32)
    np.testing.assert_allclose(
        export.read(tmp_path / "m")(images), live(strided, images), rtol=0, atol=1e-5
    )


def test_sizes_can_be_fixed(tmp_path, loaded):
    about = export.write(tmp_path / "m", loaded.module, loaded.variables, size=(8, 12))
    assert about["input"]["shape"] == "b, 8, 12, 1"
    run = export.read(tmp_path / "m")
    assert run(np.zeros((2, 8, 12, 1), np.float32)).shape == (2, 8, 12, 1)


def test_a_difference_to_the_network_stops_the_export(tmp_path, loaded, monkeypatch):
    monkeypatch.setattr(export, "_TOLERANCE", -1.0)
    with pytest.raises(errors.StorageError, match="differs from the live one"):
        export.write(tmp_path / "m", loaded.module, loaded.variables)
    assert os.listdir(tmp_path) == []


def test_unknown_platforms_are_named(tmp_path, loaded):
    with pytest.raises(errors.UserError, match=r"'cudaa'. Did you mean cuda"):
        export.write(
            tmp_path / "m", loaded.module, loaded.variables, platforms=("cudaa",)
        )


def test_damaged_and_missing_files_are_named(tmp_path, loaded):
    path = tmp_path / "m"
    export.write(path, loaded.module, loaded.variables)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    storage.replace(path, bytes(data))
    with pytest.raises(errors.DataError, match="damaged: its checksum"):
        export.read(path)
    with pytest.raises(errors.DataError, match="absent"):
        export.read(tmp_path / "absent")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.safetensors", r"no file of weights.*mine\.stablehlo"),
        ("mine.json", r"no file of weights"),
        ("mine", r"take the place of .*mine\.json"),
    ],
)
def test_weights_and_their_cards_are_never_overwritten(tmp_path, loaded, name, message):
    store.save(tmp_path / "mine.safetensors", loaded.variables, dict(loaded.card))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(errors.UserError, match=message):
        export.write(tmp_path / name, loaded.module, loaded.variables)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_an_export_can_be_written_again(tmp_path, loaded):
    for _ in range(2):
        export.write(tmp_path / "m", loaded.module, loaded.variables, size=(8, 8))
    assert set(os.listdir(tmp_path)) == {"m", "m.json"}
