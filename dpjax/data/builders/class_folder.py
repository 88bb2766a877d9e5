"""A user's images, one folder for each class."""

import hashlib
import itertools
import pathlib
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import folders, image_files
from dpjax.data.builders import image_folder, image_set

_SPLITS = {**image_folder.NAMED, "validation": "val"}
_SHOWN = 5

Classes = dict[str, dict[str, pathlib.Path]]


class Labelled(image_set.ImageSet, skip_registration=True):
    """Base of sets whose records hold `label`, a number of `classes`.

    Classes are numbered in the order of their sorted names, as torchvision and TFDS do.
    """

    extra_features: ClassVar = {"label": tfds.features.Scalar(dtype=np.int32)}
    has_split_folders: bool = False

    def load_extras(self, name: str, path: pathlib.Path) -> dict[str, Any]:
        """Returns the class of one image, which is the folder that it lies in.

        Args:
            name: id of the record, [SPLIT/]CLASS/FILE.
            path: of its image.

        Returns:
            `label`, int32.
        """
        return {"label": self._labels[name.split("/")[int(self.has_split_folders)]]}

    def find_splits(self, folder: pathlib.Path) -> dict[str, Classes]:
        """Returns the files by split and class, and takes note of the classes.

        Folders called train, val (or valid, validation) and test are splits; in a
        folder without train, every folder is a class, and "" the only split.

        Args:
            folder: the user's copy.

        Returns:
            For each split and class, the path of each record id.

        Raises:
            DataError: a file where a folder of a class should be, a class without
                images, files that are no images, or splits of different classes.
        """
        image_files.check_folder(folder)
        tops = [path.name for path in _visible(folder)]
        self.has_split_folders = _are_splits(folder, tops)
        if self.has_split_folders:
            found = {}
            for top in tops:
                _check_new(folder, top, found)
                found[_SPLITS[top]] = self._classes_of(folder, folder / top)
        else:
            found = {"": self._classes_of(folder, folder)}
        _check_equal(folder, found)
        self.classes = tuple(next(iter(found.values())))
        self._labels = {name: np.int32(i) for i, name in enumerate(self.classes)}
        return found

    def _classes_of(self, root: pathlib.Path, folder: pathlib.Path) -> Classes:
        found: Classes = {}
        for inner in _visible(folder):
            if not inner.is_dir():
                raise errors.DataError(
                    f"{inner} lies beside the folders of the classes. Move it into the "
                    "folder of its class, or away."
                )
            files = {p.relative_to(root).as_posix(): p for p in self._files_of(inner)}
            if not any(map(_is_image, files.values())):
                raise errors.DataError(
                    f"The class {inner.name!r} is empty: {inner} holds no images. Add "
                    "some, or remove the folder."
                )
            found[inner.name] = files
        if len(found) < 2:
            raise errors.DataError(
                f"Wanted a folder for each of two or more classes in {folder}, found "
                f"{len(found)}. Arrange the images as CLASS/FILE or train/CLASS/FILE."
            )
        return found

    def _files_of(self, folder: pathlib.Path) -> list[pathlib.Path]:
        """The images of one class, however deep; other files are told."""
        files = []
        for path in folders.files(folder):
            if not _is_image(path) and not self._skip_bad:
                raise errors.DataError(
                    f"{path} is no image: known endings are "
                    f"{' '.join(sorted(image_files.EXTENSIONS))}. Convert it, remove "
                    "it, or pass --skip-bad."
                )
            files.append(path)  # a bad one is listed when it cannot be decoded
        return files


class ClassFolder(Labelled, image_folder.ImageFolder, skip_registration=True):
    """Images of yours, one folder for each class, under a name of yours."""

    def find(self, folder: pathlib.Path | None) -> image_set.Splits:
        """Returns the files of each split.

        A folder with train and val is split already.  Otherwise each class is split by
        the ratio: its files, in an order that depends on their paths alone, fill the
        training split first; each side of a class has at least one file, and copies of
        a picture stay together.

        Args:
            folder: the user's images.

        Returns:
            For each split, the path of each record id (the relative path).

        Raises:
            DataError: as `find_splits`, or the list names a file that is not there.
            UserError: a ratio for a folder that is split already.
        """
        found = self.find_splits(folder)
        if self.has_split_folders:
            if self._ratio is not None or self._test_list is not None:
                raise errors.UserError(
                    f"{folder} is split already, into {', '.join(found)}. Leave out "
                    "--split-ratio and --test-list."
                )
            return {split: merged(classes) for split, classes in found.items()}
        classes = found[""]
        files = merged(classes)
        if self._test_list is not None:
            return image_folder.by_list(files, self._test_list)
        ratio = image_folder.DEFAULT_RATIO if self._ratio is None else self._ratio
        copies = self._first_copies(files) if 0 < ratio < 1 else {}
        train = _share(classes, ratio, copies)
        splits = {
            "train": {n: p for n, p in files.items() if n in train},
            "test": {n: p for n, p in files.items() if n not in train},
        }
        return {name: chosen for name, chosen in splits.items() if chosen}


def _share(classes: Classes, ratio: float, copies: dict[str, str]) -> set[str]:
    """The names of the training split: the same share of every class."""
    train: set[str] = set()
    decided: dict[str, bool] = {}
    for files in classes.values():
        groups: dict[str, list[str]] = {}
        for name in files:
            groups.setdefault(copies.get(name, name), []).append(name)
        wanted = round(ratio * len(files))
        if 0 < ratio < 1:  # a class of one picture is trained on
            wanted = max(1, min(wanted, len(files) - 1))
        taken = 0
        for first, group in sorted(groups.items(), key=lambda item: _digest(item[0])):
            if decided.setdefault(first, taken < wanted):
                train.update(group)
                taken += len(group)
    return train


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def merged(classes: Classes) -> dict[str, pathlib.Path]:
    """Returns the files of all classes in turn, so that the first few are of many.

    Args:
        classes: path of each record id, by class.

    Returns:
        The first path of each class, the second of each, and so on.
    """
    turns = itertools.zip_longest(*(files.items() for files in classes.values()))
    return dict(item for turn in turns for item in turn if item is not None)


def _is_image(path: pathlib.Path) -> bool:
    return path.suffix.lower() in image_files.EXTENSIONS


def _visible(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _are_splits(folder: pathlib.Path, tops: list[str]) -> bool:
    """Whether the folders are splits; they must not be splits and classes at once."""
    named = [top for top in tops if top.lower() in _SPLITS]
    if not named:
        return False
    other = [top for top in tops if top not in _SPLITS]
    if other or "train" not in tops:
        raise errors.DataError(
            f"{folder} has folders that are named like splits ({', '.join(named)})"
            + (f" beside others ({', '.join(other[:_SHOWN])})" if other else "")
            + ". Wanted train and val or test, written like this and nothing else, or "
            "classes only: rename or move what does not belong."
        )
    return True


def _check_new(folder: pathlib.Path, top: str, found: dict[str, Classes]) -> None:
    if _SPLITS[top] in found:
        raise errors.DataError(
            f"{folder} holds two folders of the split {_SPLITS[top]!r}, {top} is the "
            "second. Merge them."
        )


def _check_equal(folder: pathlib.Path, found: dict[str, Classes]) -> None:
    first, *others = found
    for other in others:
        for has, lacks in ((first, other), (other, first)):
            missing = sorted(found[has].keys() - found[lacks].keys())
            if missing:
                shown = ", ".join(missing[:_SHOWN])
                more = len(missing) - _SHOWN
                raise errors.DataError(
                    f"The splits of {folder} differ: {len(missing)} classes of {has} "
                    f"are not in {lacks}: {shown}"
                    f"{f' and {more} more' if more > 0 else ''}. Both must have the "
                    "same folders."
                )
