"""Logs: resumed files equal undisturbed ones; torn lines vanish; no disk is silent."""

import json
import os
import struct

import numpy as np
import pytest

from dpjax import errors
from dpjax.training import events, log


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


def _events(folder):
    """The events of all files, read by the format's definition."""
    from tensorboardX.proto import event_pb2

    found = []
    for path in sorted((folder / "events").glob("*.tfevents.*")):
        data, place = path.read_bytes(), 0
        while place < len(data):
            (size,) = struct.unpack_from("<Q", data, place)
            record = data[place + 12 : place + 12 + size]  # after length and checksum
            found.append(event_pb2.Event.FromString(record))
            place += 16 + size
    return found


def test_tensorboard_gets_every_number_and_picture_and_the_place_to_go_on(tmp_path):
    import cv2

    run = log.RunLog(tmp_path, total_steps=100, start_step=25)
    run.train(30, {"loss": 0.5}, examples=32, wait_s=0.0)
    run.scores(30, {"photos:test": {"noise25": {"psnr": 31.5}}})
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    run.picture(30, "one", picture)
    run.close()
    first, start, *rest = _events(tmp_path)
    assert first.file_version == "brain.Event:2"
    assert (start.step, start.session_log.status) == (26, start.session_log.START)
    assert {event.step for event in rest} == {30}
    values = {value.tag: value for event in rest for value in event.summary.value}
    assert values["train/loss"].simple_value == 0.5
    assert {"train/images_per_s", "train/wait_share", "train/eta_s"} < set(values)
    assert values["psnr/photos_test/noise25"].simple_value == 31.5
    encoded = np.frombuffer(values["panels/one"].image.encoded_image_string, np.uint8)
    decoded = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(decoded, picture)


def test_only_headlines_are_printed_and_everything_is_written(tmp_path, capsys):
    run = log.RunLog(tmp_path, total_steps=100, start_step=0)
    summary = {"rooms:val": {"": {"rms": 0.5, "rel": 0.25, "log10": 0.125}}}
    run.scores(10, summary, headlines=("rel", "rms"))
    run.close()
    printed = capsys.readouterr()
    line = printed.out + printed.err
    assert "rooms:val  rms 0.5  rel 0.25" in line
    assert "log10" not in line
    written = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert written == {"step": 10, "evaluation": summary}


def test_a_disk_that_refuses_events_ends_the_run(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    run = log.RunLog(tmp_path, total_steps=100, start_step=0)
    monkeypatch.setattr(events, "_FLUSH_EVERY_S", -1.0)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.StorageError, match="No room left"):
        run.train(10, {"loss": 1.0}, examples=32, wait_s=0.0)
    with pytest.raises(errors.StorageError, match="No room left"):
        run.close()
    assert run._metrics.closed
    assert run._speed.closed
