"""What lies below a folder of a user's."""

import os
import pathlib


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files below a folder, however deep, sorted by their relative path.

    Hidden files and folders are left out.  Links to folders are followed, as data sets
    are often made of them, but not back to a folder that they lie in.

    Args:
        folder: where to look.

    Returns:
        Paths that start with `folder`; a link to a file that is gone is among them, so
        that whoever reads it says so.
    """
    found = []
    for place, names, inside in os.walk(folder, followlinks=True):
        here = pathlib.Path(place)
        names[:] = [name for name in names if _is_to_be_entered(here / name)]
        found += [here / name for name in inside if not name.startswith(".")]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _is_to_be_entered(path: pathlib.Path) -> bool:
    if path.name.startswith("."):
        return False
    if not path.is_symlink():
        return True
    meant = path.resolve()
    return not any(above.resolve().is_relative_to(meant) for above in path.parents)
