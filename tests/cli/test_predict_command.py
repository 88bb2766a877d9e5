"""`predict`: files and folders, and every way to ask for the impossible."""

import gc
import os
import threading
import weakref

import numpy as np
import PIL.Image
import pytest

from dpjax import cli, errors, tasks
from dpjax.cli import predict
from dpjax.data import degradations
from dpjax.inference import pictures, predictor


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


def test_without_an_output_a_new_file_is_written_here(
    tmp_path, folder, weights, capsys, monkeypatch
):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    before = (folder / "a.png").read_bytes()
    expected = predictor.Predictor(weights)(folder / "a.png").image
    for name in ("a-restored.png", "a-restored-2.png", "a-restored-3.png"):
        assert predict.main([weights, str(folder / "a.png")]) == 0
        assert capsys.readouterr().out == f"{name}: 30 x 20\n"
        np.testing.assert_array_equal(opened(here / name), expected)
    assert len(os.listdir(here)) == 3
    assert (folder / "a.png").read_bytes() == before


def test_without_an_output_a_new_folder_is_written_here(
    tmp_path, folder, weights, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    assert predict.main([weights, "."]) == 0
    assert capsys.readouterr().out == "in-restored: 3 of 3 pictures\n"
    written = {str(p.relative_to(folder)) for p in folder.glob("in-*/**/*.png")}
    assert written == {
        "in-restored/a.png.png",
        "in-restored/a.jpg.png",
        "in-restored/deep/b.png",
    }
    with pytest.raises(errors.UserError, match="in-restored exists already"):
        predict.main([weights, "."])


@pytest.mark.parametrize(
    ("kind", "name"),
    [("segmentation", "labels"), ("depth", "depth"), ("restoration", "restored")],
)
def test_results_are_called_what_they_are(kind, name):
    assert {t.result for t in tasks.TYPES if getattr(t, "kind", None) == kind} == {name}


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
def many(tmp_path, photo):
    """Eight pictures of several kinds, two of them broken; in their order."""
    source = tmp_path / "many"
    source.mkdir()
    for i in range(8):
        part = photo[10 * i : 10 * i + 20, : 24 + i]
        if i in (2, 5):
            (source / f"{i}.png").write_bytes(b"broken")
        elif i == 3:
            pictures.write(source / f"{i}.png", part.astype(np.uint16) * 257)
        elif i == 6:
            pictures.write(source / f"{i}.png", part, part[..., :1])
        else:
            PIL.Image.fromarray(part[..., 0] if i == 4 else part).save(
                source / f"{i}.png"
            )
    return sorted(source.iterdir())


def test_a_folder_gives_the_files_and_errors_of_one_by_one(
    tmp_path, many, weights, capsys
):
    alone, together = tmp_path / "alone", tmp_path / "together"
    restore, lines = predictor.Predictor(weights), []
    for path in many:
        try:
            restore(path).save(alone / path.name)
        except errors.DataError as error:
            lines.append(f"left out {path}: {error}")
    assert len(lines) == 2
    assert predict.main([weights, str(many[0].parent), "-o", str(together)]) == 3
    assert capsys.readouterr().err.splitlines() == lines
    assert sorted(os.listdir(together)) == sorted(os.listdir(alone))
    for path in alone.iterdir():
        assert (together / path.name).read_bytes() == path.read_bytes()


class Stages:
    """Watches what a folder's pictures go through; says when a stage has begun."""

    def __init__(self, monkeypatch):
        self.begun = {}
        for owner, name in (
            (pictures, "read"),
            (predictor.Predictor, "__call__"),
            (predictor.Result, "save"),
        ):
            self._watch(monkeypatch, owner, name)

    def event(self, stage, number):
        return self.begun.setdefault((stage, number), threading.Event())

    def before(self, stage, number):
        """Called where a stage begins, for tests to put something in its way."""

    def after(self, value):
        """Called with what a stage returned."""

    def _watch(self, monkeypatch, owner, name):
        original, count = getattr(owner, name), iter(range(100))

        def call(*arguments, **options):
            number = next(count)
            self.event(name, number).set()
            self.before(name, number)
            value = original(*arguments, **options)
            self.after(value)
            return value

        monkeypatch.setattr(owner, name, call)


@pytest.fixture
def stages(monkeypatch):
    return Stages(monkeypatch)


def test_neighbours_are_read_and_written_while_a_picture_is_computed(
    tmp_path, folder, weights, stages
):
    def before(stage, number):
        if stage == "__call__" and number < 2:
            assert stages.event("read", number + 1).wait(20)
        if stage == "save" and number < 2:
            assert stages.event("__call__", number + 1).wait(20)

    stages.before = before
    assert predict.main([weights, str(folder), "-o", str(tmp_path / "out")]) == 0


def test_a_folder_takes_the_memory_of_a_few_pictures(tmp_path, many, weights, stages):
    made, alive = [], []

    def before(stage, number):
        gc.collect()
        alive.append(sum(reference() is not None for reference in made))

    def after(value):
        if isinstance(value, (pictures.Picture, predictor.Result)):
            made.append(weakref.ref(value))

    stages.before, stages.after = before, after
    assert predict.main([weights, str(many[0].parent), "-o", str(tmp_path / "o")]) == 3
    assert len(made) == 6 + 6
    assert max(alive) <= 4


def test_an_interrupted_folder_holds_whole_pictures_only(
    tmp_path, folder, weights, stages, capsys
):
    def before(stage, number):
        if (stage, number) == ("__call__", 2):
            raise KeyboardInterrupt
        if (stage, number) == ("save", 1):
            assert stages.event("__call__", 2).wait(20)

    stages.before = before
    output = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        predict.main([weights, str(folder), "-o", str(output)])
    assert {p.name for p in output.rglob("*")} == {"a.jpg.png", "a.png.png"}
    restore = predictor.Predictor(weights)
    for name in ("a.jpg", "a.png"):
        expected = restore(folder / name).image
        np.testing.assert_array_equal(opened(output / f"{name}.png"), expected)


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
    assert predict.main([weights, str(folder), "-o", str(output)]) == 3
    said = capsys.readouterr()
    assert "3 of 4 pictures" in said.out
    assert "gone.png, which does not exist" in said.err
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
