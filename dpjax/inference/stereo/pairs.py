"""Finds and reads pairs of views, and refuses those that can be no pair."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dpjax import errors
from dpjax.data import depth_files, image_files
from dpjax.inference import pictures
from dpjax.inference.stereo import camera

_FLATTEST = 1.0  # standard deviation of a view that shows something, levels of 255
_DEEP = 257  # levels of 65535 to one of 255

Views = tuple[np.ndarray, np.ndarray]


class Example(NamedTuple):
    """A real pair with its truth.

    Attributes:
        views: left and right, uint8 [h, w, 3].
        truth: disparities of the left view, pixels, float32 [h, w]; NaN where unknown.
        camera: that took it.
    """

    views: Views
    truth: np.ndarray
    camera: camera.Camera


def example() -> Example:
    """Returns the pair that ships with scikit-image.

    The motorcycle of Middlebury (Scharstein et al., GCPR 2014) at a quarter of its
    size, 500 x 741 pixels, with disparities up to 60.

    Returns:
        Views, truth and camera.

    Raises:
        UserError: the files are not installed.
    """
    from skimage import data

    try:
        left, right, truth = data.stereo_motorcycle()
    except (ImportError, OSError, ValueError) as error:
        raise errors.UserError(
            "Without arguments the pair that ships with scikit-image is matched, but "
            f"it is not in this installation: {error}. Name two pictures."
        ) from error
    truth = np.where(np.isfinite(truth), truth, np.float32(np.nan))
    # From scikit-image's description of the pair.
    return Example((left, right), truth, camera.Camera(994.978, 0.193001, 31.086))


def find(left: Path, right: Path) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Returns the pairs of two folders: files of equal paths, whatever their endings.

    Args:
        left: folder of left views.
        right: folder of right views.

    Returns:
        The pairs by their path without ending, sorted, and a line for each file that
        has no partner.

    Raises:
        UserError: one of them is no folder, both are one, or two files of a folder
            differ by their ending alone.
        DataError: no pair at all.
    """
    for folder in (left, right):
        if not folder.is_dir():
            raise errors.UserError(
                f"Wanted two pictures or two folders, got {left} and {right}, and "
                f"{folder} is no folder."
            )
    if left.samefile(right):
        raise errors.UserError(
            f"Left and right views are both looked for in {left}. Put them into two "
            "folders, with equal names."
        )
    ours, theirs = by_stem(left), by_stem(right)
    if not ours.keys() & theirs.keys():
        raise errors.DataError(
            f"No file below {left} has a namesake below {right}: there are "
            f"{next(iter(ours))}, ... and {next(iter(theirs))}, ... Give both views of "
            "a pair the same name."
        )
    both = {name: (ours[name], theirs[name]) for name in ours if name in theirs}
    alone = [f"{p}: no such name in {right}" for n, p in ours.items() if n not in both]
    alone += [
        f"{p}: no such name in {left}" for n, p in theirs.items() if n not in both
    ]
    return both, alone


def by_stem(folder: Path) -> Mapping[str, Path]:
    """Returns the image files below a folder by their relative path without ending.

    Args:
        folder: where to look.

    Returns:
        Paths that start with `folder`, sorted.

    Raises:
        UserError: two of them differ by their ending alone.
        DataError: there are none.
    """
    found: dict[str, Path] = {}
    for path in image_files.find(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise errors.UserError(
                f"{found[name]} and {path} differ by their ending alone. Which one "
                "belongs to the pair? Remove the other."
            )
        found[name] = path
    return found


def read(left: str | os.PathLike, right: str | os.PathLike) -> Views:
    """Returns both views as 8 bits, grey if both are; transparency is dropped.

    Args:
        left: a picture file.
        right: another one.

    Returns:
        Two uint8 [h, w, 1 or 3].

    Raises:
        UserError: no such file.
        DataError: a file that cannot be decoded, or views that `check` refuses.
    """
    views = tuple(_in_8_bits(pictures.read(path).pixels) for path in (left, right))
    check(*views)
    if all(_is_grey(view) for view in views):
        views = tuple(view[..., :1] for view in views)
    return views


def check(left: np.ndarray, right: np.ndarray) -> None:
    """Raises if two pictures cannot be the views of one scene.

    Args:
        left: uint8 [h, w, 1 or 3].
        right: likewise.

    Raises:
        DataError: different sizes, one grey and one coloured, or a view that shows
            nothing.
    """
    sides = {"left": left, "right": right}
    sizes = [f"{view.shape[1]} x {view.shape[0]}" for view in sides.values()]
    if sizes[0] != sizes[1]:
        raise errors.DataError(
            f"The left view has {sizes[0]} pixels and the right one {sizes[1]}; both "
            "views of a rectified pair have one size. Rectify them again, or take the "
            "partner of this file."
        )
    grey = [name for name, view in sides.items() if _is_grey(view)]
    if len(grey) == 1:
        raise errors.DataError(
            f"The {grey[0]} view is monochrome and the other one has colours, which "
            "cannot be compared. Make both monochrome, or take the coloured one."
        )
    for name, view in sides.items():
        if view.std(axis=(0, 1), dtype=np.float64).max() < _FLATTEST:
            raise errors.DataError(
                f"The {name} view shows nothing: all its pixels are nearly "
                f"{view.reshape(-1, view.shape[-1]).mean(0).round().astype(int)} of "
                "255. Leave this frame out."
            )


def read_truth(path: Path, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """Returns true disparities as Middlebury, KITTI and others store them.

    Args:
        path: a lossless picture of one channel, or .npy; 0 where nothing is known.
        scale: what a disparity of one pixel is stored as.
        shape: of the left view, height and width.

    Returns:
        Pixels, float32 [h, w]; NaN where unknown.

    Raises:
        DataError: a file that cannot be read or has another size.
    """
    stored = depth_files.read(path)
    if stored.shape != tuple(shape):
        raise errors.DataError(
            f"{path} has {stored.shape[1]} x {stored.shape[0]} values for a view of "
            f"{shape[1]} x {shape[0]} pixels. Take the truth of this view and size."
        )
    known = np.isfinite(stored) & (stored != 0)
    return np.where(known, stored / np.float32(scale), np.nan).astype(np.float32)


def _in_8_bits(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    return np.rint(pixels / _DEEP).astype(np.uint8)


def _is_grey(view: np.ndarray) -> bool:
    return view.shape[-1] == 1 or bool((view == view[..., :1]).all())
