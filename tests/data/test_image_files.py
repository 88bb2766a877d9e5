"""Files as people have them: what becomes of each kind, and which are refused."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.data import image_files


@pytest.fixture
def small(photo: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(photo[60:124, 100:196])


def _save(image: PIL.Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


def _png_chunk(kind: bytes, body: bytes) -> bytes:
    check = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def test_good_rgb_files_keep_their_compressed_bytes(tmp_path, small):
    jpeg = _save(PIL.Image.fromarray(small), tmp_path / "a.jpg", quality=90)
    png = _save(PIL.Image.fromarray(small), tmp_path / "a.png")
    assert image_files.load(jpeg).encoded == jpeg.read_bytes()
    assert image_files.load(png).encoded == png.read_bytes()
    np.testing.assert_array_equal(image_files.load(png).image, small)


def test_jpeg_pixels_are_those_of_pillow(tmp_path, small):
    path = _save(PIL.Image.fromarray(small), tmp_path / "a.jpg", quality=80)
    pillow = np.asarray(PIL.Image.open(path)).astype(int)
    assert np.abs(image_files.load(path).image - pillow).max() <= 1


def test_png_metadata_is_dropped_and_pixels_stay(tmp_path, small):
    path = _save(PIL.Image.fromarray(small), tmp_path / "a.png")
    data = path.read_bytes()
    end = data.index(b"IEND") - 4
    junk = _png_chunk(b"tEXt", b"Comment\0" + b"x" * 50)
    path.write_bytes(data[:end] + junk + data[end:])
    picture = image_files.load(path)
    assert b"tEXt" not in picture.encoded
    np.testing.assert_array_equal(image_files.decode(picture.encoded), small)


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "pgm"])
def test_grey_becomes_three_equal_channels(tmp_path, small, ending):
    path = _save(PIL.Image.fromarray(small[..., 1]), tmp_path / f"g.{ending}")
    image = image_files.load(path).image
    assert image.shape == small.shape
    assert np.ptp(image, axis=-1).max() == 0
    if ending in ("png", "bmp", "tif", "pgm"):
        np.testing.assert_array_equal(image[..., 0], small[..., 1])


def test_sixteen_bit_png_is_rounded_not_cut(tmp_path):
    deep = np.arange(64 * 96 * 3, dtype=np.uint16).reshape(64, 96, 3) * 3
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), deep[..., ::-1])
    wanted = np.rint(deep / 257.0).astype(np.uint8)
    np.testing.assert_array_equal(image_files.load(path).image, wanted)
    assert (wanted != deep >> 8).any()  # cutting would have been noticed


@pytest.mark.parametrize("ending", ["png", "tif", "pgm"])
def test_sixteen_bit_grey(tmp_path, ending):
    deep = np.linspace(0, 65535, 64 * 96).astype(np.uint16).reshape(64, 96)
    path = tmp_path / f"deep.{ending}"
    cv2.imwrite(str(path), deep)
    image = image_files.load(path).image
    np.testing.assert_array_equal(image[..., 2], np.rint(deep / 257.0))


def test_sixteen_bit_alpha_is_blended_over_white(tmp_path):
    deep = np.zeros((16, 16, 4), np.uint16)
    deep[:8, :, 3] = 65535
    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), deep)
    image = image_files.load(path).image
    assert (image[:8] == 0).all()
    assert (image[8:] == 255).all()


def test_palette_png_shows_its_colours(tmp_path, small):
    quantised = PIL.Image.fromarray(small).quantize(16)
    path = _save(quantised, tmp_path / "p.png")
    wanted = np.asarray(quantised.getpalette(), np.uint8).reshape(-1, 3)[
        np.asarray(quantised)
    ]
    np.testing.assert_array_equal(image_files.load(path).image, wanted)


def test_alpha_is_blended_over_white(tmp_path, small):
    alpha = np.full(small.shape[:2], 51, np.uint8)  # 0.2
    rgba = np.dstack([small, alpha])
    path = _save(PIL.Image.fromarray(rgba), tmp_path / "a.png")
    wanted = small * 0.2 + 255 * 0.8
    assert np.abs(image_files.load(path).image - wanted).max() <= 0.5 + 1e-9


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    red = PIL.Image.new("CMYK", (64, 32), (0, 255, 255, 0))
    image = image_files.load(_save(red, tmp_path / "c.jpg", quality=95)).image
    assert image.shape == (32, 64, 3)
    np.testing.assert_allclose(image.mean((0, 1)), [255, 0, 0], atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
def test_exif_rotation_is_applied(tmp_path, orientation, deep):
    stored = np.zeros((16, 24, 3), np.uint8)
    stored[:4, :8] = 255  # a mark at the first stored row and column
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "r.png"
    if deep:
        encoded = cv2.imencode(".png", stored.astype(np.uint16) * 257)[1].tobytes()
        chunk = _png_chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
        path.write_bytes(encoded[:33] + chunk + encoded[33:])
    else:
        PIL.Image.fromarray(stored).save(path, exif=exif)
    image = image_files.load(path).image
    # TIFF 6.0, tag 274: where the first stored row and first stored column lie
    wanted = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.swapaxes(0, 1),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, -1)[::-1],
        8: np.rot90(stored),
    }[orientation]
    np.testing.assert_array_equal(image, wanted)


def test_rotated_jpeg_is_not_stored_sideways(tmp_path, small):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    path = _save(PIL.Image.fromarray(small), tmp_path / "r.jpg", exif=exif, quality=95)
    picture = image_files.load(path)
    upright = np.rot90(small, -1)
    assert picture.image.shape == upright.shape
    assert np.abs(picture.image.astype(int) - upright).mean() < 6
    np.testing.assert_array_equal(image_files.decode(picture.encoded), picture.image)


def test_animation_gives_its_first_frame(tmp_path):
    frames = [PIL.Image.new("RGB", (16, 16), c) for c in ("red", "blue")]
    path = _save(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (image_files.load(path).image[..., 0] == 255).all()


def test_broken_files_are_named(tmp_path, small):
    buffer = io.BytesIO()
    PIL.Image.fromarray(small).save(buffer, "JPEG")
    cases = {
        "cut.jpg": (buffer.getvalue()[:-300], "damaged"),
        "empty.png": (b"", "empty"),
        "text.png": (b"not an image at all", "damaged"),
    }
    png = io.BytesIO()
    PIL.Image.fromarray(small).save(png, "PNG")
    flipped = bytearray(png.getvalue())
    flipped[len(flipped) // 2] ^= 4
    cases["cut.png"] = (png.getvalue()[:-200], "damaged")
    cases["flipped.png"] = (bytes(flipped), "damaged")
    for name, (data, word) in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(errors.DataError, match=word) as caught:
            image_files.load(path)
        assert str(path) in str(caught.value)


def test_missing_tiny_and_float_files_are_refused(tmp_path):
    one = _save(PIL.Image.new("RGB", (1, 1)), tmp_path / "one.png")
    with pytest.raises(errors.DataError, match="1x1 pixels; at least 8x8"):
        image_files.load(one)
    with pytest.raises(errors.DataError, match=r"Cannot read .*none\.png"):
        image_files.load(tmp_path / "none.png")
    real = _save(PIL.Image.new("F", (32, 32)), tmp_path / "f.tif")
    with pytest.raises(errors.DataError, match="floating-point"):
        image_files.load(real)


def test_enormous_image_is_refused_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path = tmp_path / "huge.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _png_chunk(b"IHDR", header)
        + _png_chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + _png_chunk(b"IEND", b"")
    )
    with pytest.raises(errors.DataError, match="too large"):
        image_files.load(path)


def test_find_is_recursive_sorted_and_skips_hidden_files(tmp_path):
    for name in ("b/2.PNG", "b/1.jpg", "a.bmp", ".x/3.png", "b/.4.png", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    found = [p.relative_to(tmp_path).as_posix() for p in image_files.find(tmp_path)]
    assert found == ["a.bmp", "b/1.jpg", "b/2.PNG"]


def test_find_says_what_is_wrong_with_a_folder(tmp_path):
    with pytest.raises(errors.DataError, match="does not exist"):
        image_files.find(tmp_path / "none")
    with pytest.raises(errors.DataError, match="found none"):
        image_files.find(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.DataError, match="is a file"):
        image_files.find(tmp_path / "file")


def test_encode_png_round_trips(small):
    np.testing.assert_array_equal(
        image_files.decode(image_files.encode_png(small)), small
    )
    assert image_files.decode(b"nothing") is None
