"""Killed, stopped or out of disk: a continued run ends as an undisturbed one."""

import json
import random
import signal
import subprocess
import time

import pytest
from safetensors.numpy import load_file


def _end_of(folder):
    """Every byte that a run must reproduce."""
    newest = max(
        (p for p in (folder / "checkpoints").iterdir() if p.name.isdigit()),
        key=lambda p: int(p.name),
    )
    meta = json.loads((newest / "meta" / "metadata").read_text())
    return {
        "step": int(newest.name),
        # Parameters, optimiser, averages, counters: two integers for each array.
        "state": meta["fingerprint"],
        "best": meta["best"],
        "metrics": (folder / "metrics.jsonl").read_bytes(),
        "weights": _arrays(folder / "weights" / "last.safetensors"),
        "best weights": _arrays(folder / "weights" / "best.safetensors"),
    }


def _arrays(path):
    return {name: value.tobytes() for name, value in load_file(path).items()}


def _kill_once(process, workdir, rng):
    """Kills after a random while, or in the middle of a save; False if it was over."""
    in_save = rng.random() < 0.5
    delay = rng.uniform(0.0, 1.5)
    begin, started = time.time(), None
    log = workdir / "metrics.jsonl"
    while process.poll() is None:
        saving = list(workdir.glob("checkpoints/*tmp*"))
        # The log is opened anew right before the first update.
        if started is None and log.exists() and log.stat().st_mtime > begin:
            started = time.monotonic()
        is_time = started is not None and time.monotonic() - started > delay
        if is_time and (saving or not in_save):
            process.kill()
            process.communicate()
            return True
        time.sleep(0.002)
    process.communicate()
    return False


@pytest.mark.chaos
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_twenty_kills_change_no_byte(runs, undisturbed, tmp_path):
    rng = random.Random(0)
    kills = 0
    folder = tmp_path / "run0"
    while kills < 20:
        process = runs.start(folder)
        if _kill_once(process, folder, rng):
            kills += 1
        else:
            assert process.returncode == 0
            assert _end_of(folder) == _end_of(undisturbed)
            folder = tmp_path / f"run{kills}"
    runs.finish(folder)
    assert _end_of(folder) == _end_of(undisturbed)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_request_saves_and_exits_75(
    runs, undisturbed, signal_at, tmp_path, number
):
    folder = tmp_path / "run"
    process = runs.start(folder)
    text = signal_at(process, folder, 10, number)
    assert process.returncode == 75, text
    assert f"python train.py --workdir {folder}" in text
    assert "continuing" in runs.finish(folder)
    assert _end_of(folder) == _end_of(undisturbed)


def test_a_finished_run_started_again_changes_nothing(runs, undisturbed):
    before = _end_of(undisturbed)
    runs.finish(undisturbed)
    assert _end_of(undisturbed) == before


def test_a_damaged_checkpoint_is_named_and_the_older_one_continued(
    runs, undisturbed, signal_at, tmp_path
):
    folder = tmp_path / "run"
    process = runs.start(folder)
    signal_at(process, folder, 20)
    newest = max(
        (p for p in (folder / "checkpoints").iterdir() if p.name.isdigit()),
        key=lambda p: int(p.name),
    )
    file = max(
        (p for p in (newest / "state").rglob("*") if p.is_file()),
        key=lambda p: p.stat().st_size,
    )
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    text = runs.finish(folder)
    assert f"Checkpoint {newest.name} in" in text
    assert "damaged" in text
    assert _end_of(folder) == _end_of(undisturbed)


def test_a_full_disk_ends_with_5_and_loses_nothing(
    runs, undisturbed, signal_at, tmp_path
):
    folder = tmp_path / "run"
    process = runs.start(folder)
    signal_at(process, folder, 10)
    # No file may grow beyond 8 KiB: every write of a checkpoint fails.
    process = runs.start(folder, limits="trap '' XFSZ; ulimit -f 8")
    text = process.communicate(timeout=120)[1]
    assert process.returncode == 5, text
    assert "File too large" in text
    assert any(
        line.startswith("error: ") and "Free " in line for line in text.splitlines()
    )
    assert "Traceback" not in text
    assert "ERROR:" not in text  # of the libraries' own logs
    assert "continues from the last complete checkpoint" in text
    assert not list((folder / "checkpoints").glob("*tmp*"))  # nothing half-written
    runs.finish(folder)
    assert _end_of(folder) == _end_of(undisturbed)


def test_a_work_folder_in_use_is_refused(runs, wait, tmp_path):
    folder = tmp_path / "run"
    first = runs.start(folder)
    wait((folder / "config.json").exists, first)
    second = runs.start(folder)
    text = second.communicate(timeout=120)[1]
    assert second.returncode == 2, text
    assert f"in use by process {first.pid}" in text
    first.kill()
    first.communicate()


def test_a_work_folder_of_another_configuration_is_refused(runs, undisturbed):
    process = runs.start(undisturbed, "--optim.lr", "0.5")
    text = process.communicate(timeout=120)[1]
    assert process.returncode == 2, text
    assert "optim.lr: 0.001 -> 0.5" in text
    assert f"python train.py --workdir {undisturbed}" in text


def test_a_start_that_failed_can_be_corrected(runs, tmp_path):
    folder = tmp_path / "run"
    process = runs.start(folder, "--init-from", "nosuch.safetensors")
    text = process.communicate(timeout=120)[1]
    assert process.returncode == 2, text
    runs.finish(folder, "--total-steps", "2")


def test_a_stop_during_an_evaluation_owes_it(runs, signal_at, tmp_path):
    # Nearly all the time of this run is spent in evaluations.
    folder, whole = tmp_path / "run", tmp_path / "whole"
    options = ("--evaluation.limit", "3", "--evaluation.every-steps", "1")
    options += ("--total-steps", "8")
    process = runs.start(folder, *options)
    text = signal_at(process, folder, 1, text='"step": {}, "evaluation"')
    assert process.returncode == 75, text
    runs.finish(folder, *options)
    runs.finish(whole, *options)
    assert _end_of(folder) == _end_of(whole)


def test_updates_that_stay_non_finite_end_with_4_and_name_the_step(runs, tmp_path):
    options = ("--optim.lr", "1e30", "--record.stop-after-bad", "3")
    process = runs.start(tmp_path / "run", *options)
    text = process.communicate(timeout=120)[1]
    assert process.returncode == 4, text
    assert "was not finite in 3 updates in a row, since step" in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--optim.lrr", "1"], 2, "--optim.lr"),
        (["--model.name", "redent10"], 2, "Did you mean rednet10"),
        (["--data.batch-size", "7"], 2, "must be a multiple of 2"),
        (["--data.train", "fotos:train"], 2, "Did you mean photos"),
        (["--data.train", "photos:trian"], 3, "photos has no split 'trian'"),
        (["--data.evaluate", "photos:train"], 3, "allow-overlap"),
        (["--evaluation.protocol", "dnccn"], 2, "Did you mean dncnn"),
        (["--record.log-every", "0"], 2, "record.log_every must be at least 1"),
        (["--record.stop-after-bad", "0"], 2, "must be at least 1"),
        (["--total-steps", "-5"], 2, "total_steps must be at least 1"),
        (["--optim.clip-norm", "0"], 2, "optim.clip_norm must be above 0"),
        (["--optim.drop-by", "-1"], 2, "optim.drop_by must be in"),
        (["--init-from", "nosuch.safetensors"], 2, "nosuch.safetensors does not exist"),
        (["--process", "1"], 2, "--processes N"),
    ],
)
def test_mistakes_are_explained_before_training(
    runs, tmp_path, arguments, code, message
):
    process: subprocess.Popen = runs.start(tmp_path / "run", *arguments, devices=2)
    text = process.communicate(timeout=120)[1]
    assert process.returncode == code, text
    assert message in text
    assert "Traceback" not in text
