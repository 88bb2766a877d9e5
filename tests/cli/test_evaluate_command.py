"""evaluate.py and `report` on a real, tiny run."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from dpjax import config, errors, tasks
from dpjax.cli import evaluate as command
from dpjax.cli import experiments
from dpjax.cli import report as report_command
from dpjax.data import sources
from dpjax.inference import receipts, report
from dpjax.training import workdir
from dpjax.weights import store

ROOT = Path(__file__).parents[2]
CONFIG = """
from dpjax import config
from dpjax.data import degradations
from dpjax.tasks import restoration

def get_config():
    noise = degradations.GaussianNoise((25.0, 25.0))
    return config.Experiment(
        task=restoration.Restoration((noise,), (noise,), space="gray"),
        model=config.Model("rednet10", {"widths": 4}),
        data=config.Data(("photos:train",), ("photos:test",)),
        evaluation=config.Evaluation("dncnn", limit=2),
        optim=config.Optim(),
        total_steps=1,
    )
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_weights):
    """The folder of a run, as training leaves it."""
    folder = tmp_path_factory.mktemp("runs") / "a"
    (folder / "weights").mkdir(parents=True)
    for name, path in (("last", tiny_weights()), ("best", tiny_weights("t2", seed=2))):
        for suffix in (".safetensors", ".json"):
            data = path.with_suffix(suffix).read_bytes()
            (folder / "weights" / f"{name}{suffix}").write_bytes(data)
    (folder.parent / "small.py").write_text(CONFIG)
    experiment = experiments.read_config(str(folder.parent / "small.py"))
    workdir.write_experiment(folder, experiment)
    return folder


@pytest.fixture(scope="module")
def evaluated(run):
    assert command.main(["--workdir", str(run), "--panels", "1"]) == 0
    return run / "evaluations" / "dncnn.json"


def test_a_run_is_scored_and_leaves_a_receipt(evaluated, tiny_weights):
    receipt = receipts.read(evaluated)
    card = json.loads(tiny_weights().with_suffix(".json").read_text())
    assert receipt["weights"] == {
        "name": "tiny",
        "file": "last.safetensors",
        "sha256": card["sha256"],
    }
    assert receipt["protocol"] == "dncnn"
    assert len(receipt["rows"]) == 2
    assert receipt["data"]["photos:test"]["examples"] == 2
    assert len(receipt["data"]["photos:test"]["fingerprint"]) == 16
    values = receipt["summary"]["photos:test"]["noise25"]
    assert values["psnr_input"] == pytest.approx(20.17, abs=0.02)
    assert receipt["best"] == values["psnr"]
    assert values["psnr"] == pytest.approx(
        np.mean([row["psnr"] for row in receipt["rows"]])
    )


def test_the_worst_image_is_pictured(evaluated):
    receipt = receipts.read(evaluated)
    worst = min(receipt["rows"], key=lambda row: row["psnr"])
    (picture,) = evaluated.with_suffix("").glob("*.png")
    assert picture.name == f"00-photos-test-{worst['id']}-noise25.png"
    with PIL.Image.open(picture) as shown:
        assert shown.width > 900


def test_scoring_again_gives_the_same_content(evaluated, run, tmp_path):
    again = tmp_path / "again.json"
    assert command.main(["--workdir", str(run), "-o", str(again), "--panels=0"]) == 0
    one, two = receipts.read(evaluated), receipts.read(again)
    assert receipts.content(one) == receipts.content(two)


@pytest.mark.parametrize("how", ["word", "path"])
def test_the_best_weights_are_scored_only_when_asked(
    evaluated, run, tiny_weights, how, capsys
):
    before = evaluated.read_bytes()
    path = run / "weights" / "best.safetensors"
    words = ["--weights", "best" if how == "word" else str(path), "--limit", "1"]
    assert command.main(["--workdir", str(run), *words, "--panels", "0"]) == 0
    receipt = receipts.read(run / "evaluations" / "dncnn-best.json")
    card = json.loads(tiny_weights("t2", seed=2).with_suffix(".json").read_text())
    assert receipt["weights"]["file"] == "best.safetensors"
    assert receipt["weights"]["sha256"] == card["sha256"]
    assert "t2 (best.safetensors), protocol dncnn" in capsys.readouterr().out
    assert evaluated.read_bytes() == before


def test_options_change_the_evaluation(run, tmp_path, capsys):
    path = tmp_path / "r.json"
    words = ["--workdir", str(run), "-o", str(path), "--panels", "0", "--limit", "1"]
    assert command.main([*words, "--protocol", "red", "--ensemble"]) == 0
    receipt = receipts.read(path)
    assert (receipt["protocol"], receipt["ensemble"]) == ("red", True)
    assert len(receipt["rows"]) == 1
    out = capsys.readouterr().out
    assert "photos:test (1)" in out
    assert "protocol red, ensemble: psnr" in out
    assert not path.with_suffix("").exists()


def test_fields_of_the_task_change_what_is_scored_and_nothing_is_hidden(run, capsys):
    words = ["--workdir", str(run), "--panels", "0", "--limit", "1"]
    noise = ["--task.judged.0.sigma-255", "50", "50"]
    assert command.main([*words, *noise]) == 0
    path = run / "evaluations" / "dncnn-judged.0.sigma_255-50.0-50.0.json"
    receipt = receipts.read(path)
    assert receipt["changes"] == {"judged.0.sigma_255": [50.0, 50.0]}
    values = receipt["summary"]["photos:test"]["noise50"]
    assert values["psnr_input"] == pytest.approx(14.15, abs=0.05)
    assert "protocol dncnn, judged.0.sigma_255 50.0 50.0: psnr" in (
        capsys.readouterr().out
    )
    (line,) = report.lines(report.load([path]))
    assert line.protocol == "dncnn, judged.0.sigma_255 50.0 50.0"


def test_fields_of_the_task_may_stand_before_the_config(tiny_weights, tmp_path):
    (tmp_path / "small.py").write_text(CONFIG)
    words = ["--task.loss", "l1", str(tmp_path / "small.py"), "--limit", "1"]
    path = tmp_path / "r.json"
    words += ["--weights", str(tiny_weights()), "--panels", "0", "-o", str(path)]
    assert command.main(words) == 0
    assert receipts.read(path)["changes"] == {"loss": "l1"}


def test_unknown_and_unfit_fields_of_the_task_are_refused(run, capsys):
    with pytest.raises(SystemExit):
        command.main(["--workdir", str(run), "--task.spice", "rgb"])
    said = " ".join(capsys.readouterr().err.split())
    assert "--task.space" in said
    assert "run train.py CONFIG --help" in said
    with pytest.raises(errors.UserError, match=r"on gray images, .* rgb ones"):
        command.main(["--workdir", str(run), "--task.space", "rgb"])


def test_a_config_is_scored_with_other_weights(tiny_weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.py").write_text(CONFIG)
    words = ["small.py", "--weights", str(tiny_weights()), "--limit", "1"]
    assert command.main([*words, "--panels", "0"]) == 0
    receipt = receipts.read(tmp_path / "results" / "tiny" / "small-dncnn.json")
    assert receipt["weights"]["name"] == "tiny"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "wants --workdir DIR of a run, or CONFIG --weights NAME"),
        (["configs/restoration/demo.py"], "or CONFIG --weights NAME"),
        (["--workdir", "absent"], "absent holds no run"),
        (["--weights", "x"], "wants --workdir"),
    ],
)
def test_incomplete_commands_say_what_is_missing(words, message):
    with pytest.raises(errors.UserError, match=message):
        command.main(words)


def test_unknown_protocols_and_sources_are_named(run):
    with pytest.raises(errors.UserError, match=r"'dnccn'. Did you mean dncnn"):
        command.main(["--workdir", str(run), "--protocol", "dnccn"])
    with pytest.raises(errors.UserError, match=r"'fotos'. Did you mean photos"):
        command.main(["--workdir", str(run), "--sources", "fotos:test"])


def test_weights_of_other_channels_are_refused(tiny_weights, tmp_path):
    (tmp_path / "small.py").write_text(CONFIG)
    colour = tiny_weights("colour", space="rgb")
    with pytest.raises(errors.UserError, match=r"on rgb images, .* gray ones"):
        command.main([str(tmp_path / "small.py"), "--weights", str(colour)])


def test_the_script_ends_with_the_exit_code_of_its_error(tmp_path):
    done = subprocess.run(
        [sys.executable, "evaluate.py", "--workdir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_report_prints_and_writes_table_and_page(evaluated, tmp_path, capsys):
    readme, page = tmp_path / "README.md", tmp_path / "report.html"
    readme.write_text(f"# X\n{report.BEGIN}\n{report.END}\nend\n")
    words = [str(evaluated.parent), "--readme", str(readme), "-o", str(page)]
    assert report_command.main(words) == 0
    out = capsys.readouterr().out
    assert "| tiny | photos:test (2) | noise25 | 20.1" in out
    text = readme.read_text()
    assert text.startswith(f"# X\n{report.BEGIN}\n| weights |")
    assert text.endswith(f"{report.END}\nend\n")
    link = os.path.relpath(evaluated, tmp_path)
    assert f"[dncnn]({link})" in text
    html = page.read_text()
    assert "data:image/jpeg;base64" in html
    assert "<title>dpjax results</title>" in html


def test_report_names_what_is_missing(tmp_path, evaluated):
    with pytest.raises(errors.UserError, match="report wants receipts"):
        report_command.main([])
    with pytest.raises(errors.UserError, match="absent does not exist"):
        report_command.main([str(tmp_path / "absent")])
    with pytest.raises(errors.DataError, match="No receipts in"):
        report_command.main([str(tmp_path)])
    readme = tmp_path / "README.md"
    with pytest.raises(errors.UserError, match=r"Cannot read .*README\.md"):
        report_command.main([str(evaluated), "--readme", str(readme)])
    readme.write_text("no markers")
    with pytest.raises(errors.UserError, match="must hold"):
        report_command.main([str(evaluated), "--readme", str(readme)])
    assert readme.read_text() == "no markers"


@pytest.fixture(scope="module")
def known(run, tiny_weights, tmp_path_factory):
    """Weights that say what they were trained on, here: a picture that is scored."""
    weights = store.load(tiny_weights())
    experiment = dataclasses.replace(
        workdir.read_experiment(run),
        data=config.Data(("photos:train", "photos:test-coffee"), ("photos:test",)),
    )
    path = tmp_path_factory.mktemp("known") / "known.safetensors"
    card = {**weights.card, "name": "known", "config": config.encode(experiment)}
    store.save(path, weights.variables, card)
    (path.parent / "small.py").write_text(CONFIG)
    return [str(path.parent / "small.py"), "--weights", str(path), "--panels", "0"]


def test_pictures_that_were_trained_on_are_refused(known):
    with pytest.raises(errors.DataError, match="photos:test would be scored") as caught:
        command.main(known)
    message = str(caught.value)
    assert "camera = camera, chelsea = chelsea" in message
    assert "score without them (write the source 'photos:test-camera," in message
    assert message.endswith("or allow it by name with --allow-overlap photos:test.")
    with pytest.raises(errors.UserError, match=r"'fotos'. Did you mean photos"):
        command.main([*known, "--allow-overlap", "fotos"])


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (["--allow-overlap", "photos"], ["photos"]),
        (["--sources", "photos:test-camera,chelsea"], []),
    ],
)
def test_each_remedy_works_and_is_recorded(known, words, allowed, tmp_path, capsys):
    path = tmp_path / "r.json"
    assert command.main([*known, "-o", str(path), "--limit", "1", *words]) == 0
    assert receipts.read(path)["overlap"] == {
        "allowed": allowed,
        "checked": ["photos:train", "photos:test-coffee"],
        "unchecked": {},
    }
    assert "warning" not in capsys.readouterr().err


def test_training_sources_that_are_not_here_are_named(
    known, tmp_path, capsys, monkeypatch
):
    real = sources.open_sources

    def open_sources(names, **options):
        if names == ["photos:train"]:
            raise errors.DataError("photos:train is not prepared.")
        return real(names, **options)

    monkeypatch.setattr(sources, "open_sources", open_sources)
    with pytest.raises(errors.DataError, match="would be scored"):  # the other is here
        command.main(known)
    words = ["--sources", "photos:test-camera,chelsea", "-o", str(tmp_path / "r.json")]
    assert command.main([*known, *words]) == 0
    err = capsys.readouterr().err
    assert "known was trained on photos:train, not prepared here" in err
    assert receipts.read(tmp_path / "r.json")["overlap"]["unchecked"] == {
        "photos:train": "photos:train is not prepared."
    }


def test_weights_of_unknown_training_are_scored(evaluated):
    assert receipts.read(evaluated)["overlap"] is None


def test_help_lists_the_protocols_of_every_task(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    said = set(re.findall(r"\w+", capsys.readouterr().out))
    names = {n for t in tasks.TYPES for n in getattr(t, "protocols", ())}
    kitti = {n for n in names if n.startswith("kitti_eigen_")}
    assert len(names) > len(kitti) > 1
    assert names - kitti <= said
    assert kitti & said


@pytest.mark.parametrize("name", ["scores", "scores.txt", "v1.2"])
def test_receipts_of_other_endings_are_refused_before_any_work(tmp_path, name):
    # There is no such run: whatever looks for it first would say so.
    arguments = ["--workdir", str(tmp_path / "nowhere"), "-o", str(tmp_path / name)]
    with pytest.raises(
        errors.UserError, match=r"written as \.json, got .*Use .*\.json"
    ):
        command.main(arguments)
