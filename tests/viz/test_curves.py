"""Learning curves: the points are those of the log, the picture is one."""

import json
import warnings

import numpy as np

from dpjax.viz import curves


def _log(folder, name="set"):
    lines = [
        {"step": 5, "loss": 0.5},
        {"step": 10, "loss": 0.25},
        {"step": 10, "evaluation": {name: {"a": {"psnr": 20.0}, "b": {"psnr": 9.0}}}},
        {"step": 15, "loss": "nan"},
        {"step": 20, "evaluation": {name: {"a": {"psnr": 21.0}, "b": {"psnr": 8.0}}}},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)


def test_points_are_those_of_the_log(tmp_path):
    _log(tmp_path)
    losses, scores = curves.read(tmp_path, "psnr")
    assert losses[:2] == [(5, 0.5), (10, 0.25)]
    assert np.isnan(losses[2][1])
    assert scores == {
        "set a": [(10, 20.0), (20, 21.0)],
        "set b": [(10, 9.0), (20, 8.0)],
    }


def test_curves_are_drawn(tmp_path):
    import cv2

    _log(tmp_path)
    curves.write(tmp_path, "psnr")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture.shape == (400, 1000, 3)
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20  # lines, not a blank


def test_a_source_without_many_of_its_records_leaves_room_for_the_curves(tmp_path):
    _log(tmp_path, "birds:test-" + ",".join(f"image_{i:04d}.jpg" for i in range(20)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the layout collapses where a label is too long
        curves.write(tmp_path, "psnr")


def test_losses_below_0_are_drawn(tmp_path):
    import cv2

    lines = [{"step": i, "loss": -1.0 - i} for i in range(5)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "metrics.jsonl").write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of values that a logarithm cannot show
        curves.write(tmp_path, "psnr")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture.shape == (400, 500, 3)  # no frame of evaluations that there are not
    assert (np.ptp(picture, axis=-1) > 60).any()  # a line in colour
