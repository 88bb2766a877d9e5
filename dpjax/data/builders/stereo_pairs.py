"""A user's rectified stereo pairs, with or without true disparity.

Depth is focal length times baseline over disparity.  Where a user does not tell that
product, depth is written in baselines, as of a camera whose focal length is the width
of its image; whatever compares ratios of depths does not depend on it.
"""

import csv
import pathlib
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import depth_files, image_files
from dpjax.data.builders import image_folder, image_set, layouts
from dpjax.data.stereo import faults

LISTING = "scales.csv"
_LEFT, _RIGHT, _DISPARITY = "left", "right", "disparity"
_SCENE_DISPARITY = "disp_left"
_EVERY = "*"
_COLUMNS = ("name", "disparity_scale", "focal_baseline")


class StereoPairs(image_folder.ImageFolder, skip_registration=True):
    """Rectified stereo pairs of yours, for depth without depth.

    Two forms are read: folders left and right with pictures of equal names, and perhaps
    disparity; or a folder for each scene with left.png, right.png and perhaps
    disp_left.png.  Folders train, val and test of either form are splits.

    Disparity is of the left picture, in files of one channel; pixels of it times the
    disparity_scale that scales.csv beside the folders has for a name, 0 unknown.  The
    columns of scales.csv are name (or * for all), disparity_scale and, if you know it,
    focal_baseline: focal length in pixels times baseline in metres.  Both cameras have
    one principal point: with another, depth is not in inverse proportion to disparity.
    Middlebury's calib.txt tells by doffs; shift the right views to the left by it, and
    add it to the disparities.
    """

    source: ClassVar[str] = "the user's own stereo pairs"
    extra_features: ClassVar = {
        "right": tfds.features.Image(shape=(None, None, 3)),
        "depth": tfds.features.Tensor(
            shape=(None, None), dtype=np.float32, encoding="zlib"
        ),
        "focal_baseline": tfds.features.Tensor(shape=(), dtype=np.float32),
    }

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the left pictures of each split, and remembers what belongs to them.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id.

        Raises:
            DataError: no pairs, a picture without the other, or a list that cannot be
                read.
        """
        image_files.check_folder(folder)
        self._others: dict[pathlib.Path, tuple[pathlib.Path, pathlib.Path | None]] = {}
        self._scales = _read_scales(folder / LISTING)
        splits: image_set.Splits = {}
        for top, split in image_folder.NAMED.items():
            if (folder / top).is_dir():
                found = self._pairs_in(folder / top)
                splits.setdefault(split, {}).update(
                    {f"{top}/{name}": path for name, path in found.items()}
                )
        if splits:
            return splits
        return self.divide(self._pairs_in(folder))

    def place_of(self, path: pathlib.Path) -> pathlib.Path:
        """Returns the right picture of a left one, for messages.

        Args:
            path: of the left picture, from `find`.

        Returns:
            Its path.
        """
        return self._others[path][0]

    def load_extras(self, name: str, path: pathlib.Path) -> dict[str, Any]:
        """Returns the other view, and what is known of depth.

        Args:
            name: id of the record.
            path: of the left picture.

        Returns:
            `right`, uint8 [h, w, 3]; `depth` of the left view, float32 [h, w], metres
            or baselines, 0 for none; and `focal_baseline`, pixels times the unit of
            `depth`.

        Raises:
            DataError: a file cannot be read, views that are no rectified pair, or no
                scale is known of its disparity.
        """
        other, truth = self._others[path]
        views = tuple(image_files.load(file).image for file in (path, other))
        fault = faults.of_views(*views) or faults.of_points(*views)
        if fault is not None:
            raise errors.DataError(f"{path} and {other}: {fault.text}.")
        right = views[1]
        scale, focal_baseline = self._scales.get(
            pathlib.PurePosixPath(name).name, self._scales.get(_EVERY, (None, None))
        )
        if focal_baseline is None:
            focal_baseline = float(right.shape[1])
            self.note(
                f"{LISTING} does not tell focal_baseline of all pairs: their depth is "
                "in baselines, as if the focal length were the width of the picture"
            )
        if truth is None:
            depth = np.zeros(right.shape[:2], np.float32)
        elif scale is None:
            raise errors.DataError(
                f"What do the numbers in {truth} mean? Write a line with its name, or "
                f"*, and its disparity_scale, 1 for pixels, into {LISTING} beside the "
                f"folders, below the line {','.join(_COLUMNS[:2])}."
            )
        else:
            disparity = depth_files.read(truth).astype(np.float64) / scale
            if disparity.shape != right.shape[:2]:
                raise errors.DataError(
                    f"{truth} has {disparity.shape[0]}x{disparity.shape[1]} numbers, "
                    f"the picture {other} {right.shape[0]}x{right.shape[1]} (height x "
                    "width). Disparity is of the pictures beside it, pixel by pixel."
                )
            is_known = np.isfinite(disparity) & (disparity > 0)
            depth = np.where(
                is_known, focal_baseline / np.where(is_known, disparity, 1), 0
            ).astype(np.float32)
        return {
            "right": right,
            "depth": depth,
            "focal_baseline": np.float32(focal_baseline),
        }

    def _pairs_in(self, folder: pathlib.Path) -> dict[str, pathlib.Path]:
        endings = image_files.EXTENSIONS
        if (folder / _LEFT).is_dir():
            places = [f"{part}/{layouts.ID}" for part in (_LEFT, _RIGHT, _DISPARITY)]
        else:
            parts = (_LEFT, _RIGHT, _SCENE_DISPARITY)
            places = [f"{layouts.ID}/{part}" for part in parts]
        lefts, rights = (layouts.files_at(folder, p, endings) for p in places[:2])
        truths = layouts.files_at(folder, places[2], depth_files.EXTENSIONS)
        lonely = sorted(map(str, lefts.keys() ^ rights.keys()))
        if lonely:
            message = f"pairs in {folder} lack a view: {', '.join(lonely[:5])}"
            if not self._skip_bad:
                raise errors.DataError(
                    f"{len(lonely)} {message}. Complete the copy, or pass --skip-bad."
                )
            self.leave_out(f"{len(lonely)} {message}")
        pairs = {name: path for name, path in lefts.items() if name in rights}
        if not pairs:
            raise errors.DataError(
                f"Wanted the folders {_LEFT} and {_RIGHT} in {folder}, or folders of "
                f"scenes with {_LEFT}.png and {_RIGHT}.png, found "
                f"{layouts.content(folder)}. Arrange the files so."
            )
        for name, path in pairs.items():
            self._others[path] = (rights[name], truths.get(name))
        return pairs


def _read_scales(
    path: pathlib.Path,
) -> dict[str, tuple[float | None, float | None]]:
    """Scale of disparity and focal length times baseline by name; None if not told."""
    if not path.is_file():
        return {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        given = reader.fieldnames or []
        if _COLUMNS[0] not in given or not set(_COLUMNS[1:]) & set(given):
            raise ValueError(f"its first line is {','.join(given) or 'empty'}")
        found = {}
        for row in rows:
            numbers = tuple(
                float(row[column]) if row.get(column) else None
                for column in _COLUMNS[1:]
            )
            if any(n is not None and not 0 < n < np.inf for n in numbers):
                raise ValueError(f"{row['name']} has a number that is not above 0")
            found[row["name"]] = numbers
    except (OSError, ValueError, KeyError) as error:
        raise errors.DataError(
            f"{path} cannot be read ({error}). Wanted a first line with the columns "
            f"{','.join(_COLUMNS)}, the last of which may be left out."
        ) from error
    return found
