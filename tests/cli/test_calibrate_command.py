"""`python -m dpjax calibrate` on a narrow network and a few rooms of noise."""

import json

import chex
import jax
import numpy as np
import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.cli import calibrate
from dpjax.cli import evaluate as scoring
from dpjax.data import preparation
from dpjax.data.superpixels import front_end
from dpjax.inference import calibration, evaluate, trained
from dpjax.models import zoo
from dpjax.tasks import superpixel_depth
from dpjax.weights import store

SIZE = (32, 32)
TASK = superpixel_depth.SuperpixelDepth(
    size=SIZE, superpixels=front_end.Settings(size=8)
)
OPTIONS = {
    "crf": "calibrated",
    "widths": (2, 2, 2, 2, 2),
    "extra_widths": (2,),
    "tail_widths": (2,),
}
TEST = "rgbd_folder/mine:test"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photo):
    """Records, and weights that say they were trained on some of them."""
    root = tmp_path_factory.mktemp("calibrate")
    for split, count in (("train", 1), ("test", 2), ("val", 1)):
        for i in range(count):
            left = {"train": 0, "test": 120, "val": 330}[split] + 90 * i
            crop = photo[100:, left : left + 64][:64]
            millimetres = (1000 + 4 * crop.astype(np.uint16).sum(-1)).astype(np.uint16)
            for kind, array in (
                ("images", crop),
                ("depth", millimetres + np.uint16(54_000 * (split == "val"))),
            ):
                (root / "made" / split / kind).mkdir(parents=True, exist_ok=True)
                place = root / "made" / split / kind / f"{split}{i}.png"
                PIL.Image.fromarray(array).save(place)
    preparation.prepare(
        "rgbd_folder",
        folder=root / "made",
        directory=root / "records",
        config="mine",
        unit="mm",
    )
    module = zoo.create_module("dcnf_fcsp", **OPTIONS)
    variables = jax.device_get(
        jax.jit(module.init)(jax.random.key(0), zoo.example_input(module))
    )
    model = config.Model("dcnf_fcsp", OPTIONS)
    data = config.Data(("rgbd_folder/mine:train",), (TEST,), crop=SIZE)
    run = config.Experiment(
        TASK,
        model,
        data,
        config.Optim(),
        config.Evaluation("all_pixels"),
        total_steps=1,
    )
    card = {
        "model": config.encode(model),
        "task": config.encode(TASK),
        "config": config.encode(run),
        "scores": [{"nll_pooled": 9.0}],
    }
    store.save(root / "given.safetensors", variables, card)
    store.save(root / "unknown.safetensors", variables, {**card, "config": None})
    del variables["params"]["crf"]["log_tau"]
    options = {**OPTIONS, "crf": "paper"}
    card["model"] = config.encode(config.Model("dcnf_fcsp", options))
    store.save(root / "paper.safetensors", variables, card)
    return root


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def run(folder, output, *words, name="given", sources=(TEST,)):
    weights = str(folder / f"{name}.safetensors")
    words = ("--dir", str(folder / "records"), *words)
    return calibrate.main([weights, "--sources", *sources, "-o", str(output), *words])


@pytest.mark.parametrize("by", [None, "likelihood"])
def test_the_weights_differ_by_one_number_and_the_card_says_why(
    folder, tmp_path, by, capsys
):
    path = tmp_path / "out" / "sure.safetensors"
    assert run(folder, path, *(("--by", by) if by else ())) == 0
    said = capsys.readouterr().out
    before, after = store.load(folder / "given.safetensors"), store.load(path)
    told = json.loads(path.with_suffix(".json").read_text())["calibration"]
    assert told == after.card["calibration"]
    assert told["of"] == {"name": "given", "sha256": before.card["sha256"]}
    assert (told["by"], told["protocol"]) == (by or "coverage", "all_pixels")
    assert told["data"][TEST]["examples"] == 2
    assert told["pixels"] == 2 * 64 * 64
    assert (after.card["name"], after.card["scores"]) == ("sure", [])
    assert after.card["config"] == before.card["config"]
    moved = [w.variables["params"]["crf"].pop("log_tau") for w in (before, after)]
    chex.assert_trees_all_equal(after.variables, before.variables)
    assert moved[1] == np.float32(moved[0] - 2 * np.log(told["factor"]))
    assert f"deviations x {told['factor']:.4f} by {told['by']}" in said
    assert f"within 1 deviation: {told['before']['coverage1']:.1%} before" in said
    if by is None:
        assert 0 <= told["after"]["coverage1"] - calibration.COVERED < 64 / 8192
        assert "68.3% after" in said or "68.4% after" in said
    loaded = trained.load(path)
    data = config.Data((), (TEST,), directory=str(folder / "records"))
    scoring.check_overlap(loaded, data)
    note = f"deviations of sure were scaled by images of {TEST};"
    assert note in capsys.readouterr().err
    scoring.check_overlap(trained.load(folder / "given.safetensors"), data)
    assert "scaled" not in capsys.readouterr().err
    scores = evaluate.evaluate(
        loaded.task,
        loaded.module,
        loaded.variables,
        data,
        config.Evaluation("all_pixels"),
    ).summary[TEST][""]
    assert scores["coverage1_pooled"] == pytest.approx(
        told["after"]["coverage1"], abs=0.01
    )


def test_weights_of_unknown_training_want_a_protocol_and_warn(folder, tmp_path, capsys):
    path = tmp_path / "sure.safetensors"
    with pytest.raises(errors.UserError, match="which pixels count: --protocol"):
        run(folder, path, name="unknown")
    assert run(folder, path, "--protocol", "all_pixels", name="unknown") == 0
    assert "does not say what it was trained on" in capsys.readouterr().err


def test_a_network_without_a_scale_is_refused(folder, tmp_path):
    with pytest.raises(errors.UserError, match="paper has no crf/log_tau"):
        run(folder, tmp_path / "sure.safetensors", name="paper")


def test_images_that_were_trained_on_are_refused(folder, tmp_path):
    sources = (TEST, "rgbd_folder/mine:train")
    path = tmp_path / "sure.safetensors"
    with pytest.raises(errors.DataError, match="would be scored on pictures of"):
        run(folder, path, sources=sources)
    assert not path.exists()


def test_images_beyond_the_protocol_are_refused(folder, tmp_path):
    words = ("--protocol", "kitti_eigen_raw_50_eigen")  # up to 50 metres
    with pytest.raises(errors.DataError, match="No pixel of these sources"):
        run(
            folder,
            tmp_path / "a.safetensors",
            *words,
            sources=("rgbd_folder/mine:val",),
        )


def test_a_file_that_is_there_is_kept(folder, tmp_path):
    path = tmp_path / "sure.safetensors"
    path.write_bytes(b"precious")
    with pytest.raises(errors.UserError, match="exists already"):
        run(folder, path)
    assert path.read_bytes() == b"precious"


def test_another_ending_is_refused_before_anything_is_scored(folder, tmp_path):
    with pytest.raises(errors.UserError, match=r"written as \.safetensors"):
        run(folder, tmp_path / "sure.npz", name="missing")


def test_an_unknown_protocol_is_refused(folder, tmp_path):
    with pytest.raises(errors.UserError, match="Did you mean nyu_full"):
        run(folder, tmp_path / "sure.safetensors", "--protocol", "nyu_ful")


def test_protocols_that_the_records_do_not_fit_are_refused_before_anything_runs(folder):
    with pytest.raises(errors.UserError, match=r"480 x 640.*has 64 x 64.*all_pixels"):
        evaluate.open_sources(
            TASK,
            config.Data((), (TEST,), crop=SIZE, directory=str(folder / "records")),
            config.Evaluation("nyu_eigen"),
        )
