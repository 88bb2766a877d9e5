"""Any folder of a user's images, split by sub-folders, by a list or by a ratio."""

import contextlib
import hashlib
import pathlib
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import identity, image_files
from dpjax.data.builders import image_set

DEFAULT_RATIO = 0.9
NAMED = {"train": "train", "val": "val", "valid": "val", "test": "test"}


class ImageFolder(image_set.ImageSet, skip_registration=True):
    """Images of a folder and of all folders below it, under a name of the user's."""

    source: ClassVar[str] = "the user's own images"

    def __init__(
        self,
        *,
        config: str = "default",
        ratio: float | None = None,
        test_list: pathlib.Path | None = None,
        **options: Any,
    ):
        """Keeps how the files are split.

        Args:
            config: the user's name for this folder.
            ratio: share of the training split, 0 to 1; 1 trains on everything.
            test_list: a text file that names the test images, one path a line, written
                relative to the folder.
            **options: of `image_set.ImageSet`.

        Raises:
            UserError: both ways to split, or a ratio out of range.
        """
        if ratio is not None and test_list is not None:
            raise errors.UserError("Pass --split-ratio or --test-list, not both.")
        if ratio is not None and not 0 <= ratio <= 1:
            raise errors.UserError(
                f"--split-ratio is the share of training images, 0 to 1, got {ratio}."
            )
        self._ratio = ratio
        self._test_list = test_list
        self._fingerprints: dict[pathlib.Path, bytes] = {}
        super().__init__(config=tfds.core.BuilderConfig(name=config), **options)

    def find(self, folder: pathlib.Path | None) -> image_set.Splits:
        """Returns the files of each split.

        Without list and ratio, sub-folders called train, val and test are the splits;
        where there is no train and test, 0.9 of the files become the training split. By
        ratio, a file's side depends on its relative path alone; files that show the
        same picture, in other sizes, types or colours, follow the first of them.

        Args:
            folder: the user's images.

        Returns:
            For each split, the path of each record id (the relative path).

        Raises:
            DataError: no images, or the list names a file that is not there.
        """
        files = {
            path.relative_to(folder).as_posix(): path
            for path in image_files.find(folder)
        }
        tops = {name.split("/")[0] for name in files if "/" in name}
        is_split = {"train", "test"} <= tops <= set(NAMED)
        if is_split and self._test_list is None and self._ratio is None:
            return _by_folder(files)
        return self.divide(files)

    def divide(self, files: dict[str, pathlib.Path]) -> image_set.Splits:
        """Returns files split by the user's list or ratio, or by the usual ratio.

        Args:
            files: path of each record id, which is what a list names.

        Returns:
            "train" and "test", as far as they have files.

        Raises:
            DataError: the list names a file that is not there.
        """
        if self._test_list is not None:
            return by_list(files, self._test_list)
        ratio = DEFAULT_RATIO if self._ratio is None else self._ratio
        copies = self._first_copies(files) if 0 < ratio < 1 else {}
        return _by_ratio(files, ratio, copies)

    def _first_copies(self, files: dict[str, pathlib.Path]) -> dict[str, str]:
        """For each name, the first one whose file shows the same picture."""
        for done, path in enumerate(files.values(), 1):
            if path not in self._fingerprints:
                # A file that cannot be used is told, or left out, when it is written.
                with contextlib.suppress(errors.DataError):
                    image = image_files.load(path).image
                    self._fingerprints[path] = identity.fingerprint(image)
                if self._progress:
                    self._progress(done, len(files))
        names = [name for name, path in files.items() if path in self._fingerprints]
        codes = b"".join(self._fingerprints[files[name]] for name in names)
        places = identity.first_of_each(
            np.frombuffer(codes, np.uint8).reshape(-1, identity.SIZE_BYTES)
        )
        return {n: names[place] for n, place in zip(names, places, strict=True)}


def _by_folder(files: dict[str, pathlib.Path]) -> image_set.Splits:
    splits: image_set.Splits = {}
    for name, path in files.items():
        if "/" in name:
            splits.setdefault(NAMED[name.split("/")[0]], {})[name] = path
    return splits


def by_list(files: dict[str, pathlib.Path], listing: pathlib.Path) -> image_set.Splits:
    """Returns files split by a list of those to test on.

    Args:
        files: path of each name.
        listing: text file with a name on each line.

    Returns:
        "train" and "test", as far as they have files.

    Raises:
        DataError: the list cannot be read, or names a file that is not there.
    """
    try:
        lines = listing.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.DataError(
            f"Cannot read --test-list {listing}: {error}."
        ) from error
    wanted = {line.strip().removeprefix("./") for line in lines if line.strip()}
    missing = sorted(wanted - files.keys())
    if missing:
        raise errors.DataError(
            f"{listing} names {len(missing)} files that are not in the folder, such as "
            f"{missing[0]!r}. Write paths relative to the folder, one a line."
        )
    return _non_empty(
        train={n: p for n, p in files.items() if n not in wanted},
        test={n: p for n, p in files.items() if n in wanted},
    )


def _by_ratio(
    files: dict[str, pathlib.Path], ratio: float, copies: dict[str, str]
) -> image_set.Splits:
    """Splits by a hash of the path: adding files moves none from side to side."""
    place = {name: _place(copies.get(name, name)) for name in files}
    usable = copies or files
    places = sorted({place[name] for name in usable})
    for name in files.keys() - usable.keys():
        place[name] = places[0]  # what cannot be used is no side of its own
    if 0 < ratio < 1 and len(places) > 1:  # neither side of a small folder stays empty
        ratio = min(max(ratio, places[1]), places[-1])
    return _non_empty(
        train={n: p for n, p in files.items() if place[n] < ratio},
        test={n: p for n, p in files.items() if place[n] >= ratio},
    )


def _place(name: str) -> float:
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _non_empty(**splits: dict[str, pathlib.Path]) -> image_set.Splits:
    return {name: files for name, files in splits.items() if files}
