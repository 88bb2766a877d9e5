"""What a user types, from an empty folder to a restored photograph and a report.

Every command is a process of its own, as typed; what is looked at is what a user would
look at: files, messages, exit codes and decibels.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from safetensors.numpy import load_file

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "configs/restoration/demo.py")
NETWORK = ["--model.options.widths", "8", "--data.crop", "32", "32"]
SHORT = [*NETWORK, "--data.batch-size", "8", "--total-steps", "100"]
SHORT += ["--optim.lr", "0.01", "--optim.warmup-steps", "10"]
SHORT += ["--optim.ema-decay", "0.9"]
SHORT += ["--evaluation.every-steps", "50", "--evaluation.limit", "1"]
SHORT += ["--record.log-every", "5", "--record.save-every", "10"]
SHORT += ["--record.panels", "1", "--data.directory", "data"]
DPJAX = ["-m", "dpjax"]


def start(folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Devices are chosen as for a user, whose environment says nothing.
    environment.pop("JAX_NUM_CPU_DEVICES")
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder, *words, code=0):
    """What a command says; it has to end with this exit code, and without a trace."""
    process = start(folder, *words)
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    assert "Traceback" not in err
    return out if code == 0 else err


def decibels(image, clean):
    error = np.mean((np.asarray(image, float) - clean) ** 2)
    return 10 * np.log10(255**2 / error)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder that was empty; now the embedded photographs are prepared in data/."""
    folder = tmp_path_factory.mktemp("home")
    said = run(folder, *DPJAX, "prepare", "photos", "--dir", "data")
    assert "photos: 16 train, 3 test images" in said
    assert [p.name for p in folder.iterdir()] == ["data"]
    return folder


@pytest.fixture(scope="module")
def trained(home, signal_at):
    """The same folder, with a run in runs/a that was stopped and continued."""
    process = start(home, ROOT / "train.py", CONFIG, "--workdir", "runs/a", *SHORT)
    said = signal_at(process, home / "runs/a", 5, signal.SIGTERM)
    assert process.returncode == 75, said
    assert "Continue: python train.py --workdir runs/a" in said
    assert not (home / "runs/a/weights/last.safetensors").exists()
    said = run(home, ROOT / "train.py", "--workdir", "runs/a")
    assert "Finished 100 steps, psnr " in said
    return home


@pytest.fixture(scope="module")
def evaluated(trained):
    """The same folder, after evaluate.py; what it said stands in said.txt."""
    words = ["--workdir", "runs/a", "--limit", "3", "--panels", "2"]
    said = run(trained, ROOT / "evaluate.py", *words)
    (trained / "said.txt").write_text(said)
    return trained


@pytest.fixture(scope="module")
def predicted(trained, photo):
    """The same folder, with a noisy photograph and what `predict` made of it."""
    clean = photo[100:228, 150:310]
    noise = np.random.default_rng(0).normal(0, 50, clean.shape)
    noisy = (clean + noise).round().clip(0, 255).astype(np.uint8)
    PIL.Image.fromarray(noisy).save(trained / "noisy.png")
    said = run(trained, *DPJAX, "predict", "runs/a", "noisy.png", "-o", "clean.png")
    assert said == "clean.png: 160 x 128\n"
    return trained


def test_a_stopped_and_continued_run_leaves_one_log_and_its_files(trained):
    folder = trained / "runs/a"
    lines = [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
    losses = {x["step"]: x["loss"] for x in lines if "loss" in x}
    assert list(losses) == list(range(5, 105, 5))
    first, *_, last = np.split(np.array(list(losses.values())), 4)
    assert last.mean() < first.mean()
    assert [x["step"] for x in lines if "evaluation" in x] == [50, 100]
    assert {p.name for p in (folder / "panels").iterdir()} == {"00000050", "00000100"}
    for name in ("curves.png", "config.json", "weights/best.json"):
        assert (folder / name).stat().st_size > 0


def test_an_evaluation_shows_a_gain_and_leaves_receipt_and_pictures(evaluated):
    receipt = json.loads((evaluated / "runs/a/evaluations/dncnn.json").read_text())
    said = (evaluated / "said.txt").read_text()
    assert {row["id"] for row in receipt["rows"]} == {"camera", "chelsea", "coffee"}
    for condition, least in (("noise25", 0.5), ("noise50", 1.0)):
        values = receipt["summary"]["photos:test"][condition]
        assert values["psnr"] > values["psnr_input"] + least
        assert f"{values['psnr_input']:.2f} → {values['psnr']:.2f}" in said
    pictures = sorted((evaluated / "runs/a/evaluations/dncnn").glob("*.png"))
    assert len(pictures) == 2
    with PIL.Image.open(pictures[0]) as shown:
        assert shown.width > 900  # three photographs side by side


def test_a_prediction_is_nearer_to_the_photograph_than_its_input(predicted, photo):
    clean = photo[100:228, 150:310]
    noisy, restored = (
        np.asarray(PIL.Image.open(predicted / f"{name}.png"))
        for name in ("noisy", "clean")
    )
    assert decibels(restored, clean) > decibels(noisy, clean) + 1


# Another program, which has JAX and not dpjax.
_FOREIGN = """
import sys
sys.modules["dpjax"] = None
import jax.export
import numpy as np, PIL.Image
call = jax.export.deserialize(bytearray(open("net.stablehlo", "rb").read())).call
image = np.asarray(PIL.Image.open("noisy.png"), np.float32) / 255
levels = np.clip(np.rint(255 * np.asarray(call(image[None]))[0]), 0, 255)
PIL.Image.fromarray(levels.astype(np.uint8)).save("foreign.png")
"""


def test_an_exported_network_runs_without_dpjax_and_gives_the_same(predicted):
    said = run(predicted, *DPJAX, "export", "runs/a", "-o", "net.stablehlo")
    assert "images [b, h, w, 3], for cpu, cuda, tpu;" in said
    run(predicted, "-c", _FOREIGN)
    ours, theirs = (
        np.asarray(PIL.Image.open(predicted / f"{name}.png")).astype(int)
        for name in ("clean", "foreign")
    )
    assert np.abs(ours - theirs).max() <= 1  # a half may be rounded either way
    assert (ours != theirs).mean() < 1e-3


def test_a_report_holds_what_was_scored(evaluated):
    said = run(evaluated, *DPJAX, "report", "runs", "-o", "report.html")
    receipt = json.loads((evaluated / "runs/a/evaluations/dncnn.json").read_text())
    conditions = receipt["summary"]["photos:test"]
    (line,) = [x for x in said.splitlines() if f"| {' / '.join(conditions)} |" in x]
    before, after = (
        " / ".join(f"{values[name]:.2f}" for values in conditions.values())
        for name in ("psnr_input", "psnr")
    )
    assert f"| {before} → {after} |" in line
    assert "(runs/a/evaluations/dncnn.json)" in line
    values = conditions["noise50"]
    page = (evaluated / "report.html").read_text()
    assert f"{values['psnr']:.2f}" in page
    assert page.count("data:image/jpeg;base64") == 2


def test_a_plan_counts_the_parameters_that_the_run_has(trained):
    plan = run(trained, *DPJAX, "plan", CONFIG, *SHORT)
    arrays = load_file(trained / "runs/a/weights/last.safetensors")
    count = sum(array.size for array in arrays.values())
    assert f"rednet10, {count:,} parameters" in plan
    assert "800 examples, 50.0 epochs of 16 images" in plan


def test_the_list_names_networks_weights_and_data_sets(home):
    said = run(home, *DPJAX, "list")
    for name in ("rednet30", "rednet10-denoise-rgb-small", "image_folder", "set12"):
        assert any(line.split()[:1] == [name] for line in said.splitlines()), name


def test_a_damaged_picture_ends_with_3_and_is_named(predicted):
    data = (predicted / "noisy.png").read_bytes()
    (predicted / "cut.png").write_bytes(data[: len(data) // 2])
    words = ["predict", "runs/a", "cut.png", "-o", "no.png"]
    said = run(predicted, *DPJAX, *words, code=3)
    assert said.startswith("error: Cannot decode cut.png: ")
    assert not (predicted / "no.png").exists()


def test_damaged_records_end_with_3_and_are_named(trained):
    shutil.copytree(trained / "data", trained / "damaged")
    (file,) = (trained / "damaged").glob("photos/*/photos-test*")
    data = bytearray(file.read_bytes())
    data[len(data) // 4] ^= 1
    file.write_bytes(data)
    words = ["--workdir", "runs/a", "--dir", "damaged", "-o", "no.json"]
    said = run(trained, ROOT / "evaluate.py", *words, code=3)
    assert said.startswith(
        "error: Record 'camera' (number 0) of photos:test is damaged"
    )
    assert str(file) in said
    assert not (trained / "no.json").exists()


def test_damaged_weights_end_with_5_and_are_named(predicted):
    data = bytearray((predicted / "runs/a/weights/last.safetensors").read_bytes())
    data[-100] ^= 1
    (predicted / "bad.safetensors").write_bytes(data)
    words = ["predict", "bad.safetensors", "noisy.png", "-o", "no.png"]
    said = run(predicted, *DPJAX, *words, code=5)
    assert said.startswith("error: bad.safetensors is damaged")
