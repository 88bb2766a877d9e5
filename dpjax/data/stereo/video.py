"""Films with both views in each picture, side by side or one over the other."""

import pathlib
from collections.abc import Iterator
from typing import Literal

import numpy as np

from dpjax import errors
from dpjax.data import image_files

EXTENSIONS = frozenset(
    (".mp4", ".m4v", ".mkv", ".avi", ".mov", ".webm", ".mpg", ".mpeg", ".ts", ".wmv")
)
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
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix.lower() not in EXTENSIONS or any(
            part.startswith(".") for part in inside.parts
        ):
            continue
        name = inside.with_suffix("").as_posix()
        if name in found:
            raise errors.DataError(
                f"{path} and {found[name].name} have the same name; rename one of them."
            )
        found[name] = path
    if not found:
        raise errors.DataError(
            f"Wanted films below {folder}, found none. Known endings: "
            f"{' '.join(sorted(EXTENSIONS))}."
        )
    return found


def read(path: pathlib.Path, *, every: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """Returns frames of a film.

    A film that ends before its last frame gives those before the one that it ends in:
    decoders show a picture of that one, too, of which some is grey.

    Args:
        path: of the film.
        every: frames from one to the next.

    Yields:
        Number of a frame, from 0, and its pixels, uint8 RGB [h, w, 3].

    Raises:
        UserError: `every` is below 1.
        DataError: the film cannot be opened, or, after the last frame that is sound, it
            ends early.
    """
    import cv2

    if every < 1:
        raise errors.UserError(
            f"Every how many frames one is taken is 1 or more, got {every}. Pass "
            "--every 24 for one a second of a film."
        )
    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise errors.DataError(
                f"Cannot decode {path}: it is damaged, cut off at its end, or no film. "
                "Copy it again, convert it, or pass --skip-bad."
            )
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        number, pending = 0, None
        while capture.grab():
            # Not shown before the next one is there.
            if pending is not None:
                yield pending
            pending = None
            if number % every == 0:
                is_whole, picture = capture.retrieve()
                if not is_whole:
                    break
                pending = number, np.ascontiguousarray(picture[..., ::-1])
            number += 1
        if number >= max(announced, 1):
            if pending is not None:
                yield pending
            return
        raise errors.DataError(
            f"{path} ends in frame {number} of the {announced} that it announces. Copy "
            "it again, or pass --skip-bad to use the frames before that."
        )
    finally:
        capture.release()


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
