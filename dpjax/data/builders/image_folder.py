"""Any folder of a user's images, split by sub-folders, by a list or by a ratio."""

import hashlib
import pathlib
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import image_files
from dpjax.data.builders import image_set

DEFAULT_RATIO = 0.9
_NAMED = {"train": "train", "val": "val", "valid": "val", "test": "test"}


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
        super().__init__(config=tfds.core.BuilderConfig(name=config), **options)

    def find(self, folder: pathlib.Path | None) -> image_set.Splits:
        """Returns the files of each split.

        Without list and ratio, sub-folders called train, val and test are the splits;
        where there is no train and test, 0.9 of the files become the training split. A
        file's side depends on its relative path alone.

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
        if self._test_list is not None:
            return _by_list(files, self._test_list)
        tops = {name.split("/")[0] for name in files if "/" in name}
        if self._ratio is None and {"train", "test"} <= tops <= set(_NAMED):
            return _by_folder(files)
        return _by_ratio(files, DEFAULT_RATIO if self._ratio is None else self._ratio)


def _by_folder(files: dict[str, pathlib.Path]) -> image_set.Splits:
    splits: image_set.Splits = {}
    for name, path in files.items():
        if "/" in name:
            splits.setdefault(_NAMED[name.split("/")[0]], {})[name] = path
    return splits


def _by_list(files: dict[str, pathlib.Path], listing: pathlib.Path) -> image_set.Splits:
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


def _by_ratio(files: dict[str, pathlib.Path], ratio: float) -> image_set.Splits:
    """Splits by a hash of the path: adding files moves none from side to side."""
    place = {
        name: int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) / 2**64
        for name in files
    }
    test = {name for name in files if place[name] >= ratio}
    if 0 < ratio < 1 and len(files) > 1:  # neither side of a small folder stays empty
        if not test:
            test = {max(files, key=place.get)}
        elif len(test) == len(files):
            test.remove(min(files, key=place.get))
    return _non_empty(
        train={n: p for n, p in files.items() if n not in test},
        test={n: p for n, p in files.items() if n in test},
    )


def _non_empty(**splits: dict[str, pathlib.Path]) -> image_set.Splits:
    return {name: files for name, files in splits.items() if files}
