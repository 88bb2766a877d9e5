"""What builders of pictures with point pairs share: which point is farther."""

import pathlib
from typing import Any, ClassVar

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import image_files, pair_files
from dpjax.data.builders import image_set, layouts

_EXIF_ORIENTATION = 0x0112


class PointPairs(image_set.ImageSet, skip_registration=True):
    """Base of sets whose records hold pairs of points, and which one is farther.

    Records have `points`, int32 [p, 2, 2], row and column of A and B in pixels from 0,
    and `relation`, int32 [p], +1 where A is farther, -1 where it is nearer, 0 where
    both are equally far.

    Attributes:
        lists: for each split, where its list may lie; the first that is there is read.
        folders: where pictures may lie, if not where their list says.
        has_equal: whether points may be equally far.
    """

    extra_features: ClassVar = {
        "points": tfds.features.Tensor(shape=(None, 2, 2), dtype=np.int32),
        "relation": tfds.features.Tensor(shape=(None,), dtype=np.int32),
    }
    lists: ClassVar[dict[str, tuple[str, ...]]] = {}
    folders: ClassVar[tuple[str, ...]] = ()
    has_equal: ClassVar[bool] = False

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the pictures that the lists name, and remembers their pairs.

        A picture that is listed several times keeps all its pairs.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id, the path below the folder
            without ending.

        Raises:
            DataError: no list, a list that is damaged, a picture that is not there or
                is in two splits, or a pair that makes no sense; the last three are left
                out if bad files are skipped.
        """
        image_files.check_folder(folder)
        found: image_set.Splits = {}
        self._pairs: dict[str, tuple[pathlib.Path, list[pair_files.Pair]]] = {}
        for split, names in self.lists.items():
            paths = (folder / name for name in names)
            listing = next(filter(pathlib.Path.is_file, paths), None)
            if listing is not None:
                found[split] = self._listed(folder, listing)
        if not found:
            wanted = ", ".join(names[0] for names in self.lists.values())
            raise errors.DataError(
                f"{folder} does not hold {self.name} as it is published: there is none "
                f"of the lists {wanted}. It has {layouts.content(folder)}. Copy the "
                "lists beside the folders of pictures."
            )
        return found

    def load_extras(self, name: str, path: pathlib.Path) -> dict[str, Any]:
        """Returns the pairs of one picture.

        Args:
            name: id of the record.
            path: of its picture.

        Returns:
            `points` and `relation`.

        Raises:
            DataError: the picture is of another size than its list says, or a point is
                outside.
        """
        listing, pairs = self._pairs[name]
        size = _upright_size(path)
        for pair in pairs:
            fault = pair_files.outside(pair.first, size)
            fault = fault or pair_files.outside(pair.second, size)
            if pair.size not in (None, size):
                fault = (
                    f"{path} should have {pair.size[1]}x{pair.size[0]} pixels, it has "
                    f"{size[1]}x{size[0]}"
                )
            if fault:
                raise _error(listing, pair.line, fault)
        return {
            "points": np.array([(p.first, p.second) for p in pairs], np.int32),
            "relation": np.array([p.relation for p in pairs], np.int32),
        }

    def _listed(
        self, folder: pathlib.Path, listing: pathlib.Path
    ) -> dict[str, pathlib.Path]:
        found: dict[str, pathlib.Path] = {}
        for listed in pair_files.read(listing, has_equal=self.has_equal):
            path = self._picture(folder, listed.image)
            if path is None:
                fault = f"the picture {listed.image} is not in {folder}"
                self._skip(_error(listing, listed.line, fault))
                continue
            name = _id_of(folder, path)
            if name in self._pairs and name not in found:
                fault = f"{listed.image} is in {self._pairs[name][0].name} as well"
                self._skip(_error(listing, listed.line, fault))
                continue
            for pair in listed.pairs:
                if pair.fault:
                    self._skip(_error(listing, pair.line, pair.fault))
                    continue
                found[name] = path
                self._pairs.setdefault(name, (listing, []))[1].append(pair)
        if not found:
            raise errors.DataError(f"No pair of {listing} can be used.")
        return found

    def _picture(self, folder: pathlib.Path, listed: str) -> pathlib.Path | None:
        """The file that a list means, which its users have moved about."""
        path = pathlib.PurePosixPath(listed)
        below = pathlib.PurePosixPath(*(p for p in path.parts if p not in ("..", ".")))
        last = pathlib.PurePosixPath(*below.parts[-2:])
        inner = (pathlib.PurePosixPath(name) / path.name for name in self.folders)
        for place in (below, last, *inner, path.name):
            if (folder / place).is_file():
                return folder / place
        return None

    def _skip(self, error: errors.DataError) -> None:
        if not self._skip_bad:
            raise error
        self.leave_out(str(error))


def _id_of(folder: pathlib.Path, path: pathlib.Path) -> str:
    if path.is_relative_to(folder):
        return path.relative_to(folder).with_suffix("").as_posix()
    return f"{path.parent.name}/{path.stem}"


def _upright_size(path: pathlib.Path) -> tuple[int, int]:
    """Height and width of a picture as its record will have it."""
    with PIL.Image.open(path) as file:
        width, height = file.size
        is_turned = file.getexif().get(_EXIF_ORIENTATION, 1) > 4
    return (width, height) if is_turned else (height, width)


def _error(listing: pathlib.Path, line: int, fault: str) -> errors.DataError:
    return errors.DataError(
        f"{listing}, line {line}: {fault}. Correct the copy, or pass --skip-bad."
    )
