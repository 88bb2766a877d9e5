"""Reading and writing pictures of every kind, and refusing what is none."""

import os
import struct
import zlib

import cv2
import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.inference import pictures


@pytest.fixture
def small(photo):
    return photo[20:51, 30:70]


def test_rgb_and_grey_png_are_read_exactly(tmp_path, small):
    PIL.Image.fromarray(small).save(tmp_path / "rgb.png")
    PIL.Image.fromarray(small[..., 0]).save(tmp_path / "grey.png")
    rgb, grey = (pictures.read(tmp_path / f"{n}.png") for n in ("rgb", "grey"))
    np.testing.assert_array_equal(rgb.pixels, small)
    np.testing.assert_array_equal(grey.pixels, small[..., :1])
    assert rgb.alpha is None
    assert grey.alpha is None


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_survive_both_ways(tmp_path, small, suffix, channels):
    deep = (small[..., :channels].astype(np.uint16) * 257) ^ 5
    path = tmp_path / f"deep{suffix}"
    pictures.write(path, deep)
    back = pictures.read(path)
    assert back.pixels.dtype == np.uint16
    np.testing.assert_array_equal(back.pixels, deep)
    # Another program agrees about the order of channels.
    seen = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(np.atleast_3d(seen)[..., ::-1], deep)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
def test_alpha_is_put_aside_and_written_back(tmp_path, small, suffix):
    alpha = np.arange(small[..., :1].size, dtype=np.uint8).reshape(*small.shape[:2], 1)
    path = tmp_path / f"a{suffix}"
    pictures.write(path, small, alpha)
    back = pictures.read(path)
    np.testing.assert_array_equal(back.alpha, alpha)
    if suffix != ".webp":
        np.testing.assert_array_equal(back.pixels, small)


def test_sixteen_bit_alpha(tmp_path, small):
    deep = small.astype(np.uint16) * 257
    pictures.write(tmp_path / "a.png", deep, deep[..., :1] // 2)
    back = pictures.read(tmp_path / "a.png")
    np.testing.assert_array_equal(back.pixels, deep)
    np.testing.assert_array_equal(back.alpha, deep[..., :1] // 2)


def test_grey_with_alpha_stays_grey(tmp_path, small):
    pair = np.stack([small[..., 0], small[..., 1]], -1)
    PIL.Image.fromarray(pair, "LA").save(tmp_path / "la.png")
    back = pictures.read(tmp_path / "la.png")
    np.testing.assert_array_equal(back.pixels, pair[..., :1])
    np.testing.assert_array_equal(back.alpha, pair[..., 1:])


def test_palettes_become_rgb_with_their_transparency(tmp_path, small):
    indexed = PIL.Image.fromarray(small).quantize(16)
    indexed.save(tmp_path / "p.png")
    indexed.save(tmp_path / "t.png", transparency=3)
    plain, clear = (pictures.read(tmp_path / f"{n}.png") for n in "pt")
    np.testing.assert_array_equal(plain.pixels, np.asarray(indexed.convert("RGB")))
    assert plain.alpha is None
    np.testing.assert_array_equal(clear.alpha[..., 0] == 0, np.asarray(indexed) == 3)


def test_cmyk_is_converted(tmp_path):
    PIL.Image.new("CMYK", (9, 7), (0, 255, 255, 0)).save(tmp_path / "c.jpg")
    back = pictures.read(tmp_path / "c.jpg")
    assert back.pixels.shape == (7, 9, 3)
    assert np.abs(back.pixels.astype(int) - [255, 0, 0]).max() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_exif_rotation_is_applied(tmp_path, small, orientation, deep):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "r.png"
    if deep:
        values = small[..., 0].astype(np.uint16) * 257
        PIL.Image.fromarray(values).save(path, exif=exif)
    else:
        PIL.Image.fromarray(small[..., 0]).save(path, exif=exif)
    source = PIL.Image.fromarray(small[..., 0])
    method = {
        2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
        3: PIL.Image.Transpose.ROTATE_180,
        4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
        5: PIL.Image.Transpose.TRANSPOSE,
        6: PIL.Image.Transpose.ROTATE_270,
        7: PIL.Image.Transpose.TRANSVERSE,
        8: PIL.Image.Transpose.ROTATE_90,
    }.get(orientation)
    expected = np.asarray(source if method is None else source.transpose(method))
    got = pictures.read(path).pixels[..., 0]
    np.testing.assert_array_equal(got, expected.astype(int) * (257 if deep else 1))


def test_one_pixel_and_bilevel_pictures(tmp_path):
    PIL.Image.new("1", (1, 1), 1).save(tmp_path / "one.png")
    np.testing.assert_array_equal(pictures.read(tmp_path / "one.png").pixels, [[[255]]])


@pytest.mark.parametrize(
    "suffix", [".png", ".jpg", ".tif", ".webp", ".gif", ".bmp", ".jp2"]
)
def test_truncated_files_are_named(tmp_path, photo, suffix):
    path = tmp_path / f"cut{suffix}"
    PIL.Image.fromarray(photo).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(errors.DataError, match=rf"cut\{suffix}"):
        pictures.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"hello, I am text", "Cannot decode"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "Cannot decode"),
        (b"\xff\xd8\xff\xe0" + b"\1" * 50, "Cannot decode"),
    ],
)
def test_files_that_are_no_images_are_named(tmp_path, content, message):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(errors.DataError, match=f"{message}|bad.png is {message}"):
        pictures.read(path)


def test_float_files_are_refused(tmp_path):
    PIL.Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(errors.DataError, match=r"f\.tif.*floating-point"):
        pictures.read(tmp_path / "f.tif")


def test_missing_files_and_folders_are_the_users_mistake(tmp_path):
    with pytest.raises(errors.UserError, match="does not exist"):
        pictures.read(tmp_path / "absent.png")
    with pytest.raises(errors.UserError, match="is a folder"):
        pictures.read(tmp_path)


def test_enormous_pictures_are_refused_before_decoding(tmp_path):
    # A header alone claims four billion pixels.
    header = struct.pack(">IIBBBBB", 65535, 65535, 8, 2, 0, 0, 0)
    PIL.Image.new("RGB", (1, 1)).save(tmp_path / "x.png")
    data = bytearray((tmp_path / "x.png").read_bytes())
    data[16:29] = header
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "x.png").write_bytes(bytes(data))
    with pytest.raises(errors.UserError, match=r"x\.png: 65535 x 65535 pixels.*17\.2"):
        pictures.read(tmp_path / "x.png", memory_bytes=10**9)


def test_types_that_hold_less_are_reduced(tmp_path, small):
    deep = small.astype(np.uint16) * 257
    pictures.write(tmp_path / "a.jpg", deep, deep[..., :1])
    back = pictures.read(tmp_path / "a.jpg")
    assert back.pixels.dtype == np.uint8
    assert back.alpha is None
    assert np.abs(back.pixels.astype(int) - small).mean() < 4


def test_unknown_endings_are_refused(tmp_path, small):
    with pytest.raises(errors.UserError, match=r"\.png.*got .*x\.doc"):
        pictures.write(tmp_path / "x.doc", small)


def test_a_failed_write_leaves_nothing(tmp_path, small, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(errors.StorageError, match=r"a\.png: No space left"):
        pictures.write(tmp_path / "a.png", small)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", [".npy", ".tif"])
def test_maps_of_fractions_keep_every_bit(tmp_path, ending):
    values = np.random.default_rng(0).random((5, 7), np.float32) * 80
    path = tmp_path / f"depth{ending}"
    pictures.write_map(path, values)
    if ending == ".npy":
        found = np.load(path, allow_pickle=False)
    else:
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, values)
    assert found.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("depth.png", np.float32, "fractions are written as .npy or .tif or .tiff"),
        ("labels.jpg", np.uint8, "keep their numbers"),
    ],
)
def test_maps_are_not_written_where_they_would_lose(tmp_path, name, dtype, message):
    with pytest.raises(errors.UserError, match=message):
        pictures.write_map(tmp_path / name, np.zeros((2, 2), dtype))
    assert not list(tmp_path.iterdir())
