"""Films that were written are read back, whole or up to where they were cut off."""

import cv2
import numpy as np
import pytest

from dpjax import errors
from dpjax.data import video_files
from dpjax.data.stereo import video
from tests import stereo_scenes


def write(path, pictures, codec="MJPG"):
    height, width = pictures[0].shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), code, 24, (width, height))
    assert writer.isOpened()
    for picture in pictures:
        writer.write(picture[..., ::-1])
    writer.release()


@pytest.fixture
def pictures():
    """Twelve frames that are told apart by their level."""
    noise = stereo_scenes.texture(0, 48, 64) // 4
    return [noise + np.uint8(15 * i) for i in range(12)]


@pytest.mark.parametrize("every", [1, 5, 11, 20])
def test_every_nth_frame_is_read(tmp_path, pictures, every):
    write(tmp_path / "a.avi", pictures)
    found = list(video_files.read(tmp_path / "a.avi", every=every))
    assert [number for number, _ in found] == list(range(0, 12, every))
    for number, picture in found:
        assert picture.dtype == np.uint8
        miss = np.abs(picture.astype(int) - pictures[number])
        assert miss.mean() < 6  # the next frame is 15 away


def test_a_film_that_ends_in_a_frame_gives_those_before_it(tmp_path, pictures):
    whole, path = tmp_path / "whole.avi", tmp_path / "cut.avi"
    write(whole, pictures)
    data = whole.read_bytes()
    frames = range(data.index(b"movi"), len(data))
    starts = [i for i in frames if data[i : i + 4] == b"00dc"][:12]
    path.write_bytes(data[: (starts[7] + starts[8]) // 2])
    reading, found = video_files.read(path), []
    with pytest.raises(errors.DataError, match=r"cut\.avi ends in frame \d of the 12"):
        found.extend(reading)  # what came before the error stays
    assert [number for number, _ in found] == list(range(7))
    for number, picture in found:
        assert np.abs(picture.astype(int) - pictures[number]).mean() < 6


@pytest.mark.parametrize("content", [b"", b"no film at all" * 100])
def test_what_is_no_film_is_told_by_name(tmp_path, content):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(errors.DataError, match=r"Cannot decode .*bad\.mp4"):
        next(video_files.read(path))


def test_a_step_below_one_is_refused(tmp_path):
    with pytest.raises(errors.UserError, match="1 or more, got 0"):
        next(video_files.read(tmp_path / "a.avi", every=0))


def test_views_are_the_halves_of_the_picture():
    left, right, _ = stereo_scenes.pair(0)
    for axis, layout in ((1, "side-by-side"), (0, "over-under")):
        found = video.split(np.concatenate([left, right], axis), layout)
        np.testing.assert_array_equal(found[0], left)
        np.testing.assert_array_equal(found[1], right)


@pytest.mark.parametrize(
    ("layout", "axis", "sizes"),
    [("side-by-side-half", 1, (56, 96)), ("over-under-half", 0, (56, 96))],
)
def test_squeezed_views_are_stretched_to_the_picture(layout, axis, sizes):
    rise = np.linspace(20, 200, sizes[axis]).reshape((-1, 1)[:: 1 - 2 * axis])
    view = np.broadcast_to(rise[..., None], (*sizes, 3))
    squeezed = view.reshape((28, 2, 96, 3) if axis == 0 else (56, 48, 2, 3)).mean(
        1 + axis
    )
    picture = np.concatenate([squeezed, 255 - squeezed], axis)
    left, right = video.split(np.rint(picture).astype(np.uint8), layout)
    assert left.shape == right.shape == view.shape
    assert np.abs(left - view).max() <= 2.5
    assert np.abs(right - (255 - view)).max() <= 2.5


def test_pictures_that_have_no_halves_and_unknown_layouts_are_refused():
    picture = np.zeros((9, 11, 3), np.uint8)
    with pytest.raises(errors.DataError, match=r"width of side-by-side .* got 11"):
        video.split(picture, "side-by-side")
    with pytest.raises(errors.DataError, match="height of over-under-half"):
        video.split(picture, "over-under-half")
    with pytest.raises(errors.UserError, match="Did you mean side-by-side"):
        video.split(picture, "side-by-sid")


def test_films_are_found_by_name(tmp_path):
    for name in ("b/x.MP4", "a.mkv", ".hidden/c.avi", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert list(video.find(tmp_path)) == ["a", "b/x"]
    (tmp_path / "a.avi").write_bytes(b"")
    with pytest.raises(errors.DataError, match="same name"):
        video.find(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(errors.DataError, match="found none"):
        video.find(tmp_path / "empty")
