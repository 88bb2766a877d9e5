"""Logs: resumed files equal undisturbed ones; torn lines vanish."""

import json

import numpy as np
import pytest

from dpjax import errors
from dpjax.training import log


def _write(folder, start, steps):
    run = log.RunLog(folder, total_steps=100, start_step=start)
    for step in steps:
        run.train(step, {"loss": 1.0 / step}, examples=32, wait_s=0.0)
    run.close()


def test_resumed_metrics_equal_undisturbed_ones(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    _write(tmp_path / "a", 0, [10, 20, 30, 40])
    _write(tmp_path / "b", 0, [10, 20, 30])
    with (tmp_path / "b" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 40, "lo')  # a killed process tears its last line
    _write(tmp_path / "b", 25, [30, 40])
    a, b = ((tmp_path / name / "metrics.jsonl").read_bytes() for name in "ab")
    assert a == b


def test_clock_numbers_stay_out_of_the_metrics(tmp_path):
    _write(tmp_path, 0, [10])
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert line == {"step": 10, "loss": 0.1}
    speed = json.loads((tmp_path / "speed.jsonl").read_text())
    assert set(speed) == {"step", "images_per_s", "wait_share", "eta_s"}


def test_progress_line_tells_rate_wait_and_time_left(tmp_path, capsys):
    _write(tmp_path, 0, [50])
    text = capsys.readouterr().err
    for part in ("step 50/100", "loss", "images/s", "wait", "left 0:00:"):
        assert part in text


def test_numbers_that_are_not_finite_are_written_as_names(tmp_path):
    run = log.RunLog(tmp_path, total_steps=10, start_step=0)
    run.train(1, {"loss": float("nan")}, examples=1, wait_s=0.0)
    run.close()
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["loss"] == "nan"


def test_pictures_are_png_files(tmp_path):
    import cv2

    run = log.RunLog(tmp_path, total_steps=10, start_step=0)
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    run.picture(7, "one", picture)
    run.close()
    read = cv2.imread(str(tmp_path / "panels" / "00000007" / "one.png"))
    np.testing.assert_array_equal(read[..., ::-1], picture)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(errors.StorageError, match=str(tmp_path)):
        log.RunLog(tmp_path, total_steps=10, start_step=0)
