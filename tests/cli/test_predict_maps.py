"""`predict` of depth and labels: maps beside the picture, and what is said of them."""

import os
import re

import numpy as np
import PIL.Image
import pytest

from dpjax import config, errors
from dpjax.cli import predict
from dpjax.inference import predictor
from dpjax.tasks import depth, relative_depth, segmentation, self_supervised_depth
from tests import depth_weights

SURE = config.Model(
    depth_weights.ONE_SIZE.name,
    {**depth_weights.ONE_SIZE.options, "crf": "grid_calibrated", "probes": 4},
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photo):
    source = tmp_path_factory.mktemp("pictures")
    PIL.Image.fromarray(photo[:96, :128]).save(source / "a.png")
    PIL.Image.fromarray(photo[100:196, :128]).save(source / "b.png")
    return source


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Of each kind of task."""
    root = tmp_path_factory.mktemp("weights")
    write = depth_weights.write
    return {
        "depth": str(write(root / "depth.safetensors")),
        "sure": str(
            write(root / "sure.safetensors", SURE, depth.Depth(size=(76, 101)))
        ),
        "order": str(
            write(
                root / "order.safetensors",
                task=relative_depth.RelativeDepth(size=(96, 128)),
            )
        ),
        "labels": str(
            write(
                root / "labels.safetensors",
                depth_weights.LABELS,
                segmentation.Segmentation(),
            )
        ),
    }


def test_the_line_of_a_depth_picture_says_how_far_it_reaches(
    tmp_path, folder, weights, capsys
):
    target = tmp_path / "o.png"
    words = [weights["depth"], str(folder / "a.png"), "-o", str(target)]
    assert predict.main(words) == 0
    found = predictor.Predictor(weights["depth"])(folder / "a.png")
    low, high = (f"{v:.3g}" for v in np.quantile(found.maps["depth"], (0, 1)))
    height = found.image.shape[0]
    assert capsys.readouterr().out == f"{target}: 256 x {height}, {low} to {high} m\n"
    assert os.listdir(tmp_path) == ["o.png"]
    assert predict.main([*words, "--range", "0.5", "30"]) == 0
    assert f", {low} to {high} m\n" in capsys.readouterr().out
    with PIL.Image.open(target) as image:
        ranged = predictor.Predictor(weights["depth"])(
            folder / "a.png", range=(0.5, 30.0)
        )
        np.testing.assert_array_equal(np.asarray(image), ranged.image)
    assert (ranged.image != found.image).any()


def test_all_maps_are_written_beside_a_new_picture(
    tmp_path, folder, weights, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a-depth.deviation.npy").write_bytes(b"mine")  # so another name is used
    assert predict.main([weights["sure"], str(folder / "a.png"), "--maps"]) == 0
    lines = capsys.readouterr().out.splitlines()
    result = predictor.Predictor(weights["sure"])(folder / "a.png")
    names = ["a-depth-2.png", "a-depth-2.depth.npy", "a-depth-2.deviation.npy"]
    assert [line.split(":")[0] for line in lines] == names
    assert sorted(os.listdir()) == sorted(["a-depth.deviation.npy", *names])
    for name, line in zip(("depth", "deviation"), lines[1:], strict=True):
        kept = np.load(f"a-depth-2.{name}.npy")
        np.testing.assert_array_equal(kept, result.maps[name])
        assert re.fullmatch(r".*: 128 x 96, [\d.]+ to [\d.]+ m", line)
        assert f"{kept.min():.3g} to {kept.max():.3g} m" in line


def test_a_single_map_says_its_range_and_unit_too(tmp_path, folder, weights, capsys):
    words = [str(folder / "a.png"), "-o", str(tmp_path / "o.npy")]
    assert predict.main([weights["depth"], *words, "--map", "depth"]) == 0
    assert re.search(r"o\.npy: 128 x 96, [\d.]+ to [\d.]+ m\n", capsys.readouterr().out)
    assert predict.main([weights["order"], *words, "--map", "relative_depth"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"o\.npy: 128 x 96, \S+ to \S+\n", said)  # in no unit
    picture = [words[0], "-o", str(tmp_path / "o.png")]
    assert predict.main([weights["order"], *picture, "--range", "-1", "2"]) == 0
    assert re.search(r"o\.png: .*, colours from -1 to 2\n", capsys.readouterr().out)
    np.testing.assert_array_equal(
        np.load(tmp_path / "o.npy"),
        predictor.Predictor(weights["order"])(folder / "a.png").maps["relative_depth"],
    )


def test_depth_that_pairs_taught_without_their_cameras_is_in_baselines(
    tmp_path, folder, capsys
):
    task = self_supervised_depth.SelfSupervisedDepth(size=(32, 64), limits=(0.01, 1e4))
    model = config.Model("garg2016_resnet50", {"blocks": (1, 1, 1, 1)})
    weights = depth_weights.write(tmp_path / "pairs.safetensors", model, task)
    words = [str(weights), str(folder / "a.png"), "-o", str(tmp_path / "o.png")]
    assert predict.main([*words, "--maps"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert re.fullmatch(r".*: \d+ x \d+, \S+ to \S+ baselines", line)


def test_a_folder_gets_its_maps_and_a_line_about_each_file(
    tmp_path, folder, weights, capsys
):
    output = tmp_path / "out"
    words = [weights["depth"], str(folder), "-o", str(output), "--maps"]
    assert predict.main(words) == 0
    assert sorted(os.listdir(output)) == [
        "a.depth.npy",
        "a.png",
        "b.depth.npy",
        "b.png",
    ]
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == f"{output}: 2 of 2 pictures"
    names = ("a.png", "a.depth.npy", "b.png", "b.depth.npy")
    for line, name in zip(lines, names, strict=True):
        assert re.match(rf".*{re.escape(name)}: \d+ x \d+, [\d.]+ to [\d.]+ m$", line)


def test_whole_numbers_are_pictures_that_take_no_other_picture_s_place(
    tmp_path, folder, weights, capsys
):
    target = tmp_path / "a.png"
    words = [weights["labels"], str(folder / "a.png"), "-o", str(target), "--maps"]
    assert predict.main(words) == 0
    assert f"{tmp_path / 'a.labels.png'}: 128 x 96\n" in capsys.readouterr().out
    result = predictor.Predictor(weights["labels"])(folder / "a.png")
    with PIL.Image.open(tmp_path / "a.labels.png") as image:
        np.testing.assert_array_equal(np.asarray(image), result.maps["labels"])
    assert result.image.shape[0] - result.legend_rows == 96
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.png", "a.labels.png"):
        (source / name).write_bytes((folder / "a.png").read_bytes())
    given = (source / "a.labels.png").read_bytes()
    for words in (
        (source, tmp_path / "out"),
        (source / "a.labels.png", source / "a.png"),
    ):
        command = [weights["labels"], str(words[0]), "-o", str(words[1]), "--maps"]
        with pytest.raises(errors.UserError, match=r"a\.labels\.png is where the map"):
            predict.main(command)
    assert (source / "a.labels.png").read_bytes() == given
    assert not (tmp_path / "out").exists()


def test_maps_of_fractions_are_no_pictures_and_take_no_picture_s_place(
    tmp_path, folder, weights
):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("a.png", "a.depth.png"):
        (source / name).write_bytes((folder / "a.png").read_bytes())
    output = tmp_path / "out"
    words = [weights["depth"], str(source), "-o", str(output), "--maps"]
    assert predict.main(words) == 0
    assert {p.name for p in output.iterdir()} == {
        "a.png",
        "a.depth.npy",
        "a.depth.png",
        "a.depth.depth.npy",
    }


def test_what_has_no_such_map_or_range_is_told_before_anything_is_written(
    tmp_path, folder, weights, tiny_weights
):
    words = [str(folder), "-o", str(tmp_path / "out")]
    noise = str(tiny_weights())
    for given, message in (
        (["no-such-weights", *words, "--map", "depth", "--maps"], "Leave one of them"),
        ([noise, *words, "--maps"], "makes pictures and gives no maps"),
        ([weights["depth"], *words, "--map", "depht"], "Did you mean depth"),
        ([weights["depth"], *words, "--range", "3", "2"], "a smaller and a larger"),
        ([weights["depth"], *words, "--range", "-1", "2"], "both above 0, got -1.0 2"),
        ([weights["order"], *words, "--range", "2", "1"], "larger number, got 2.0 1.0"),
        ([weights["labels"], *words, "--range", "1", "2"], "no option 'range'"),
        ([noise, *words, "--range", "1", "2"], "option of restoration 'range'"),
    ):
        with pytest.raises(errors.UserError, match=message):
            predict.main(given)
    assert not (tmp_path / "out").exists()


def test_a_map_that_this_network_has_not_is_left_out_of_every_picture(
    tmp_path, folder, weights, capsys
):
    words = [str(folder), "-o", str(tmp_path / "out"), "--map", "deviation"]
    assert predict.main([weights["depth"], *words]) == errors.DataError.exit_code
    assert "Unknown map of this result 'deviation'" in capsys.readouterr().err
