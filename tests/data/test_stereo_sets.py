"""Records of relative disparity from a user's pairs, whole or not at all."""

import json
import pathlib
import pickle
import sys

import numpy as np
import PIL.Image
import pytest

from dpjax import cli, errors
from dpjax.cli import exits
from dpjax.data import preparation, sources
from dpjax.data.stereo import frames, pipeline
from tests import random_dots, stereo_scenes
from tests.data.stereo.test_video import write

RANGE = (-8, 8)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(image).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two pairs in folders of sides, one in a folder of its own, one that is flat."""
    root = tmp_path / "mine"
    for name in ("left/a", "left/b", "c/left"):
        left, right, _ = stereo_scenes.pair(len(name) + ord(name[-1]))
        save(root / f"{name}.png", left)
        save(root / f"{name.replace('left', 'right')}.png", right)
    save(root / "d" / "left.png", np.full((56, 96, 3), 77, np.uint8))
    save(root / "d" / "right.png", np.full((56, 96, 3), 77, np.uint8))
    return root


def prepare(folder, tmp_path, **options):
    given = {"config": "mine", "disparities": RANGE, **options}
    return preparation.prepare(
        "stereo_folder", folder=folder, directory=tmp_path / "records", **given
    )


def opened(tmp_path, name="stereo_folder/mine:train"):
    return sources.open_sources([name], directory=tmp_path / "records")


def contents(source):
    return {
        record["id"]: [record[key].tobytes() for key in ("image", *TARGETS)]
        for record in source
    }


TARGETS = ("disparity", "confidence")


def test_records_hold_what_the_frames_are(folder, tmp_path):
    prepare(folder, tmp_path)
    source = opened(tmp_path)
    assert source.ids() == ["a", "b", "c"]
    record = source[2]
    left, right = (
        np.asarray(PIL.Image.open(folder / "c" / f"{side}.png"))
        for side in ("left", "right")
    )
    settings = frames.Settings(disparities=RANGE)
    frame = frames.process([frames.Pair("c", left, right, "")], settings)[0]
    np.testing.assert_array_equal(record["image"], left)
    for target, dtype in zip(TARGETS, (np.float32, np.uint8), strict=True):
        assert record[target].dtype == dtype
        np.testing.assert_array_equal(record[target], getattr(frame, target))
    prepared = sources.inspect("stereo_folder/mine", directory=tmp_path / "records")
    assert len(prepared.skipped) == 1
    assert f"{folder}/d/left.png" in prepared.skipped[0]
    assert "one colour" in prepared.skipped[0]


def test_damaged_files_are_told_or_left_out_by_name(folder, tmp_path):
    path = folder / "right" / "b.png"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(errors.DataError, match=r"right/b\.png.*--skip-bad"):
        prepare(folder, tmp_path)
    prepare(folder, tmp_path, skip_bad=True)
    assert opened(tmp_path).ids() == ["a", "c"]


def test_a_folder_of_which_nothing_is_left_is_refused(folder, tmp_path):
    for name in ("left/a", "left/b", "c/left"):
        (folder / f"{name}.png").unlink()
        (folder / f"{name.replace('left', 'right')}.png").unlink()
    save(folder / "e" / "left.png", np.full((56, 96, 3), 77, np.uint8))
    save(folder / "e" / "right.png", stereo_scenes.pair(0)[1][1:])
    message = (
        r"0 of 2 frames are used; 1 constant, 1 sizes differ, such as .*one colour\."
    )
    with pytest.raises(errors.DataError, match=message) as caught:
        prepare(folder, tmp_path)
    # With pictures of what was rejected.
    page = str(caught.value).split("Pictures are in ")[1].rstrip(".")
    assert PIL.Image.open(page).size[0] > 100


def test_a_view_without_the_other_can_be_left_out(folder, tmp_path):
    (folder / "right" / "b.png").unlink()
    with pytest.raises(errors.DataError, match=r"left/b\.png.*--skip-bad"):
        prepare(folder, tmp_path)
    prepare(folder, tmp_path, skip_bad=True)
    assert opened(tmp_path).ids() == ["a", "c"]


def test_swapped_photographs_are_left_out_and_films_may_look_so(tmp_path):
    left, right, _ = random_dots.pair()
    for name, views in (("good", (left, right)), ("bad", (right, left))):
        for side, view in zip(("left", "right"), views, strict=True):
            save(tmp_path / "mine" / name / f"{side}.png", view)
    given = {"folder": tmp_path / "mine", "directory": tmp_path / "records"}
    preparation.prepare("stereo_folder", config="default", **given)
    assert opened(tmp_path, "stereo_folder/default:train").ids() == ["good"]
    skipped = sources.inspect(
        "stereo_folder/default", directory=tmp_path / "records"
    ).skipped
    assert "further right in the right view" in skipped[0]
    # Someone who asks for negative disparities means it.
    preparation.prepare(
        "stereo_folder", config="signed", disparities=(-16, 16), **given
    )
    assert opened(tmp_path, "stereo_folder/signed:train").ids() == ["bad", "good"]
    write(tmp_path / "films" / "f.avi", [np.concatenate([right, left], 1)] * 2)
    given["folder"] = tmp_path / "films"
    given |= {"config": "mine", "every": 1, "layout": "side-by-side"}
    preparation.prepare("stereo_video", **given)
    assert len(opened(tmp_path, "stereo_video/mine:train")) == 2


def test_the_command_says_what_was_left_out_and_refuses_foreign_options(
    folder, tmp_path, capsys
):
    def run(*words):
        return exits.run(lambda: cli.main(["prepare", *map(str, words)]))

    where = ("--from", folder, "--dir", tmp_path / "r")
    words = ("--disparities", *RANGE)
    assert run("stereo_folder", *where, *words) == 0
    said = capsys.readouterr().out
    assert "stereo_folder/default: 3 train images" in said
    assert "skipped: " in said
    assert run("image_folder", *where, *words) == errors.UserError.exit_code
    assert "no option --disparities" in capsys.readouterr().err
    assert run("image_folder", *where, "--grey") == errors.UserError.exit_code
    assert run("stereo_folder", *where, "--disparities", "8", "-8", "--replace") == 2
    assert "least to the largest" in capsys.readouterr().err


def test_a_report_lies_beside_the_records(folder, tmp_path):
    written = prepare(folder, tmp_path)
    found = json.loads((written / "quality.json").read_text())
    assert (found["frames"], found["accepted"]) == (4, 3)
    assert found["rejected"] == {"constant": 1}
    assert found["rejections"][0]["id"] == "d"
    assert PIL.Image.open(written / "quality.png").size[0] > 300
    notes = sources.inspect("stereo_folder/mine", directory=tmp_path / "records").notes
    assert notes[0].startswith("3 of 4 frames are used; 1 constant; see quality.json")


class Killed(BaseException):
    """Nothing catches it, as nothing catches a signal."""


def test_a_killed_build_goes_on_without_doubling_or_losing_records(
    folder, tmp_path, monkeypatch
):
    undisturbed = tmp_path / "other"
    given = {"config": "mine", "disparities": RANGE, "folder": folder}
    preparation.prepare("stereo_folder", directory=undisturbed, **given)
    process, matched = frames.process, []

    def killed(pairs, settings, *, batch):
        if len(matched) == 2:
            raise Killed
        return counted(pairs, settings, batch=batch)

    def counted(pairs, settings, *, batch):
        matched.extend(pair.name for pair in pairs)
        return process(pairs, settings, batch=batch)

    monkeypatch.setattr(frames, "process", killed)
    with pytest.raises(Killed):
        prepare(folder, tmp_path)
    with pytest.raises(errors.DataError, match="is not prepared"):
        opened(tmp_path)
    assert matched == ["a", "b"]
    monkeypatch.setattr(frames, "process", counted)
    prepare(folder, tmp_path)
    assert matched == ["a", "b", "c", "d"]
    source = opened(tmp_path)
    whole = sources.open_sources(["stereo_folder/mine:train"], directory=undisturbed)
    assert source.ids() == whole.ids()
    assert contents(source) == contents(whole)
    assert not list((tmp_path / "records").rglob("*.npz"))


@pytest.fixture
def films(tmp_path):
    """Six pictures of two views each."""
    root = tmp_path / "films"
    pictures = [np.concatenate(stereo_scenes.pair(i)[:2], axis=1) for i in range(6)]
    write(root / "a" / "one.avi", pictures)
    return root


def test_a_film_becomes_records_of_every_nth_frame(films, tmp_path):
    given = {"folder": films, "directory": tmp_path / "records", "config": "mine"}
    given |= {"disparities": RANGE, "layout": "side-by-side"}
    preparation.prepare("stereo_video", every=3, **given)
    source = opened(tmp_path, "stereo_video/mine:train")
    assert source.ids() == ["a/one/000000", "a/one/000003"]
    left, _, disparity = stereo_scenes.pair(3)
    image = source[1]["image"].astype(int)
    other = stereo_scenes.pair(2)[0]
    # Compressed, but no other frame.
    assert np.abs(image - left).mean() < np.abs(image - other).mean() / 2
    is_board = disparity == stereo_scenes.BEFORE
    assert np.abs(source[1]["disparity"] - is_board)[8:-8, 8:-8].mean() < 0.15


def test_a_film_that_is_cut_off_is_told_and_can_be_used_up_to_there(films, tmp_path):
    path = films / "a" / "one.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    given = {"folder": films, "directory": tmp_path / "records", "config": "mine"}
    given |= {"disparities": RANGE, "layout": "side-by-side", "every": 1}
    with pytest.raises(errors.DataError, match=r"one\.avi ends in frame .*--skip-bad"):
        preparation.prepare("stereo_video", **given)
    preparation.prepare("stereo_video", skip_bad=True, **given)
    ids = opened(tmp_path, "stereo_video/mine:train").ids()
    assert ids == [f"a/one/{i:06d}" for i in range(len(ids))]
    assert 1 <= len(ids) < 4
    skipped = sources.inspect(
        "stereo_video/mine", directory=tmp_path / "records"
    ).skipped
    assert "one.avi ends in frame" in skipped[-1]
    assert "--skip-bad" not in skipped[-1]  # which was passed


def test_options_of_films_are_checked_before_anything_is_read(tmp_path):
    for options, message in (
        ({"layout": "side-by-sid"}, "Did you mean side-by-side"),
        ({"every": 0}, "--every is 1 or more"),
    ):
        with pytest.raises(errors.UserError, match=message):
            preparation.prepare(
                "stereo_video", folder=tmp_path, directory=tmp_path, **options
            )


def test_a_command_for_films_takes_the_options_of_pairs(films, tmp_path, capsys):
    words = ["stereo_video", "--from", films, "--dir", tmp_path / "r", "--name", "x"]
    words += ["--disparities", *RANGE, "--layout", "side-by-side", "--every", 5]
    assert exits.run(lambda: cli.main(["prepare", *map(str, words)])) == 0
    assert "stereo_video/x: 2 train images" in capsys.readouterr().out


class InTurns:
    """As much of Beam as a pipeline of one map needs; tasks and work are pickled."""

    class Pipeline:
        def __init__(self, runner, options):
            InTurns.called = runner, options

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def __or__(self, step):
            return step([])

    class Tasks(list):
        def __or__(self, step):
            return step(self)

    class options:
        class pipeline_options:
            class PipelineOptions(list):
                def get_all_options(self, **how):
                    return {}

    @staticmethod
    def Create(items):
        return lambda _: InTurns.Tasks(items)

    @staticmethod
    def Reshuffle():
        return lambda tasks: InTurns.Tasks(tasks[::-1])

    @staticmethod
    def Map(work):
        work = pickle.loads(pickle.dumps(work))
        return lambda tasks: [work(pickle.loads(pickle.dumps(t))) for t in tasks]


def both_ways(folder, tmp_path, runner, monkeypatch):
    """Contents of the records of one machine and of a pipeline, and what it left."""
    prepare(folder, tmp_path)
    process, matched = frames.process, []

    def counted(pairs, settings, *, batch):
        matched.extend(pair.name for pair in pairs)
        return process(pairs, settings, batch=batch)

    def filled(readers, settings, place, **options):
        fill(readers, settings, place, **options)
        kept.extend(place.glob("*.npz"))
        monkeypatch.setattr(frames, "process", forbidden)

    def forbidden(pairs, settings, *, batch):
        assert not pairs, "matched again, after the workers"
        return []

    fill, kept = pipeline.fill, []
    monkeypatch.setattr(frames, "process", counted)
    monkeypatch.setattr(pipeline, "fill", filled)
    given = {"config": "mine", "beam_runner": runner, "beam_options": "a=1,b"}
    prepare(folder, tmp_path / "beam", **given)
    assert len(kept) == 4  # one of them a rejection
    one, other = opened(tmp_path), opened(tmp_path / "beam")
    assert one.ids() == other.ids()
    assert contents(one) == contents(other)
    assert one.fingerprint == other.fingerprint
    reports = [
        json.loads(next((p / "records").rglob("quality.json")).read_text())
        for p in (tmp_path / "beam", tmp_path)
    ]
    assert reports[0] == reports[1]
    return matched


def test_workers_and_one_machine_give_the_same_records(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "check", lambda runner: InTurns)
    matched = both_ways(folder, tmp_path, "SomeRunner", monkeypatch)
    assert matched == ["d", "c", "b", "a"]
    assert InTurns.called == ("SomeRunner", ["--a=1", "--b"])


def test_beam_and_one_machine_give_the_same_records(
    folder, tmp_path, monkeypatch, caplog
):
    pytest.importorskip("apache_beam")
    both_ways(folder, tmp_path, "DirectRunner", monkeypatch)
    assert "no option a, b;" in caplog.text


def test_workers_that_see_other_folders_are_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "check", lambda runner: InTurns)
    keep, elsewhere = pipeline.keep, tmp_path / "elsewhere"
    monkeypatch.setattr(
        InTurns, "Map", lambda work: lambda tasks: [keep(t, **of(work)) for t in tasks]
    )

    def of(work):
        return {**work.keywords, "folder": elsewhere}

    with pytest.raises(errors.UserError, match="SomeRunner kept nothing in"):
        prepare(folder, tmp_path, beam_runner="SomeRunner")
    assert len(list(elsewhere.iterdir())) == 4


def test_a_pipeline_that_fails_is_told_in_a_line(folder, tmp_path, monkeypatch):
    def refused(items):
        raise RuntimeError("cannot reach flink.example:8081\nand a long trace")

    monkeypatch.setattr(pipeline, "check", lambda runner: InTurns)
    monkeypatch.setattr(InTurns, "Create", refused)
    said = r"SomeRunner failed: cannot reach flink\.example:8081\. Mend its cause"
    with pytest.raises(errors.UserError, match=said):
        prepare(folder, tmp_path, beam_runner="SomeRunner")


def test_a_folder_is_the_same_however_it_is_written(folder, tmp_path, monkeypatch):
    """Keys of what is kept, and paths that workers get, tell the whole path."""
    monkeypatch.chdir(folder.parent)
    seen = []
    monkeypatch.setattr(pipeline, "check", lambda runner: InTurns)
    monkeypatch.setattr(pipeline, "fill", lambda readers, *a, **k: seen.extend(readers))
    prepare(pathlib.Path(folder.name), tmp_path, beam_runner="SomeRunner")
    origins = [pair.origin for reader in seen for pair in reader()]
    assert len(origins) == 4
    assert all(origin.startswith(str(folder)) for origin in origins)


def test_a_runner_without_beam_is_refused_before_any_work(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(errors.UserError, match=r"pip install 'dpjax\[beam\]'"):
        prepare(folder, tmp_path, beam_runner="DirectRunner")


def test_unknown_runners_and_options_of_none_are_refused(folder, tmp_path):
    with pytest.raises(errors.UserError, match="none without --beam-runner"):
        prepare(folder, tmp_path, beam_options="a=1")
    pytest.importorskip("apache_beam")
    with pytest.raises(errors.UserError, match="--beam-runner NoRunner"):
        prepare(folder, tmp_path, beam_runner="NoRunner")


def test_views_are_compared_as_asked(folder, tmp_path):
    prepare(folder, tmp_path)
    prepare(folder, tmp_path, config="rdis", cost="absolute")
    names = (f"stereo_folder/{name}:train" for name in ("mine", "rdis"))
    one, other = (opened(tmp_path, name) for name in names)
    assert one.ids() == other.ids()
    # Both see the board, and where they are sure differs.
    for record, same in zip(one, other, strict=True):
        assert np.abs(record["disparity"] - same["disparity"]).mean() < 0.1
        assert (record["confidence"] != same["confidence"]).any()
    with pytest.raises(errors.UserError, match="Did you mean census"):
        prepare(folder, tmp_path, config="x", cost="censsus")
