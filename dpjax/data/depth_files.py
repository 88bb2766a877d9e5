"""Depth files: numbers in a declared unit, shares of a largest depth, or arrays.

What a file stores becomes float32 metres, and 0 where nothing was measured; that 0 is
the only form in which missing depth is recorded, and `has_depth` tells it from the
rest.  Only lossless files can say how far a pixel is; what cannot be depth is told.
"""

import csv
import dataclasses
import functools
import pathlib
from collections.abc import Mapping

import numpy as np

from dpjax import errors
from dpjax.data import image_files, matlab_files

EXTENSIONS = image_files.EXTENSIONS - image_files.LOSSY | {".npy", ".mat"}
# A set whose median lies beyond has hardly been measured in the unit it is read in.
NEAREST_M, FARTHEST_M = 0.05, 100.0
_MAKE3D = "Position3DGrid"  # row, column, and last the distance (Saxena et al.)
_WORDS = {1.0: "metres", 100.0: "centimetres", 1000.0: "millimetres"}
_REMEDY = "Correct the file, remove it with its picture, or pass --skip-bad."


@dataclasses.dataclass(frozen=True)
class Unit:
    """Files whose pixels are depths in a unit; 0 and NaN are not measured.

    Attributes:
        per_metre: units in a metre: 1000 for millimetres, 256 for KITTI, 5000 for TUM.
        ignore: further numbers of pixels that were not measured, such as 65535.
        bits: of a pixel, in files of whole numbers; 8 or 16.
        min_m: nearer pixels count as not measured, metres.
        max_m: farther pixels count as not measured, metres.
    """

    per_metre: float
    ignore: tuple[float, ...] = ()
    bits: int = 16
    min_m: float | None = None
    max_m: float | None = None

    def __str__(self) -> str:
        """Returns the unit as people say it.

        Returns:
            Such as "millimetres" or "1/256 m".
        """
        return _WORDS.get(self.per_metre, f"1/{self.per_metre:g} m")

    def decode(self, stored: np.ndarray, path: pathlib.Path) -> np.ndarray:
        """Returns the depth that a file stores.

        Args:
            stored: what `read` gave.
            path: of the file, for messages.

        Returns:
            float32 [h, w], metres, 0 where nothing was measured.

        Raises:
            DataError: the file has other numbers than were declared, or what it says
                cannot be depth.
        """
        self._check_numbers(stored, path)
        values = stored.astype(np.float64)
        missing = np.isnan(values) | np.isin(values, self.ignore)
        # Divided, not multiplied by 0.001: the nearest float32 to the quotient.
        depth = (np.where(missing, 0.0, values) / self.per_metre).astype(np.float32)
        near = NEAREST_M if self.min_m is None else self.min_m
        far = FARTHEST_M if self.max_m is None else self.max_m
        kept = self._within_range(depth, path)
        _refuse(fault(kept, nearest_m=near, farthest_m=far), path)
        return kept

    def _check_numbers(self, stored: np.ndarray, path: pathlib.Path) -> None:
        if stored.dtype.kind == "f":
            return
        bits, largest = 8 * stored.itemsize, np.iinfo(stored.dtype).max
        if bits in (8, 16) and bits != self.bits:
            raise errors.DataError(
                f"{path} has {bits} bits in each pixel, wanted {self.bits}: in {self} "
                f"it would end at {largest / self.per_metre:g} m. Export the depth "
                "again with 16 bits; for numbers that are meant so, depth.json of an "
                f'rgbd_folder has "bits": {bits}.'
            )
        count = int((stored == largest).sum())
        if count and largest not in self.ignore:
            raise errors.DataError(
                f"{path} holds {largest}, the largest number of its type, in {count} "
                "pixels. If it stands for pixels that were not measured, pass --ignore "
                f"{largest} with rgbd_folder; if depths were cut off there, export "
                "them again in a larger unit."
            )

    def _within_range(self, depth: np.ndarray, path: pathlib.Path) -> np.ndarray:
        low = 0.0 if self.min_m is None else self.min_m
        high = np.inf if self.max_m is None else self.max_m
        # Negative and infinite depth is no matter of the range, and is told later.
        outside = np.isfinite(depth) & (depth > 0) & ((depth < low) | (depth > high))
        kept = np.where(outside, np.float32(0), depth)
        if outside.any() and not kept.any():
            raise errors.DataError(
                f"{path} has no pixel from {low:g} to {high:g} m, as was declared: in "
                f"{self} its median is {np.median(depth[outside]):.4g} m. Correct the "
                "unit or the range."
            )
        # A few numbers of a wrong unit may fall into the range; most do not.
        known = depth[np.isfinite(depth) & (depth > 0)]
        median = float(np.median(known)) if known.size else low
        if outside.sum() > known.size / 2 and not (
            min(low, NEAREST_M) <= median <= max(high, FARTHEST_M)
        ):
            raise errors.DataError(
                f"{path} has {int(outside.sum())} of {known.size} measured pixels "
                f"outside {low:g} to {high:g} m, as was declared: in {self} its median "
                f"is {median:.4g} m. Correct the unit or the range."
            )
        return kept


@dataclasses.dataclass(frozen=True)
class Shares:
    """Files of 8 bits that hold p = floor(255 d / d_max), d_max being of each image.

    d = min(p + 1/2, 255) / 255 d_max, at most d_max / 510 off; all pixels are measured.

    Attributes:
        table: CSV file beside the folder of the maps, its columns `name` and
            `depth_max_m` in metres.
    """

    table: str = "depth_max.csv"

    def decode(self, stored: np.ndarray, path: pathlib.Path) -> np.ndarray:
        """Returns the depth that a file stores.

        Args:
            stored: what `read` gave.
            path: of the file, which names it in the table.

        Returns:
            float32 [h, w], metres.

        Raises:
            DataError: the file has other than 8 bits, the table does not know it, or
                what it says cannot be depth.
        """
        table = path.parent.parent / self.table
        if stored.dtype != np.uint8:
            raise errors.DataError(
                f"{path} has pixels of type {stored.dtype}; {table} goes with files of "
                "8 bits. Remove the table if the files are millimetres of 16 bits."
            )
        largest = _largest_depths(table, _time_of(table))
        if path.stem not in largest:
            raise errors.DataError(
                f"{table} does not name {path.stem}, whose depth cannot be told "
                "without. Add its line, or pass --skip-bad."
            )
        share = np.minimum(stored + 0.5, 255.0) / 255.0
        depth = (share * largest[path.stem]).astype(np.float32)
        _refuse(fault(depth), path)
        return depth


Coding = Unit | Shares


def has_depth(depth: np.ndarray) -> np.ndarray:
    """Returns which pixels of a depth map were measured.

    Args:
        depth: metres, any shape; 0 or NaN where nothing was measured.

    Returns:
        bool, of the same shape.
    """
    return np.isfinite(depth) & (depth > 0)


def fault(
    depth: np.ndarray, *, nearest_m: float = NEAREST_M, farthest_m: float = FARTHEST_M
) -> tuple[str, str] | None:
    """Returns what is wrong with a depth map.

    Args:
        depth: metres, 0 where nothing was measured, [h, w].
        nearest_m: the median is not below.
        farthest_m: the median is not above.

    Returns:
        What it has, as in "4 pixels of negative depth", and what to do; None if nothing
        is wrong.
    """
    for word, wrong in (
        ("NaN", np.isnan(depth)),
        ("infinite depth", np.isinf(depth)),
        ("negative depth", depth < 0),
    ):
        if wrong.any():
            what = f"{int(wrong.sum())} pixels of {word}"
            return what, "Write 0 where nothing was measured, or pass --skip-bad."
    known = depth[depth > 0]
    if not known.size:
        return "no pixel that was measured", _REMEDY
    if known.size > 1 and known.min() == known.max():
        what = f"the same depth, {known[0]:.4g} m, in all {known.size} measured pixels"
        return what, _REMEDY
    median = float(np.median(known))
    if nearest_m <= median <= farthest_m:
        return None
    finer, coarser = "millimetres or centimetres", "metres"
    if median < nearest_m:
        finer, coarser = coarser, finer
    return (
        f"a median depth of {median:.4g} m, as {finer} have that were declared "
        f"as {coarser}",
        "Correct the unit; if the scene is that far or near, depth.json of an "
        'rgbd_folder says so with "max_m" or "min_m".',
    )


def read(path: pathlib.Path) -> np.ndarray:
    """Returns what a depth file stores, in its own unit.

    Args:
        path: a lossless image of one channel, an array in a .npy file, or one of
            Make3D's MATLAB files.

    Returns:
        uint8, uint16, other whole numbers or floats, [h, w].

    Raises:
        DataError: the file cannot be read, is lossy, or holds something else.
    """
    ending = path.suffix.lower()
    if ending == ".mat":
        return _from_matlab(path)
    if ending == ".npy":
        return _from_numpy(path)
    if ending in image_files.LOSSY:
        raise errors.DataError(
            f"{path} is compressed with loss, so its values are not those that were "
            "measured. Export the depth again, as PNG of 16 bits."
        )
    with image_files.opened(path) as (opened, _):
        mode, stored = opened.mode, np.asarray(opened)
    if mode == "L":
        return np.array(stored)
    if mode == "F":
        return stored.astype(np.float32)
    if mode.startswith("I") and stored.min() >= 0 and stored.max() < 1 << 16:
        return stored.astype(np.uint16)
    raise errors.DataError(
        f"{path} has pixels of type {mode}; wanted one channel of 8 or 16 bits or "
        "floats. A picture that shows depth in colours cannot be read back; export the "
        "depth itself, as PNG of 16 bits."
    )


def _refuse(found: tuple[str, str] | None, path: pathlib.Path) -> None:
    if found:
        what, remedy = found
        raise errors.DataError(f"{path} has {what}. {remedy}")


def _from_numpy(path: pathlib.Path) -> np.ndarray:
    try:
        # A pickle could run any code.
        stored = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise errors.DataError(f"Cannot read {path}: {error.strerror}.") from error
    except (OSError, ValueError, EOFError) as error:
        raise errors.DataError(
            f"Cannot decode {path}: {error}. Wanted an array of numbers as `np.save` "
            "writes it, without Python objects; copy it again, or pass --skip-bad."
        ) from error
    if not isinstance(stored, np.ndarray):
        raise errors.DataError(f"{path} holds several arrays; save one in each file.")
    shape = stored.shape
    if stored.ndim == 3 and shape[-1] == 1:
        stored = stored[..., 0]
    if stored.ndim != 2 or not stored.size or stored.dtype.kind not in "fui":
        raise errors.DataError(
            f"{path} holds {stored.dtype} of shape {shape}; wanted numbers [h, w]. "
            "Save the depth of one image in each file."
        )
    return stored


def _from_matlab(path: pathlib.Path) -> np.ndarray:
    try:
        found = matlab_files.load(path)
    except errors.DataError as error:
        raise errors.DataError(
            f"{error} Files of version 7.3 are HDF5: convert their depth to PNG of 16 "
            "bits in millimetres."
        ) from error
    grid = found.get(_MAKE3D)
    if grid is None or grid.ndim != 3 or grid.shape[-1] != 4 or grid.dtype.kind != "f":
        raise errors.DataError(
            f"{path} holds {', '.join(found) or 'nothing'}; wanted {_MAKE3D} [h, w, 4] "
            "of Make3D. Convert other depth to PNG of 16 bits in millimetres."
        )
    return grid[..., 3]


def _time_of(path: pathlib.Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise errors.DataError(f"Cannot read {path}: {error.strerror}.") from error


@functools.lru_cache(maxsize=8)
def _largest_depths(path: pathlib.Path, time_ns: int) -> Mapping[str, float]:
    """The table by name; read again when it has changed since."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = [(row["name"], row["depth_max_m"]) for row in csv.DictReader(file)]
        found = {name: float(value) for name, value in rows}
    except (OSError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise errors.DataError(
            f"Cannot read {path}: {error}. Wanted a CSV file with the columns name and "
            "depth_max_m, metres."
        ) from error
    wrong = [name for name, value in found.items() if not 0 < value < np.inf]
    if wrong:
        raise errors.DataError(
            f"{path} gives {wrong[0]} a largest depth of {found[wrong[0]]} m. Copy it "
            "again."
        )
    return found
