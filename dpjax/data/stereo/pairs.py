"""Stereo pairs of a user's: folders left and right, or a folder for each pair."""

import pathlib
from collections.abc import Callable
from typing import NamedTuple

from dpjax import errors
from dpjax.data import image_files

_SIDES = ("left", "right")
_WANTED = (
    "left/NAME.png with right/NAME.png, or a folder for each pair with left.png and "
    "right.png"
)


class Files(NamedTuple):
    """The two files of a pair.

    Attributes:
        left: the left view.
        right: the right one.
    """

    left: pathlib.Path
    right: pathlib.Path


def find(
    folder: pathlib.Path, leave_out: Callable[[str], None] | None = None
) -> dict[str, Files]:
    """Returns the pairs below a folder.

    Args:
        folder: of the user's.
        leave_out: called with a message for each view without the other, which is then
            no pair; None refuses it.

    Returns:
        The files of each pair by its id, sorted: the path with the side taken out, as
        NAME for left/NAME.png, or SCENE for SCENE/left.png.

    Raises:
        DataError: no pairs, a view without the other, or two views of one side.
    """
    sides: dict[str, dict[str, pathlib.Path]] = {side: {} for side in _SIDES}
    for path in image_files.find(folder):
        side, name = _place(path.relative_to(folder))
        if side is None:
            continue
        if name in sides[side]:
            raise errors.DataError(
                f"{path} and {sides[side][name]} are both the {side} view of "
                f"{name!r}. Keep one of them."
            )
        sides[side][name] = path
    left, right = (sides[side] for side in _SIDES)
    lonely = sorted(left.keys() ^ right.keys())
    alone = [left.get(name) or right[name] for name in lonely]
    if alone and leave_out is None:
        raise errors.DataError(
            f"{len(alone)} views have no other view, such as {alone[0]}. Wanted "
            f"{_WANTED}. To leave out views like it, pass --skip-bad."
        )
    for path in alone:
        leave_out(f"{path} has no other view.")
    names = sorted(left.keys() & right.keys())
    if not names:
        raise errors.DataError(f"{folder} holds no stereo pair. Wanted {_WANTED}.")
    return {name: Files(left[name], right[name]) for name in names}


def _place(path: pathlib.PurePath) -> tuple[str | None, str]:
    """The side that a path names, and the rest of it."""
    parts = path.with_suffix("").parts
    for i in reversed(range(len(parts))):
        if parts[i].lower() in _SIDES:
            rest = parts[:i] + parts[i + 1 :]
            return parts[i].lower(), "/".join(rest) or "pair"
    return None, ""
