"""A data set is prepared whole, or there is nothing that looks like it."""

import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import preparation, sources


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(8):
        path = tmp_path / "images" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        PIL.Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(path)
    return tmp_path / "images"


def prepare(folder, tmp_path, **options):
    given = {"config": "mine", "ratio": 1.0, **options}
    return preparation.prepare(
        "image_folder", folder=folder, directory=tmp_path / "records", **given
    )


def files_below(root):
    return sorted(
        p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()
    )


def opened(tmp_path, name="image_folder/mine:train"):
    return sources.open_sources([name], directory=tmp_path / "records")


def test_records_keep_the_order_of_the_names_and_the_bytes_of_the_files(
    folder, tmp_path
):
    written = prepare(folder, tmp_path)
    assert written == tmp_path / "records" / "image_folder" / "mine" / "1.0.0"
    source = opened(tmp_path)
    assert source.ids() == [f"{i}.png" for i in range(8)]
    for i in range(8):
        truth = np.asarray(PIL.Image.open(folder / f"{i}.png"))
        np.testing.assert_array_equal(source[i]["image"], truth)


def test_progress_counts_every_file(folder, tmp_path):
    seen = []
    prepare(folder, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 8) for i in range(1, 9)]


def test_preparing_twice_gives_the_same_bytes(folder, tmp_path):
    first = prepare(folder, tmp_path)
    second = prepare(folder, tmp_path, config="other")
    for one, other in zip(
        sorted(first.glob("*array_record*")),
        sorted(second.glob("*array_record*")),
        strict=True,
    ):
        assert one.read_bytes() == other.read_bytes()


def test_several_folders_live_side_by_side(folder, tmp_path):
    prepare(folder, tmp_path)
    (folder / "7.png").unlink()
    prepare(folder, tmp_path, config="fewer")
    assert len(opened(tmp_path)) == 8
    assert len(opened(tmp_path, "image_folder/fewer:train")) == 7


def test_nothing_is_overwritten_unless_asked(folder, tmp_path):
    prepare(folder, tmp_path)
    before = opened(tmp_path).fingerprint
    (folder / "0.png").unlink()
    with pytest.raises(errors.UserError, match=r"prepared already in .*--replace"):
        prepare(folder, tmp_path)
    assert opened(tmp_path).fingerprint == before
    prepare(folder, tmp_path, replace=True)
    assert len(opened(tmp_path)) == 7
    assert not [f for f in files_below(tmp_path / "records") if "unfinished" in f]


def test_a_bad_file_stops_everything_and_leaves_nothing(folder, tmp_path):
    (folder / "5.png").write_bytes((folder / "5.png").read_bytes()[:200])
    with pytest.raises(errors.DataError, match=r"5\.png.*--skip-bad"):
        prepare(folder, tmp_path)
    assert files_below(tmp_path / "records") == ["image_folder/.lock"]
    with pytest.raises(errors.DataError, match="is not prepared"):
        opened(tmp_path)


def test_a_failed_replacement_keeps_the_old_records(folder, tmp_path):
    prepare(folder, tmp_path)
    before = files_below(tmp_path / "records")
    (folder / "5.png").write_bytes(b"")
    with pytest.raises(errors.DataError, match=r"5\.png is empty"):
        prepare(folder, tmp_path, replace=True)
    assert files_below(tmp_path / "records") == before
    assert opened(tmp_path)[5]["image"].shape == (20, 24, 3)


def test_skipped_files_are_listed(folder, tmp_path):
    (folder / "5.png").write_bytes(b"")
    PIL.Image.new("RGB", (1, 1)).save(folder / "2.png")
    prepare(folder, tmp_path, skip_bad=True)
    skipped = sources.inspect(
        "image_folder/mine", directory=tmp_path / "records"
    ).skipped
    assert len(skipped) == 2
    assert "2.png has 1x1 pixels" in skipped[0]
    assert "5.png is empty" in skipped[1]
    assert opened(tmp_path).ids() == [
        "0.png",
        "1.png",
        "3.png",
        "4.png",
        "6.png",
        "7.png",
    ]
    for i in range(8):
        (folder / f"{i}.png").write_bytes(b"")
    with pytest.raises(errors.DataError, match="No usable image for split 'train'"):
        prepare(folder, tmp_path, skip_bad=True, config="none")


def test_missing_and_empty_folders_and_missing_option(tmp_path):
    with pytest.raises(errors.DataError, match="does not exist"):
        prepare(tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.DataError, match="found none"):
        prepare(tmp_path / "empty", tmp_path)
    with pytest.raises(errors.UserError, match="prepare image_folder --from DIR"):
        prepare(None, tmp_path)
    with pytest.raises(errors.UserError, match="photos brings its own files"):
        preparation.prepare("photos", folder=tmp_path, directory=tmp_path)
    assert not [f for f in files_below(tmp_path) if not f.endswith(".lock")]


@pytest.mark.parametrize("where", ["file", "proc"])
def test_an_unwritable_place_is_a_storage_error(folder, tmp_path, where):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" if where == "file" else pathlib.Path("/proc/none")
    with pytest.raises(errors.StorageError, match="Cannot write records below"):
        preparation.prepare("image_folder", folder=folder, directory=place, config="m")


_KILLED = """
import os, pathlib, signal, sys
from dpjax.data import preparation
def stop(done, total):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
folder, records = map(pathlib.Path, sys.argv[1:])
preparation.prepare("image_folder", folder=folder, directory=records, config="mine",
                    ratio=1.0, replace=True, progress=stop)
"""


@pytest.mark.chaos
def test_killed_midway_leaves_the_old_records_and_no_new_ones(folder, tmp_path):
    def killed():
        environment = {
            **os.environ,
            "PYTHONPATH": str(pathlib.Path(__file__).parents[2]),
        }
        command = [sys.executable, "-c", _KILLED, str(folder), tmp_path / "records"]
        done = subprocess.run(command, env=environment, timeout=60)
        assert done.returncode == -signal.SIGKILL

    killed()
    with pytest.raises(errors.DataError, match="is not prepared"):
        opened(tmp_path)
    prepare(folder, tmp_path)
    before = files_below(tmp_path / "records")
    assert not [f for f in before if "unfinished" in f or "incomplete" in f]
    killed()
    assert len(opened(tmp_path)) == 8
    prepare(folder, tmp_path, replace=True)
    assert files_below(tmp_path / "records") == before


def _open_photos(directory):
    source = sources.open_sources(["photos"], directory=directory)
    (file,) = directory.glob("photos/*/photos-train*")
    return source.fingerprint, source[3]["image"].sum(), file.stat().st_mtime_ns


def test_two_processes_prepare_the_same_set_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        first, second = pool.map(_open_photos, [tmp_path, tmp_path])
    assert first == second  # the time too: nobody wrote it again
    assert not (tmp_path / "photos" / ".unfinished").exists()


def test_locate_takes_the_newest_whole_version(tmp_path):
    for version in ("1.0.0", "1.10.0", "1.9.0", "2.0.0.incompleteAB", "draft"):
        (tmp_path / "t91" / version).mkdir(parents=True)
        (tmp_path / "t91" / version / "dataset_info.json").touch()
    (tmp_path / "t91" / "3.0.0").mkdir()  # without the file that ends a preparation
    assert preparation.locate("t91", None, tmp_path).name == "1.10.0"
    assert preparation.locate("t91", "x", tmp_path) is None
    assert preparation.locate("set5", None, str(tmp_path)) is None


def test_default_directory_follows_the_environment(monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "~/somewhere")
    assert preparation.default_directory() == pathlib.Path.home() / "somewhere"
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert preparation.default_directory().name == "tensorflow_datasets"
