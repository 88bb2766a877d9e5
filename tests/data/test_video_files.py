"""Videos are read as they were written, up to where they end, and written whole."""

import os
import resource

import cv2
import numpy as np
import pytest

from dpjax import errors
from dpjax.data import video_files
from tests import film_files


@pytest.fixture(scope="module")
def frames(photo):
    """Twenty parts of a photograph, each a little to the right of the last one."""
    return [np.array(photo[40:160, 4 * i : 4 * i + 160]) for i in range(20)]


def misses(found, wanted):
    """Mean difference of each frame from one that was written, grey levels."""
    return np.abs(np.asarray(found, int) - np.asarray(wanted)).mean((1, 2, 3))


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "mp4v"), ("a.MOV", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "MJPG")],
)
def test_every_frame_is_read_in_its_colours(tmp_path, frames, name, codec):
    path = film_files.write(tmp_path / name.lower(), frames, codec, rate=12.5)
    path = path.rename(tmp_path / name)
    assert video_files.inspect(path) == video_files.About(20, 12.5)
    numbers, found = zip(*video_files.read(path), strict=True)
    assert numbers == tuple(range(20))
    assert (misses(found, frames) < 6).all()
    assert (misses(found[1:], frames[:-1]) > 6).all()


def test_names_of_videos_are_known_by_their_endings(tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    known = ("a.mp4", "b.AVI", "c.mov", "d.mkv", "e.webm", "f.m4v")
    assert all(video_files.is_named_so(tmp_path / name) for name in known)
    for name in ("a.png", "mp4", "folder.mp4"):
        assert not video_files.is_named_so(tmp_path / name)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_a_video_that_is_cut_off_gives_the_frames_before_that(tmp_path, frames, name):
    path = film_files.write(
        tmp_path / name, frames, "mp4v" if name == "a.mp4" else "MJPG"
    )
    data = path.read_bytes()
    if name == "a.mp4":
        data = film_files.with_index_first(data)
        path.write_bytes(data)
        assert len(list(video_files.read(path))) == 20
    path.write_bytes(data[: len(data) // 2])
    found = []
    with pytest.raises(video_files.CutOff, match=r"ends in frame \d+ of the 20 that"):
        found.extend(frame for _, frame in video_files.read(path))
    assert 2 < len(found) < 18
    assert (misses(found, frames[: len(found)]) < 6).all()


def test_a_film_that_was_trimmed_is_whole(tmp_path, frames):
    path = film_files.write(tmp_path / "a.mp4", frames)
    path.write_bytes(film_files.trimmed(path.read_bytes(), 0.5))
    assert video_files.inspect(path).frames == 20  # of which ten are shown
    assert len(list(video_files.read(path))) == 10


@pytest.mark.parametrize("content", [b"", b"no film at all" * 100, None])
def test_what_is_no_video_is_told_by_name(tmp_path, frames, content):
    path = tmp_path / "bad.mp4"
    if content is None:  # cut off before what tells of the frames, at its end
        content = film_files.write(tmp_path / "a.mp4", frames).read_bytes()[:5000]
    path.write_bytes(content)
    for function in (video_files.inspect, lambda p: list(video_files.read(p))):
        with pytest.raises(errors.DataError, match=r"Cannot decode .*bad\.mp4"):
            function(path)


def test_a_video_of_no_frames_is_told_by_name(tmp_path, frames):
    path = tmp_path / "none.avi"
    cv2.VideoWriter(
        str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (160, 120)
    ).release()
    assert video_files.inspect(path).frames is None
    with pytest.raises(errors.DataError, match=r"none\.avi has no frames"):
        list(video_files.read(path))


def test_a_new_video_has_the_frames_the_rate_and_even_sides(tmp_path, frames):
    path = tmp_path / "new" / "a.mp4"
    odd = [frame[:119, :159] for frame in frames]
    with video_files.create(path, rate=29.97) as add:
        for frame in odd:
            add(frame)
        assert not path.exists()
    assert os.listdir(path.parent) == ["a.mp4"]
    found, rate = film_files.decoded(path)
    assert rate == pytest.approx(29.97)
    assert found.shape == (20, 120, 160, 3)
    assert (misses(found[:, :119, :159], odd) < 6).all()
    repeated = found[:, -1].astype(int) - found[:, -2]
    assert np.abs(repeated).mean() < 4


def create(path, frames):
    """A video of frames, or left by an error that stands in the place of a frame."""
    with video_files.create(path, rate=25) as add:
        for frame in frames:
            if isinstance(frame, BaseException):
                raise frame
            add(frame)


@pytest.mark.parametrize(
    ("second", "error", "message"),
    [
        (KeyboardInterrupt("stop"), KeyboardInterrupt, "stop"),
        (errors.DataError("bad"), errors.DataError, "bad"),
        (
            np.zeros((60, 160, 3), np.uint8),
            errors.DataError,
            r"frame 1 is \[60, 160, 3",
        ),
    ],
)
def test_a_video_that_is_left_by_an_error_leaves_what_was_there(
    tmp_path, frames, second, error, message
):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"older")
    with pytest.raises(error, match=message):
        create(path, [frames[0], second])
    with pytest.raises(errors.DataError, match="a video of no frames"):
        create(path, [])
    assert path.read_bytes() == b"older"
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_what_cannot_be_written_is_told(tmp_path, frames):
    with pytest.raises(errors.UserError, match=r"written as \.mp4, got .*a\.avi"):
        create(tmp_path / "a.avi", frames)
    wide = np.zeros((2, 10_000, 3), np.uint8)
    with pytest.raises(errors.UserError, match="10000 x 2 pixels at 25 a second do no"):
        create(tmp_path / "a.mp4", [wide])
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.StorageError, match="Cannot write"):
        create(tmp_path / "file" / "a.mp4", frames)
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def small_disk():
    """No file of this process becomes larger than 4 kB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, frames, small_disk):
    with pytest.raises(errors.StorageError, match="frames were lost"):
        create(tmp_path / "a.mp4", frames)
    assert os.listdir(tmp_path) == []
