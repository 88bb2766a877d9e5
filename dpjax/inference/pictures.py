"""A user's picture, from any common file to pixels and back, nothing lost on the way.

Unlike records (`data.image_files`), which become 8-bit RGB, a picture keeps its bit
depth, stays grey if it is grey, and has its transparency put aside.
"""

import dataclasses
import io
import os
import pathlib
import struct
import warnings

import numpy as np

from dpjax import errors, storage
from dpjax.data import image_files

# What each file type can hold; more is reduced when writing.
_DEEP = (".png", ".tif", ".tiff")
_ARRAY = ".npy"
_TRANSPARENT = (*_DEEP, ".webp")
SUFFIXES = (*_TRANSPARENT, ".jpg", ".jpeg", ".bmp", ".ppm")
_JPEG_QUALITY = 95
_ORIENTATION = 0x0112  # tag of EXIF


@dataclasses.dataclass(frozen=True)
class Picture:
    """Decoded pixels.

    Attributes:
        pixels: uint8 or uint16, grey [h, w, 1] or RGB [h, w, 3].
        alpha: transparency of the same type, [h, w, 1], or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None


def read(path: str | os.PathLike, *, memory_bytes: int | None = None) -> Picture:
    """Returns the upright pixels of an image file.

    EXIF rotation is applied; palettes and CMYK become RGB; an animation gives its first
    frame; colour profiles are not applied.

    Args:
        path: the file.
        memory_bytes: refuse a picture whose pixels take more; None refuses none.

    Returns:
        The picture.

    Raises:
        UserError: no such file, or too large for the budget.
        DataError: empty, truncated, damaged, not an image, or of unknown range.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise errors.UserError(f"Wanted an image file, got {path}, which {what}.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise errors.DataError(f"Cannot read {path}: {error.strerror}.") from error
    if not data:
        raise errors.DataError(f"{path} is empty (0 bytes). Copy it again.")
    try:
        return _decode(data, memory_bytes)
    except errors.DpjaxError as error:
        raise type(error)(f"{path}: {error}") from error
    except (OSError, SyntaxError, ValueError, struct.error, EOFError) as error:
        reason = str(error).split("<_io")[0].strip() or type(error).__name__
        raise errors.DataError(
            f"Cannot decode {path}: {reason}. The file is damaged or no image; copy it "
            "again or leave it out."
        ) from error


def write(
    path: str | os.PathLike, pixels: np.ndarray, alpha: np.ndarray | None = None
) -> None:
    """Writes a picture, completely or not at all.

    PNG and TIFF keep everything; other types get 8 bits, JPEG and BMP no transparency.

    Args:
        path: ends in one of `SUFFIXES`; its folder is made.
        pixels: uint8 or uint16, [h, w], [h, w, 1] or [h, w, 3].
        alpha: of the same type, [h, w, 1], or None.

    Raises:
        UserError: an unknown ending.
        StorageError: the place cannot be written.
    """
    import cv2

    path = pathlib.Path(path)
    suffix = check_suffix(path)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if suffix not in _TRANSPARENT:
        alpha = None
    if alpha is not None and pixels.shape[-1] == 1:
        pixels = np.repeat(pixels, 3, axis=-1)  # the encoder knows no grey with alpha
    parts = [pixels[..., ::-1]] if alpha is None else [pixels[..., ::-1], alpha]
    values = np.concatenate(parts, axis=-1)
    if values.dtype == np.uint16 and suffix not in _DEEP:
        values = np.rint(values / 257).astype(np.uint8)
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if "jp" in suffix else []
    done, encoded = cv2.imencode(suffix, np.ascontiguousarray(values), options)
    if not done:
        raise errors.UserError(
            f"A picture of {values.shape[1]} x {values.shape[0]} pixels does not fit "
            f"into a {suffix} file. Choose .png or .tif."
        )
    storage.replace(path, encoded.tobytes())


def check_suffix(path: str | os.PathLike) -> str:
    """Returns the lower-case ending of a picture that can be written.

    Args:
        path: where a picture is to go.

    Returns:
        One of `SUFFIXES`.

    Raises:
        UserError: another ending, or none.
    """
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise errors.UserError(
            f"Pictures are written as {', '.join(SUFFIXES)}; got "
            f"{os.fspath(path)!r}. Change the ending; results of a folder go to a "
            "folder."
        )
    return suffix


def write_map(path: str | os.PathLike, values: np.ndarray) -> None:
    """Writes a map with every number it has, completely or not at all.

    Args:
        path: ends in .npy or .tif, or in .png for whole numbers; its folder is made.
        values: uint8, uint16 or float32, [h, w].

    Raises:
        UserError: an ending that does not keep the numbers.
        StorageError: the place cannot be written.
    """
    check_map_suffix(path, values.dtype)
    if pathlib.Path(path).suffix.lower() == _ARRAY:
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        storage.replace(path, buffer.getvalue())
    else:
        write(path, values[..., None])


def map_suffix(dtype: np.dtype | type) -> str:
    """Returns the ending of the files that maps go to, if nobody chooses one.

    Args:
        dtype: of its numbers.

    Returns:
        .png, which people can look at, for whole numbers; else .npy.
    """
    return _ARRAY if np.issubdtype(dtype, np.floating) else ".png"


def check_map_suffix(path: str | os.PathLike, dtype: np.dtype | None = None) -> None:
    """Raises unless a file of this name keeps every number of a map.

    Args:
        path: where a map is to go.
        dtype: of its numbers; None if that is not known yet.

    Raises:
        UserError: the ending of a lossy format, or of one with 8 bits only, or of
            whole numbers for others.
    """
    endings = [_ARRAY, *_DEEP]
    kind = "Maps"
    if dtype is not None and np.issubdtype(dtype, np.floating):
        endings.remove(".png")
        kind = "Maps of fractions"
    suffix = pathlib.Path(path).suffix.lower()
    if suffix not in endings:
        raise errors.UserError(
            f"{kind} are written as {' or '.join(sorted(endings))}, which keep their "
            f"numbers; got {os.fspath(path)!r}. Change the ending."
        )


def _decode(data: bytes, memory_bytes: int | None) -> Picture:
    import PIL.Image

    largest, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # stray metadata; real faults raise
            with PIL.Image.open(io.BytesIO(data)) as opened:
                _check_size(opened.size, memory_bytes)
                orientation = opened.getexif().get(_ORIENTATION, 1)
                opened.load()  # reads every pixel: a truncated file fails here
                if image_files.is_deep(opened, data):
                    is_grey = opened.mode in ("I", "L", "LA") or ";" in opened.mode
                    values = _deep(data, is_grey)
                else:
                    # A type that turns itself upright forgets its orientation.
                    orientation = opened.getexif().get(_ORIENTATION, 1)
                    values = _shallow(opened)
    finally:
        PIL.Image.MAX_IMAGE_PIXELS = largest
    values = np.ascontiguousarray(image_files.oriented(values, orientation))
    channels = values.shape[-1]
    if channels in (2, 4):
        return Picture(values[..., :-1], values[..., -1:])
    return Picture(values)


def _check_size(size: tuple[int, int], memory_bytes: int | None) -> None:
    needed = 4 * size[0] * size[1]
    if memory_bytes is not None and needed > memory_bytes:
        raise errors.UserError(
            f"{size[0]} x {size[1]} pixels take {needed / 1e9:.3g} GB and more, the "
            f"budget is {memory_bytes / 1e9:.3g} GB. Allow more memory or cut it up."
        )


def _shallow(opened) -> np.ndarray:
    if opened.mode == "F":
        raise errors.DataError(
            "it holds floating-point values of unknown range; save it as 8 or 16 bit."
        )
    is_grey = opened.mode in ("1", "L", "LA", "La")
    if opened.has_transparency_data:
        values = np.asarray(opened.convert("LA" if is_grey else "RGBA"))
    else:
        values = np.asarray(opened.convert("L" if is_grey else "RGB"))
    return values if values.ndim == 3 else values[..., None]


def _deep(data: bytes, is_grey: bool) -> np.ndarray:
    import cv2

    values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.dtype != np.uint16:
        raise errors.DataError("its pixel type is unknown; save it as 8 or 16 bit.")
    if values.ndim == 2:
        return values[..., None]
    if values.shape[-1] in (3, 4):
        colour = values[..., 2::-1]
        colour = colour[..., :1] if is_grey else colour
        return np.concatenate([colour, values[..., 3:]], axis=-1)
    return values
