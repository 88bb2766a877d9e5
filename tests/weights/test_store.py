"""Weights survive the disk exactly, and damage is named."""

import json
import os
import shutil
import struct

import chex
import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import matching, store

CARD = {"name": "mine", "model": {"type": "Model", "name": "rednet10"}, "scores": []}


@pytest.fixture(scope="module")
def network():
    module, variables = zoo.create_model("rednet10", widths=4)
    return module, jax.device_get(variables)


def assert_equal(got, want):
    chex.assert_trees_all_equal(got, want, strict=True)  # types too


def test_weights_come_back_bit_for_bit_with_their_card(tmp_path, network):
    _, variables = network
    card = store.save(tmp_path / "new" / "w.safetensors", variables, CARD)
    weights = store.load(tmp_path / "new" / "w.safetensors")
    assert_equal(weights.variables, variables)
    assert weights.card == card
    assert card["name"] == "mine"
    assert card["format"] == store.FORMAT
    assert json.loads((tmp_path / "new" / "w.json").read_text()) == card
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "w.json",
        "w.safetensors",
    ]


def test_the_hash_in_the_card_is_that_of_the_file(tmp_path, network):
    import hashlib

    path = tmp_path / "w.safetensors"
    card = store.save(path, network[1], CARD)
    assert card["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    again = store.save(tmp_path / "again" / "w.safetensors", network[1], CARD)
    assert again["sha256"] == card["sha256"]  # a function of the contents only


def test_integers_and_nested_collections_survive(tmp_path):
    variables = {
        "params": {"a": {"kernel": np.ones((2, 3), np.float32)}},
        "batch_stats": {"a": {"count": np.arange(3, dtype=np.int32)}},
    }
    store.save(tmp_path / "w.safetensors", variables, {})
    weights = store.load(tmp_path / "w.safetensors")
    assert_equal(weights.variables, variables)
    assert weights.card["name"] == "w"


def test_half_precision_halves_the_file_and_returns_float32(tmp_path):
    rng = np.random.default_rng(0)
    variables = {"params": {"kernel": rng.normal(size=(200, 100)).astype(np.float32)}}
    store.save(tmp_path / "full.safetensors", variables, {})
    store.save(tmp_path / "half.safetensors", variables, {}, half=True)
    sizes = [(tmp_path / f"{n}.safetensors").stat().st_size for n in ("half", "full")]
    assert sizes[0] < 0.55 * sizes[1]
    got = store.load(tmp_path / "half.safetensors").variables["params"]["kernel"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, variables["params"]["kernel"], rtol=2**-11)


def test_numbers_too_large_for_half_precision_are_refused(tmp_path):
    variables = {"params": {"bias": np.float32([1e5])}}
    with pytest.raises(errors.UserError, match=r"params/bias holds 100000.*half=False"):
        store.save(tmp_path / "w.safetensors", variables, {}, half=True)
    assert list(tmp_path.iterdir()) == []


def test_a_run_folder_gives_its_last_weights_and_the_best_before_its_end(
    tmp_path, caplog
):
    def write(name, value):
        variables = {"params": {"bias": np.float32([value])}}
        store.save(tmp_path / "weights" / f"{name}.safetensors", variables, {})

    write("best", 2)
    early = store.load(str(tmp_path))
    assert early.variables["params"]["bias"] == 2
    assert early.file == "best.safetensors"
    assert "is not finished: taking weights/best.safetensors so far" in caplog.text
    caplog.clear()
    write("last", 1)
    final = store.load(tmp_path)
    assert final.variables["params"]["bias"] == 1
    assert final.file == "last.safetensors"
    named = store.load(tmp_path / "weights" / "best.safetensors")
    assert named.variables["params"]["bias"] == 2
    assert named.file == "best.safetensors"
    assert caplog.text == ""


def test_released_names_win_over_folders(tmp_path, monkeypatch, network):
    released = tmp_path / "released"
    store.save(released / "tiny-x2.5.safetensors", network[1], {})
    monkeypatch.setattr(store, "_RELEASED", released)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny-x2.5").mkdir()
    assert store.list_released() == ["tiny-x2.5"]
    assert store.list_released("big*") == []
    assert_equal(store.load("tiny-x2.5").variables, network[1])
    with pytest.raises(
        errors.UserError, match=r"weights 'tny-x2.5'.*Did you mean tiny"
    ):
        store.load("tny-x2.5")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.safetensors", "missing.safetensors does not exist"),
        ("some/where", "some/where does not exist"),
        ("empty", "holds no weights/last.safetensors or weights/best.safetensors"),
        ("model.pth", "is not a .safetensors file.*dpjax convert"),
        ("foreign.safetensors", "has no card.*dpjax convert"),
    ],
)
def test_what_is_no_weights_is_refused(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "model.pth").write_bytes(b"x")
    array = {"a": np.ones(3, np.float32)}
    (tmp_path / "foreign.safetensors").write_bytes(safetensors_numpy.save(array))
    with pytest.raises(errors.UserError, match=message):
        store.load(name)


def test_an_unknown_name_without_released_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_RELEASED", tmp_path)
    with pytest.raises(errors.UserError, match="'rednet99', and none come with"):
        store.load("rednet99")


@pytest.mark.parametrize("beside", ["kept", "removed"])
def test_every_flipped_byte_is_found(tmp_path, beside):
    variables = {"params": {"bias": np.arange(5, dtype=np.float32)}}
    path = tmp_path / "w.safetensors"
    store.save(path, variables, {"name": "w"})
    whole = path.read_bytes()
    if beside == "removed":
        path.with_suffix(".json").unlink()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        path.write_bytes(damaged)
        try:
            store.load(path)
        except errors.StorageError as error:
            assert str(path) in str(error)  # noqa: PT017
            continue
        except errors.UserError as error:  # the key of the card itself was hit
            assert "has no card" in str(error)  # noqa: PT017
            continue
        pytest.fail(f"byte {place} of {len(whole)} was flipped in silence")


@pytest.mark.parametrize("keep", [0, 5, 8, 60, -1])
def test_a_truncated_file_is_named(tmp_path, network, keep):
    path = tmp_path / "w.safetensors"
    store.save(path, network[1], CARD)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(errors.StorageError, match=r"w\.safetensors is damaged"):
        store.load(path)


def test_a_header_of_absurd_length_allocates_nothing(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(errors.StorageError, match="damaged"):
        store.load(path)


def test_a_run_killed_between_file_and_card_keeps_its_weights(tmp_path):
    path = tmp_path / "w.safetensors"
    old = {"params": {"bias": np.float32([1])}}
    new = {"params": {"bias": np.float32([2])}}
    store.save(path, old, {"name": "old"})
    shutil.copy(path.with_suffix(".json"), tmp_path / "kept")
    store.save(path, new, {"name": "new"})
    shutil.copy(tmp_path / "kept", path.with_suffix(".json"))
    weights = store.load(path)
    assert weights.card["name"] == "new"
    assert_equal(weights.variables, new)
    path.with_suffix(".json").write_text("{")  # or cut short
    assert store.load(path).card["name"] == "new"


def test_scores_may_be_added_to_the_card_later(tmp_path, network):
    path = tmp_path / "w.safetensors"
    card = store.save(path, network[1], CARD)
    edited = {**card, "scores": [{"psnr": 31.6}]}
    path.with_suffix(".json").write_text(json.dumps(edited))
    assert store.load(path).card["scores"] == [{"psnr": 31.6}]


def test_a_card_of_another_file_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors_numpy.save({"a": np.ones(3, np.float32)}))
    path.with_suffix(".json").write_text('{"sha256": "00"}')
    with pytest.raises(errors.StorageError, match=r"w\.json belongs to another file"):
        store.load(path)
    path.with_suffix(".json").write_text("{")
    with pytest.raises(errors.StorageError, match=r"the card of w\.safetensors"):
        store.load(path)


def test_a_newer_format_is_refused(tmp_path, network):
    path = tmp_path / "w.safetensors"
    card = store.save(path, network[1], CARD)
    path.with_suffix(".json").write_text(json.dumps({**card, "format": 99}))
    with pytest.raises(errors.UserError, match=r"format 99.*Update dpjax"):
        store.load(path)


@pytest.mark.parametrize("step", ["open", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_rest(
    tmp_path, network, monkeypatch, step
):
    path = tmp_path / "w.safetensors"
    store.save(path, network[1], {"name": "old"})

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, {"open": "fsync", "replace": "replace"}[step], full)
        with pytest.raises(errors.StorageError, match=r"w\.safetensors: No space left"):
            store.save(path, network[1], {"name": "new"})
    assert store.load(path).card["name"] == "old"
    assert len(list(tmp_path.iterdir())) == 2


def test_another_ending_is_refused(tmp_path, network):
    with pytest.raises(errors.UserError, match=r"got w\.pkl. Use w\.safetensors"):
        store.save(tmp_path / "w.pkl", network[1], CARD)


def test_matching_weights_pass(network):
    module, variables = network
    store.check_matches(variables, module)


def test_a_mismatch_shows_both_trees_and_the_way_out(network):
    _, variables = network
    other = zoo.create_module("rednet10", widths=4, channels=3)
    with pytest.raises(errors.UserError) as caught:
        store.check_matches(variables, other, name="gray.safetensors")
    text = str(caught.value)
    assert "gray.safetensors into RedNet(depth=10, widths=4, channels=3" in text
    assert "3 of 20 arrays differ" in text
    rows = {line.split()[0]: line for line in text.splitlines() if "/" in line}
    assert "[3, 3, 1, 4]" in rows["conv1/kernel"]
    assert "[3, 3, 3, 4]" in rows["conv1/kernel"]
    assert "skip=('conv1/*', 'deconv5/*')" in text
    store.check_matches(variables, other, skip=("conv1/*", "params/deconv5/*"))


def test_the_caller_names_the_network_and_the_way_out(network):
    _, variables = network
    other = zoo.create_module("rednet10", widths=4, channels=3)
    seen = []

    def advice(difference):
        seen.append(difference)
        return "Paint it."

    with pytest.raises(errors.UserError) as caught:
        store.check_matches(variables, other, network="my network", advice=advice)
    first, *_, last = str(caught.value).splitlines()
    assert first.startswith("Cannot load the weights into my network: 3 of 20")
    assert last == "Paint it."
    (difference,) = seen
    assert difference.folders == ("conv1/*", "deconv5/*")
    assert difference.given["params/conv1/kernel"] == (3, 3, 1, 4)
    assert difference.wanted["params/conv1/kernel"] == (3, 3, 3, 4)


@pytest.mark.parametrize("name", ["resnet50", "vgg16", "inception_v4", "wide_resnet_a"])
def test_a_network_of_several_parts_is_described_on_one_line(name):
    said = matching.describe(zoo.create_module(name, num_classes=10))
    assert said.startswith("Classifier(backbone=")
    assert "num_classes=10" in said
    assert "\n" not in said
    assert "#" not in said


def test_missing_and_superfluous_arrays_are_shown(network):
    _, variables = network
    other = zoo.create_module("rednet20", widths=4)
    with pytest.raises(
        errors.UserError, match=r"conv9/kernel +missing +\[3, 3, 4, 4\]"
    ):
        store.check_matches(variables, other)
    more = {"params": {**variables["params"], "extra": {"bias": np.zeros(1)}}}
    with pytest.raises(errors.UserError, match=r"extra/bias +\[1\] +missing"):
        store.check_matches(more, network[0])


def test_a_long_mismatch_is_cut(network):
    _, variables = network
    other = zoo.create_module("rednet30", widths=5)
    with pytest.raises(errors.UserError, match=r"\.\.\. and \d+ more") as caught:
        store.check_matches(variables, other)
    assert len(str(caught.value).splitlines()) < 20


def test_skipped_layers_keep_their_fresh_values(network):
    _, variables = network
    module, fresh = zoo.create_model("rednet10", widths=4, channels=3, seed=5)
    skip = ("conv1/*", "deconv5/*")
    merged = matching.merge(variables, fresh, skip=skip)
    store.check_matches(merged, module)
    for name, layer in merged["params"].items():
        source = fresh if name in ("conv1", "deconv5") else variables
        np.testing.assert_array_equal(layer["kernel"], source["params"][name]["kernel"])


def test_a_parameter_that_is_one_number_stays_one(tmp_path):
    path = tmp_path / "scale.safetensors"
    store.save(path, {"params": {"log_tau": np.float32(1.5)}}, {})
    found = store.load(path).variables["params"]["log_tau"]
    assert found.shape == ()
    assert found == 1.5
