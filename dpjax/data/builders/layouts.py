"""Where publishers put pictures and their targets, and what of it a user's copy has."""

import dataclasses
import pathlib
import re
from collections.abc import Callable

from dpjax import errors
from dpjax.data import depth_files, folders, image_files, label_files

ID = "{}"
_TOLD = 8  # entries of a folder in a message

Coding = label_files.Coding | depth_files.Coding


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the pictures of one split and their files of targets lie.

    Paths are below the user's folder and without ending; "{}" stands for the id of a
    record, which may hold folders.  "{}/rgb_{}" is an id in two parts.

    Attributes:
        images: of the pictures.
        targets: of the label files or depth maps; of several paths the first that has a
            file is read.
        lists: text files of the ids, one a line, the first that is there is read;
            without any, all pictures belong to the split.
        holds: tells whether an id belongs to the split, where no file lists them.
        beside: further files that make sense of the others.
    """

    images: str
    targets: tuple[str, ...]
    lists: tuple[str, ...] = ()
    holds: Callable[[str], bool] | None = None
    beside: tuple[str, ...] = ()

    def missing(self, folder: pathlib.Path) -> list[str]:
        """Returns what of the place is not there.

        Args:
            folder: the user's copy.

        Returns:
            Folders and files, for messages; empty if all is there.
        """
        wanted = [(base_of(self.images),), tuple(map(base_of, self.targets))]
        missing = [
            " or ".join(paths)
            for paths in wanted
            if not any((folder / path).is_dir() for path in paths)
        ]
        if self.lists and not any((folder / path).is_file() for path in self.lists):
            missing.append(" or ".join(self.lists))
        return missing + [p for p in self.beside if not (folder / p).is_file()]

    def listed(self, folder: pathlib.Path) -> list[str] | None:
        """Returns the ids of the split as a file lists them.

        Args:
            folder: the user's copy.

        Returns:
            The ids in order; None where no file lists them.

        Raises:
            DataError: the file lists nothing.
        """
        for listing in (folder / path for path in self.lists):
            if listing.is_file():
                lines = listing.read_text(errors="replace").splitlines()
                names = [_plain(line.split()[0]) for line in lines if line.strip()]
                if not names:
                    raise errors.DataError(f"{listing} lists nothing. Copy it again.")
                return list(dict.fromkeys(names))
        return None


@dataclasses.dataclass(frozen=True)
class Layout:
    """One way in which a set is published.

    Attributes:
        splits: the place of each.
        coding: what the files of targets hold.
        is_plain: the folders could be those of any set, so that `classes.txt` beside
            them has to name the classes of this one.
    """

    splits: dict[str, Place]
    coding: Coding
    is_plain: bool = False


def by_split(
    coding: Coding,
    images: str,
    targets: str,
    *,
    beside: str | None = None,
    **names: str,
) -> Layout:
    """Returns the layout whose splits differ by the name of a folder only.

    Args:
        coding: what the files of targets hold.
        images: path of the pictures, with "{split}" and "{}".
        targets: path of the files of targets, likewise.
        beside: path of a file that each split needs, with "{split}".
        **names: for each split, the name of its folder.

    Returns:
        The layout.
    """
    return Layout(
        {
            split: Place(
                images.replace("{split}", name),
                (targets.replace("{split}", name),),
                beside=(beside.replace("{split}", name),) if beside else (),
            )
            for split, name in names.items()
        },
        coding,
    )


def plain(coding: Coding, *splits: str) -> Layout:
    """Returns the layout of folders images and labels in a folder of each split.

    Args:
        coding: what label files hold.
        *splits: their names.

    Returns:
        The layout.
    """
    names = {split: split for split in splits}
    images, labels = f"{{split}}/images/{ID}", f"{{split}}/labels/{ID}"
    whole = by_split(coding, images, labels, **names)
    return dataclasses.replace(whole, is_plain=True)


def files_at(
    folder: pathlib.Path, pattern: str, endings: frozenset[str]
) -> dict[str, pathlib.Path]:
    """Returns the files that a pattern describes, however deep.

    Args:
        folder: the user's copy.
        pattern: path below it without ending, "{}" standing for the id, or for its
            parts.
        endings: of the files, in lower case.

    Returns:
        Path of each id, sorted by id.

    Raises:
        DataError: two files of one id.
    """
    base = folder / base_of(pattern)
    parts = pattern.removeprefix(base_of(pattern)).lstrip("/").split(ID)
    form = re.compile("(.+)".join(map(re.escape, parts)))
    found: dict[str, pathlib.Path] = {}
    for path in folders.files(base):
        fits = form.fullmatch(path.relative_to(base).with_suffix("").as_posix())
        if path.suffix.lower() not in endings or fits is None:
            continue
        name = "/".join(fits.groups())
        if name in found:
            raise errors.DataError(
                f"{path} and {found[name].name} have the same name; keep one of them."
            )
        found[name] = path
    return found


def content(folder: pathlib.Path) -> str:
    """Returns what a folder holds, for messages.

    Args:
        folder: to look into.

    Returns:
        The first names.
    """
    tops = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    return (", ".join(tops[:_TOLD]) or "nothing") + (" ..." * (len(tops) > _TOLD))


def base_of(pattern: str) -> str:
    """Returns the folder that all files of a pattern lie in.

    Args:
        pattern: path with "{}" for the id.

    Returns:
        The path above the name, "" for the user's folder itself.
    """
    return pattern.split(ID)[0].rpartition("/")[0]


def _plain(name: str) -> str:
    """An id as DeepLab lists it, "/JPEGImages/ID.jpg", or alone."""
    path = pathlib.PurePosixPath(name)
    return path.stem if path.suffix.lower() in image_files.EXTENSIONS else path.name
