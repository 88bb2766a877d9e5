"""Superpixels kept in a folder, so that an image is cut once."""

import hashlib
import io
import os
import pathlib
import zipfile
import zlib

import numpy as np

from dpjax import storage
from dpjax.data.superpixels import front_end

_KEYS = ("regions", "edges", "similarities", "region_sizes", "region_centroids")


def default_folder() -> pathlib.Path:
    """Returns where superpixels are kept unless somebody says otherwise.

    Returns:
        dpjax/superpixels in XDG_CACHE_HOME, which is ~/.cache by default.
    """
    root = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(root) / "dpjax" / "superpixels"


def load_or_compute(
    folder: str | os.PathLike, image: np.ndarray, settings: front_end.Settings
) -> dict[str, np.ndarray]:
    """Returns the superpixels of an image, from the folder if they are there.

    Files are named after the content of the image and the settings, so nothing else can
    be taken for them; one that cannot be read is written again.

    Args:
        folder: where they are kept; made if missing.
        image: RGB, uint8 [h, w, 3].
        settings: how it is cut.

    Returns:
        As `front_end.compute`.

    Raises:
        UserError: an image of another type.
        StorageError: the folder cannot be written.
    """
    path = file(folder, image, settings)
    arrays = _read(path, image.shape[:2])
    if arrays is None:
        arrays = front_end.compute(image, settings)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        storage.replace(path, buffer.getvalue())
    return arrays


def file(
    folder: str | os.PathLike, image: np.ndarray, settings: front_end.Settings
) -> pathlib.Path:
    """Returns where the superpixels of an image are kept.

    Args:
        folder: of the cache.
        image: RGB, uint8 [h, w, 3].
        settings: how it is cut.

    Returns:
        The file, which may not exist.
    """
    content = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()[:32]
    version = settings.version(image.shape[:2])
    return pathlib.Path(folder) / f"{content}-{version}.npz"


def _read(path, image_size):
    """The arrays of a file; None if it is missing or damaged."""
    try:
        content = io.BytesIO(path.read_bytes())
        with np.load(content, allow_pickle=False) as found:
            arrays = {key: found[key] for key in _KEYS}  # which checks their sums
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return arrays if arrays["regions"].shape == image_size else None
