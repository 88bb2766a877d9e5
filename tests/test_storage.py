"""A file is written whole or not at all, whatever gets in the way."""

import concurrent.futures
import os
import threading

import pytest

from dpjax import errors, storage


def test_a_file_is_replaced_and_its_folder_made(tmp_path):
    path = tmp_path / "deep" / "file"
    for data in (b"old", b"new"):
        storage.replace(path, data)
        assert path.read_bytes() == data
    assert os.listdir(path.parent) == ["file"]


def test_a_file_that_another_one_writes_is_there_when_it_is_whole(tmp_path):
    path = tmp_path / "deep" / "file.mp4"
    with storage.in_place_of(path, ending=".mp4") as part:
        assert part.suffix == ".mp4"
        part.write_bytes(b"new")
        assert os.listdir(path.parent) == [part.name]
    assert path.read_bytes() == b"new"
    with pytest.raises(FileNotFoundError), storage.in_place_of(path) as part:
        part.with_name("gone").read_bytes()  # no fault of this file
    assert os.listdir(path.parent) == ["file.mp4"]
    assert path.read_bytes() == b"new"


def test_threads_that_write_one_file_do_not_meet(tmp_path, monkeypatch):
    path = tmp_path / "file"
    both = threading.Barrier(2, timeout=10)
    monkeypatch.setattr(os, "fsync", lambda _: both.wait())  # each has its part open
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(storage.replace, path, b"same") for _ in range(2)]:
            future.result()
    assert path.read_bytes() == b"same"
    assert os.listdir(tmp_path) == ["file"]


def test_an_interruption_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "file"
    storage.replace(path, b"old")

    def interrupt(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        storage.replace(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_names_are_shortened_and_stay_apart(tmp_path):
    assert storage.short_name("val_1.jpg") == "val_1.jpg"
    many = ["val-" + "ä,b" * 80 + str(i) for i in range(3)]
    many += [f"{i}" + "ä,b" * 80 + ".jpg" for i in range(3)] + ["ä" * 30 + "b" * 90]
    short = [storage.short_name(name) for name in many]
    assert len(set(short)) == len(many)
    for name, long in zip(short, many, strict=True):
        (tmp_path / f"00-{name}.png").write_bytes(b"")
        assert len(name.encode()) <= 120
        assert name[:20] == long[:20]
        assert name[-20:] == long[-20:]


def test_a_place_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.StorageError, match=r"Cannot write .*file.inner: \w+"):
        storage.replace(tmp_path / "file" / "inner", b"new")
