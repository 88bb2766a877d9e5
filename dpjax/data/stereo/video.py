"""Films with both views in each picture, side by side or one over the other."""

import pathlib
from typing import Literal

import numpy as np

from dpjax import errors
from dpjax.data import folders, image_files, video_files

Layout = Literal["side-by-side", "side-by-side-half", "over-under", "over-under-half"]


def find(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the films below a folder.

    Args:
        folder: of the user's.

    Returns:
        Path of each id, the path below the folder without ending; sorted.

    Raises:
        DataError: no folder, no film, or two of one name.
    """
    image_files.check_folder(folder)
    found: dict[str, pathlib.Path] = {}
    for path in folders.files(folder):
        if path.suffix.lower() not in video_files.EXTENSIONS:
            continue
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise errors.DataError(
                f"{path} and {found[name].name} have the same name; rename one of them."
            )
        found[name] = path
    if not found:
        raise errors.DataError(
            f"Wanted films below {folder}, found none. Known endings: "
            f"{' '.join(sorted(video_files.EXTENSIONS))}."
        )
    return found


def split(picture: np.ndarray, layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    """Returns the views of a picture.

    The left view is at the left, or above.  Halves are stretched to the size of the
    picture, in which people see them.

    Args:
        picture: uint8 [h, w, 3].
        layout: where the views are, "-half" for those that were squeezed.

    Returns:
        Left and right view.

    Raises:
        UserError: an unknown layout.
        DataError: a side that cannot be halved.
    """
    import cv2

    if layout not in Layout.__args__:
        raise errors.unknown_name("layout", layout, Layout.__args__)
    axis = 1 if layout.startswith("side") else 0
    if picture.shape[axis] % 2:
        side = "width" if axis else "height"
        raise errors.DataError(
            f"The {side} of {layout} pictures is even, got {picture.shape[axis]}."
        )
    views = np.split(picture, 2, axis)
    if layout.endswith("-half"):
        size = picture.shape[1::-1]
        views = [cv2.resize(v, size, interpolation=cv2.INTER_LINEAR) for v in views]
    return tuple(np.ascontiguousarray(view) for view in views)
