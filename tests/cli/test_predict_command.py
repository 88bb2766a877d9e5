"""`predict`: files and folders, and every way to ask for the impossible."""

import os

import numpy as np
import PIL.Image
import pytest

from dpjax import cli, errors
from dpjax.cli import predict
from dpjax.data import degradations
from dpjax.inference import predictor


@pytest.fixture(scope="module")
def weights(tiny_weights):
    return str(tiny_weights())


@pytest.fixture
def folder(tmp_path, photo):
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    PIL.Image.fromarray(photo[:20, :30]).save(source / "a.png")
    PIL.Image.fromarray(photo[:20, :30]).save(source / "a.jpg")
    PIL.Image.fromarray(photo[:9, :9, 0]).save(source / "deep" / "b.bmp")
    return source


def opened(path):
    with PIL.Image.open(path) as image:
        return np.asarray(image)


def test_a_file_is_predicted(tmp_path, folder, weights, capsys):
    target = tmp_path / "new" / "out.png"
    assert predict.main([weights, str(folder / "a.png"), "-o", str(target)]) == 0
    expected = predictor.Predictor(weights)(folder / "a.png").image
    np.testing.assert_array_equal(opened(target), expected)
    assert capsys.readouterr().out == f"{target}: 30 x 20\n"
    assert os.listdir(target.parent) == ["out.png"]


def test_ensemble_scale_and_memory_reach_the_predictor(
    tmp_path, folder, tiny_weights, capsys
):
    enlarge = str(tiny_weights("sr2", space="y", suffers=(degradations.Bicubic(2),)))
    words = [enlarge, str(folder / "a.png"), "-o", str(tmp_path / "o.png")]
    words += ["--scale", "2", "--ensemble", "--memory-gb", "0.5"]
    assert predict.main(words) == 0
    expected = predictor.Predictor(enlarge, ensemble=True)(folder / "a.png").image
    np.testing.assert_array_equal(opened(tmp_path / "o.png"), expected)
    assert "60 x 40" in capsys.readouterr().out


def test_a_folder_keeps_its_structure_and_confuses_no_names(
    tmp_path, folder, weights, capsys
):
    output = tmp_path / "out"
    assert predict.main([weights, str(folder), "-o", str(output)]) == 0
    written = {str(p.relative_to(output)) for p in output.rglob("*.*")}
    assert written == {"a.png.png", "a.jpg.png", os.path.join("deep", "b.png")}
    assert "3 of 3 pictures" in capsys.readouterr().out
    assert opened(output / "deep" / "b.png").shape == (9, 9)


def test_a_bad_file_does_not_stop_a_folder(tmp_path, folder, weights, capsys):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing more")
    (folder / "empty.jpg").write_bytes(b"")
    output = tmp_path / "out"
    code = predict.main([weights, str(folder), "-o", str(output)])
    assert code == errors.DataError.exit_code == 3
    said = capsys.readouterr()
    assert "3 of 5 pictures" in said.out
    assert "broken.png" in said.err
    assert "empty.jpg is empty" in said.err
    assert len(list(output.rglob("*.png"))) == 3


@pytest.fixture
def locked(folder):
    """A picture that is there and cannot be read."""
    path = folder / "locked.png"
    path.write_bytes((folder / "a.png").read_bytes())
    path.chmod(0)
    memory = "/proc/self/mem"  # a regular file that refuses to be read, even to root
    if os.access(path, os.R_OK):
        if not os.path.isfile(memory):
            pytest.skip("this user may read every file")
        path.unlink()
        path.symlink_to(memory)
    return path


def test_a_file_that_cannot_be_read_is_named(tmp_path, folder, locked, weights, capsys):
    output = tmp_path / "out"
    assert predict.main([weights, str(folder), "-o", str(output)]) == 3
    said = capsys.readouterr()
    assert "3 of 4 pictures" in said.out
    assert f"left out {locked}: Cannot read {locked}: " in said.err
    with pytest.raises(errors.DataError, match=r"Cannot read .*locked\.png: \w+"):
        predict.main([weights, str(locked), "-o", str(tmp_path / "o.png")])
    assert not (tmp_path / "o.png").exists()


def test_links_to_nothing_and_folders_named_like_pictures(
    tmp_path, folder, weights, capsys
):
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (folder / "folder.png").mkdir()
    output = tmp_path / "out"
    assert predict.main([weights, str(folder), "-o", str(output)]) == 0
    assert "3 of 3 pictures" in capsys.readouterr().out
    words = ["-o", str(tmp_path / "o.png")]
    with pytest.raises(errors.UserError, match=r"gone\.png does not exist"):
        predict.main([weights, str(folder / "gone.png"), *words])
    with pytest.raises(errors.UserError, match=r"folder\.png is a folder"):
        predict.main([weights, str(folder / "folder.png"), *words])
    with pytest.raises(errors.UserError, match=r"folder\.png, which is a folder"):
        predictor.Predictor(weights)(folder / "folder.png")


def test_results_inside_the_source_are_not_predicted_again(folder, weights, capsys):
    output = folder / "results"
    for _ in range(2):
        assert predict.main([weights, str(folder), "-o", str(output)]) == 0
        assert "3 of 3 pictures" in capsys.readouterr().out
    with pytest.raises(errors.DataError, match="earlier results"):
        predict.main([weights, str(output), "-o", str(output / "..")])


def test_a_full_disk_stops_a_folder(tmp_path, folder, weights, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(errors.StorageError, match="No space left"):
        predict.main([weights, str(folder), "-o", str(tmp_path / "out")])
    assert list((tmp_path / "out").rglob("*.*")) == []


@pytest.mark.parametrize(
    ("source", "output", "message"),
    [
        ("absent", "o.png", "absent does not exist"),
        ("in/a.png", "o.doc", r"Pictures are written as .*o\.doc"),
        ("in/a.png", "in/a.png", "is the input; it would be overwritten"),
        ("in", "o.png", "the output must be a folder too"),
        ("in", "in", "would mix with the inputs"),
    ],
)
def test_impossible_wishes_fail_before_weights_load(
    tmp_path, folder, source, output, message
):
    words = ["no-such-weights", str(tmp_path / source), "-o", str(tmp_path / output)]
    with pytest.raises(errors.UserError, match=message):
        predict.main(words)


def test_wrong_weights_options_and_budgets_are_named(tmp_path, folder, weights):
    words = [str(folder / "a.png"), "-o", str(tmp_path / "o.png")]
    with pytest.raises(errors.UserError, match="no-such-weights"):
        predict.main(["no-such-weights", *words])
    with pytest.raises(errors.UserError, match="do not enlarge; got scale 3"):
        predict.main([weights, *words, "--scale", "3"])
    for gigabytes in ("0", "-1", "nan"):
        with pytest.raises(errors.UserError, match="wants a positive number"):
            predict.main([weights, *words, "--memory-gb", gigabytes])
    assert not (tmp_path / "o.png").exists()


def test_the_output_may_be_an_existing_folder(tmp_path, folder, weights):
    assert predict.main([weights, str(folder / "a.jpg"), "-o", str(tmp_path)]) == 0
    assert opened(tmp_path / "a.png").shape == (20, 30, 3)


def test_commands_can_follow_each_other_in_one_process(tmp_path, folder, weights):
    for _ in range(2):
        assert cli.main(["list", "rednet10"]) == 0
        words = [weights, str(folder / "a.jpg"), "-o", str(tmp_path / "o.png")]
        assert cli.main(["predict", *words]) == 0
