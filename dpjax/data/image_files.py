"""Image files as people have them, turned into the one form that records hold.

A record holds an encoded 8-bit RGB image.  JPEG and PNG files that are just that keep
their compressed bytes; everything else (grey, palette, 16-bit, alpha, CMYK, rotated by
EXIF, other formats) becomes an 8-bit RGB PNG.  Bad files are named, never repaired.
"""

import contextlib
import dataclasses
import io
import pathlib
import struct
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import folders

_JPEG = (".jpg", ".jpeg", ".jpe", ".jp2")
_PORTABLE = (".ppm", ".pgm", ".pnm")
EXTENSIONS = frozenset(
    (*_JPEG, *_PORTABLE, ".png", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif")
)
# Endings of files whose values are not those that were written.
LOSSY = frozenset((*_JPEG, ".webp"))
SMALLEST_SIDE = 8  # pixels; anything smaller is an icon or an accident, not a picture
_EXIF_ORIENTATION = 0x0112
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_PIXEL_CHUNKS = (b"IHDR", b"IDAT", b"IEND")


@dataclasses.dataclass(frozen=True)
class Picture:
    """One image in the form that records hold.

    Attributes:
        encoded: JPEG or PNG file contents, 8-bit RGB.
        image: the pixels that `encoded` decodes to, uint8 RGB, [h, w, 3].
    """

    encoded: bytes
    image: np.ndarray


def find(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the image files below a folder, sorted by their relative path.

    Hidden files and folders are left out.

    Args:
        folder: where to look, recursively.

    Returns:
        Paths that start with `folder`.

    Raises:
        DataError: the folder is missing, is a file, or holds no image.
    """
    check_folder(folder)
    paths = [p for p in folders.files(folder) if p.suffix.lower() in EXTENSIONS]
    if not paths:
        raise errors.DataError(
            f"Wanted images below {folder}, found none. Known endings: "
            f"{' '.join(sorted(EXTENSIONS))}."
        )
    return paths


def check_folder(folder: pathlib.Path) -> None:
    """Raises if a folder of images is none.

    Args:
        folder: where the images should be.

    Raises:
        DataError: the folder is missing or is a file.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise errors.DataError(
            f"Wanted a folder of images, got {folder}, which {what}. "
            "Pass an existing folder with --from DIR."
        )


def load(path: pathlib.Path) -> Picture:
    """Returns one file as a picture of 8-bit RGB.

    16-bit values are divided by 257 and rounded, alpha is blended over white, EXIF
    rotation is applied, CMYK and other colour spaces are converted without profiles,
    an animation gives its first frame.

    Args:
        path: the file.

    Returns:
        The compressed bytes and the pixels.

    Raises:
        DataError: the file is missing, empty, truncated, damaged, not an image, or
            smaller than 8 pixels on a side.
    """
    with opened(path) as (file, data):
        picture = _picture(file, data)
    height, width = picture.image.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise errors.DataError(
            f"{path} has {width}x{height} pixels; at least "
            f"{SMALLEST_SIDE}x{SMALLEST_SIDE} are needed. Remove it or pass --skip-bad."
        )
    return picture


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[tuple[Any, bytes]]:
    """Opens an image file; whatever fails in the block is told with the file's name.

    Args:
        path: the file.

    Yields:
        The file as Pillow opened it, every pixel read, and its contents.

    Raises:
        DataError: the file is missing, empty, truncated, damaged or not an image.
    """
    import PIL.Image

    try:
        data = path.read_bytes()
    except OSError as error:
        raise errors.DataError(f"Cannot read {path}: {error.strerror}.") from error
    if not data:
        raise errors.DataError(f"{path} is empty (0 bytes). Copy it again.")
    with warnings.catch_warnings():
        # Pillow warns about large files and stray metadata; real faults raise.
        warnings.simplefilter("ignore")
        try:
            with PIL.Image.open(io.BytesIO(data)) as file:
                file.load()  # reads every pixel: a truncated file fails here
                yield file, data
        except PIL.Image.DecompressionBombError as error:
            raise errors.DataError(
                f"{path} is too large to hold in memory ({error}). Cut it into tiles."
            ) from error
        except errors.DataError as error:
            raise errors.DataError(f"Cannot use {path}: {error}") from error
        except (OSError, SyntaxError, ValueError, struct.error, EOFError) as error:
            reason = str(error).split("<_io")[0].strip() or type(error).__name__
            raise errors.DataError(
                f"Cannot decode {path}: {reason}. The file is damaged or no image; "
                "copy it again, remove it, or pass --skip-bad."
            ) from error


def decode(encoded: bytes) -> np.ndarray | None:
    """Returns the RGB pixels of an encoded image, or None if OpenCV cannot read it.

    Args:
        encoded: contents of an image file.

    Returns:
        uint8 RGB, [h, w, 3].
    """
    import cv2

    flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(encoded, np.uint8), flags)


def encode_png(image: np.ndarray) -> bytes:
    """Returns an image as the contents of a PNG file.

    Args:
        image: uint8 or uint16, RGB [h, w, 3], or one channel [h, w] or [h, w, 1].

    Returns:
        The file's bytes, which give back the same pixels.
    """
    import cv2

    if image.ndim == 3:
        image = image[..., ::-1]  # OpenCV takes blue first
    return cv2.imencode(".png", image)[1].tobytes()


def is_deep(opened: Any, data: bytes) -> bool:
    """Returns whether an image file holds 16 bits in each channel.

    Args:
        opened: the file as Pillow opened it.
        data: its contents.

    Returns:
        True where only OpenCV reads all bits: Pillow cuts 16-bit colour to 8.
    """
    if opened.mode.startswith("I"):
        return True
    if opened.format == "PNG":
        return data[24] == 16  # IHDR's bit depth
    if opened.format == "TIFF":
        bits = opened.tag_v2.get(258, (8,))
        return max(bits if isinstance(bits, tuple) else (bits,)) == 16
    return opened.format == "PPM" and opened.mode == "RGB" and _ppm_is_deep(data)


def oriented(image: np.ndarray, orientation: int) -> np.ndarray:
    """Returns the upright image.

    Args:
        image: [h, w] or [h, w, c].
        orientation: EXIF's orientation, 1 to 8; anything else counts as upright.

    Returns:
        The same values, flipped or transposed.
    """
    # EXIF values 5-8 are transposed, then mirrored as 1-4.
    if orientation in (5, 6, 7, 8):
        image = image.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def _picture(opened, data: bytes) -> Picture:
    kept = _kept_bytes(opened, data)
    if kept is not None:
        image = decode(kept)
        if image is not None and image.shape[:2] == opened.size[::-1]:
            return Picture(kept, image)
    image = _to_rgb(opened, data)
    return Picture(encode_png(image), image)


def _kept_bytes(opened, data: bytes) -> bytes | None:
    """The original compressed bytes if they are 8-bit RGB and upright already."""
    if opened.mode != "RGB" or opened.getexif().get(_EXIF_ORIENTATION, 1) != 1:
        return None
    if opened.format == "JPEG":
        return data
    # IHDR's bit depth: Pillow calls 16-bit RGB "RGB" too.  tRNS is transparency.
    if opened.format == "PNG" and data[24] == 8 and "transparency" not in opened.info:
        return _without_metadata(data)
    return None


def _without_metadata(data: bytes) -> bytes:
    """A PNG's pixels only: broken colour profiles would warn at every decode."""
    kept, start = [_PNG_SIGNATURE], len(_PNG_SIGNATURE)
    while start + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[start : start + 8])
        if kind in _PNG_PIXEL_CHUNKS:
            kept.append(data[start : start + 12 + length])
        start += 12 + length
    return b"".join(kept)


def _to_rgb(opened, data: bytes) -> np.ndarray:
    import PIL.ImageOps

    if is_deep(opened, data):
        return _deep_to_rgb(data, opened.getexif().get(_EXIF_ORIENTATION, 1))
    upright = PIL.ImageOps.exif_transpose(opened)
    if upright.mode == "F":
        raise errors.DataError(
            "it holds floating-point values of unknown range; save it as 8 or 16 bit."
        )
    if upright.has_transparency_data:
        # Pixels under full transparency are arbitrary; white is what a page shows.
        rgba = np.asarray(upright.convert("RGBA"), np.float64)
        alpha = rgba[..., 3:] / 255
        return np.rint(rgba[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(np.asarray(upright.convert("RGB"), np.uint8))


def _ppm_is_deep(data: bytes) -> bool:
    fields = b" ".join(line.split(b"#")[0] for line in data[:256].split(b"\n")).split()
    return len(fields) > 3 and fields[3].isdigit() and int(fields[3]) > 255


def _deep_to_rgb(data: bytes, orientation: int) -> np.ndarray:
    import cv2

    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise errors.DataError("its pixel type is unknown; save it as 8 or 16 bit.")
    values = values.astype(np.float64) / 65535
    if values.ndim == 2:
        values = values[..., None]
    if values.shape[-1] == 4:
        alpha = values[..., 3:]
        values = values[..., :3] * alpha + (1 - alpha)
    rgb = np.rint(255 * values[..., ::-1]).astype(np.uint8)
    rgb = np.broadcast_to(rgb, (*rgb.shape[:2], 3))
    return np.ascontiguousarray(oriented(rgb, orientation))
