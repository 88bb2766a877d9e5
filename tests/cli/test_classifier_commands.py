"""A classifier from photographs to names: train, continue, score, predict."""

import dataclasses
import json

import chex
import numpy as np
import PIL.Image
import pytest

from dpjax import cli, config, errors
from dpjax.cli import evaluate as evaluate_command
from dpjax.cli import experiments, predict
from dpjax.cli import report as report_command
from dpjax.data import preparation, sources
from dpjax.inference import predictor, receipts
from dpjax.tasks import classification
from dpjax.training import loop, stop, workdir
from dpjax.weights import store

pytestmark = pytest.mark.slow  # a small ResNet is compiled for eight devices
NAMES = ["blue", "green", "red"]


def paint(folder):
    """Photographs that are mostly of one colour."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        for k, name in enumerate(NAMES):
            for i in range(count):
                noise = rng.integers(0, 90, (40, 48, 3))
                noise[..., 2 - k] += 120
                path = folder / split / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                PIL.Image.fromarray(noise.astype(np.uint8)).save(path)


def experiment(records):
    return config.Experiment(
        task=classification.Classification(side=32),
        model=config.Model("resnet50", {"blocks": (1, 1, 1, 1), "num_classes": 3}),
        data=config.Data(
            ("class_folder/c:train",),
            ("class_folder/c:val",),
            crop=(32, 32),
            batch_size=16,
            directory=str(records),
        ),
        optim=config.Optim("sgd", lr=0.02, nesterov=True),
        evaluation=config.Evaluation("single", every_steps=3),
        record=config.Record(log_every=1, save_every=3, keep_last=1, panels=1),
        total_steps=6,
    )


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("classes")
    paint(root / "images")
    preparation.prepare(
        "class_folder", folder=root / "images", directory=root / "r", config="c"
    )
    return root


@pytest.fixture(scope="module")
def run(place):
    loop.train(experiment(place / "r"), place / "run")
    return place / "run"


def test_the_names_of_the_records_reach_the_card(run):
    card = json.loads((run / "weights" / "last.json").read_text())
    assert card["task"]["classes"] == NAMES
    assert workdir.read_experiment(run).task.classes == tuple(NAMES)
    assert predictor.Predictor(run).task.classes == tuple(NAMES)


def test_the_log_has_accuracy_and_the_pictures_are_there(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    seen = [line["accuracy"] for line in lines if "accuracy" in line]
    assert len(seen) == 6
    assert all(0 <= value <= 1 for value in seen)
    (scores,) = lines[-1]["evaluation"]["class_folder/c:val"].values()
    assert set(scores) == {"top1", "top5", "nll", "ece15"}
    assert len(list((run / "panels").glob("*/*.png"))) == 2


def test_a_stopped_run_continues_to_the_same_bytes(run, place, monkeypatch):
    again = place / "again"
    with monkeypatch.context() as patch:
        patch.setattr(stop.StopRequest, "reached", lambda self, step: step == 2)
        with pytest.raises(errors.Preempted):
            loop.train(experiment(place / "r"), again)
    loop.train(experiment(place / "r"), again)
    log = "metrics.jsonl"
    assert (again / log).read_bytes() == (run / log).read_bytes()
    chex.assert_trees_all_equal(store.load(again).variables, store.load(run).variables)


def test_other_records_do_not_continue_a_run(run, place, tmp_path):
    for split in ("train", "val"):
        for name in ("blue", "green", "violet"):
            source = place / "images" / split / name.replace("violet", "red")
            target = tmp_path / "images" / split / name
            target.mkdir(parents=True)
            for path in source.iterdir():
                (target / path.name).write_bytes(path.read_bytes())
    preparation.prepare(
        "class_folder", folder=tmp_path / "images", directory=tmp_path, config="c"
    )
    there = workdir.read_experiment(run)
    data = dataclasses.replace(there.data, directory=str(tmp_path))
    moved = dataclasses.replace(there, data=data)
    with pytest.raises(errors.DataError, match="class 2 is 'violet' and 'red'"):
        loop.train(moved, tmp_path / "run")


@pytest.fixture(scope="module")
def receipt(run):
    assert evaluate_command.main(["--workdir", str(run), "--panels", "1"]) == 0
    return receipts.read(run / "evaluations" / "single.json")


def test_the_receipt_agrees_with_the_predictor_and_with_training(receipt, run, place):
    classify = predictor.Predictor(run)
    assert len(receipt["rows"]) == 9
    right = 0
    for row in receipt["rows"]:
        said = classify(place / "images" / row["id"])
        first = said.values["ranking"][0]
        assert first["class"] == NAMES[row["told"]]
        assert first["probability"] == pytest.approx(row["confidence"], rel=1e-5)
        assert NAMES[row["label"]] == row["id"].split("/")[1]
        right += first["class"] == NAMES[row["label"]]
    (scores,) = receipt["summary"]["class_folder/c:val"].values()
    assert scores["top1"] == pytest.approx(100 * right / 9)
    assert scores["top5"] == 100
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    assert lines[-1]["evaluation"] == receipt["summary"]


def test_tables_of_the_classes_are_printed_and_on_the_page(
    receipt, run, tmp_path, capsys
):
    table = receipt["tables"]["class_folder/c:val"][""]["classes"]
    assert sorted(line[0] for line in table["lines"]) == NAMES
    assert sum(line[1] for line in table["lines"]) == 9
    words = ["--workdir", str(run), "--protocol", "ten_crop", "--panels", "0"]
    words += ["-o", str(tmp_path / "r.json")]
    assert evaluate_command.main(words) == 0
    said = capsys.readouterr().out
    assert "classes of class_folder/c:val" in said
    assert "top-1 (%)" in said
    assert "ECE, 15 bins (%)" in said
    page = tmp_path / "page.html"
    assert report_command.main([str(tmp_path / "r.json"), "-o", str(page)]) == 0
    assert "confusions of class_folder/c:val" in page.read_text()


def test_long_tables_are_cut_short(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate_command, "_SHOWN", 2)
    words = ["--workdir", str(run), "--panels", "0", "-o", str(tmp_path / "r.json")]
    assert evaluate_command.main(words) == 0
    said = capsys.readouterr().out
    assert said.count(".png") == 2
    assert "the 2 poorest of 9 images" in said
    assert "classes of class_folder/c:val, the first 2 of 3" in said
    assert len(receipts.read(tmp_path / "r.json")["rows"]) == 9


def test_predict_prints_the_ranking_and_writes_it(run, place, tmp_path, capsys):
    photo = place / "images" / "val" / "red" / "0.png"
    assert predict.main([str(run), str(photo), "-o", str(tmp_path / "o.json")]) == 0
    lines = capsys.readouterr().out.splitlines()
    ranking = json.loads((tmp_path / "o.json").read_text())["ranking"]
    assert [line.split()[1] for line in lines] == [r["class"] for r in ranking]
    assert {r["class"] for r in ranking} == set(NAMES)
    assert sum(r["probability"] for r in ranking) == pytest.approx(1)
    for line, entry in zip(lines, ranking, strict=True):
        assert line.split()[0] == f"{entry['probability']:.2%}"


def test_predict_says_a_line_for_each_photograph_of_a_folder(
    run, place, tmp_path, capsys
):
    folder = tmp_path / "in"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(NAMES):
        source = place / "images" / "val" / name / "0.png"
        (folder / "deep" / f"{i}.png").write_bytes(source.read_bytes())
    (folder / "broken.png").write_bytes(b"no picture")
    output = tmp_path / "all.json"
    assert predict.main([str(run), str(folder), "-o", str(output)]) == 3
    said = capsys.readouterr()
    assert "left out" in said.err
    assert "broken.png" in said.err
    lines = said.out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"deep/{i}.png" for i in range(3)]
    values = json.loads(output.read_text())
    for line, (name, value) in zip(lines, values.items(), strict=True):
        assert line.startswith(f"{name}: ")
        assert line.endswith(value["ranking"][0]["class"])


def test_what_cannot_be_asked_of_a_classifier_is_refused(run, place, tiny_weights):
    photo = str(place / "images" / "val" / "red" / "0.png")
    for words, message in (
        (["predict", str(run), photo, "-o", "x.png"], r"written as \.json; got"),
        (["predict", str(run), photo, "--ensemble"], "gives one vector for an image"),
        (["predict", str(run), photo, "--scale", "2"], "have no option 'scale'"),
        (
            ["predict", str(tiny_weights()), photo, "-o", "x.json"],
            "makes pictures; where do they go",
        ),
        (["predict", str(run), "nowhere"], "nowhere does not exist"),
    ):
        with pytest.raises(errors.UserError, match=message):
            cli.main(words)
    words = ["--workdir", str(run)]
    with pytest.raises(errors.UserError, match="eight symmetries; the name of a class"):
        evaluate_command.main([*words, "--ensemble"])
    with pytest.raises(errors.UserError, match="trained for restoration"):
        evaluate_command.main([*words, "--weights", str(tiny_weights())])


def test_a_wrong_number_of_classes_is_told_with_the_option(place, tmp_path):
    run = experiment(place / "r")
    model = dataclasses.replace(run.model, options={"blocks": (1, 1, 1, 1)})
    with pytest.raises(errors.UserError, match=r"--model\.options\.num-classes 3"):
        loop.train(dataclasses.replace(run, model=model), tmp_path / "run")
    named = experiments.override(run, ["--model.options.num-classes", "4"], "train.py")
    assert named.model.options["num_classes"] == 4


def test_records_without_classes_are_refused(tmp_path, place):
    run = experiment(place / "r")
    data = dataclasses.replace(
        run.data, train=("photos:train",), evaluate=("photos:test",), directory=None
    )
    assert sources.open_sources(["photos"])
    with pytest.raises(errors.DataError, match="photos:train has no classes"):
        loop.train(dataclasses.replace(run, data=data), tmp_path / "run")
