"""Public restoration sets, read from a user's local copy.

Each accepts the publishers' folders, wherever they lie below the folder given, or a
plain folder of the images.  A set must hold exactly the pictures it is known for:
scores carry its name.
"""

import pathlib
from typing import Any, ClassVar

from dpjax import errors
from dpjax.data import image_files
from dpjax.data.builders import image_set

_DERIVED = ("_LR", "_bicubic", "_nearest", "_SRCNN", "_SelfExSR", "_ScSR", "_glasner")


class PublicSet(image_set.ImageSet, skip_registration=True):
    """Base of sets with a known number of images in each split.

    Attributes:
        counts: number of images of each split.
        layouts: for each split, folders below the user's one that publishers use, best
            first, as patterns of `pathlib`.
    """

    counts: ClassVar[dict[str, int]] = {}
    layouts: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __init__(self, *, split: str | None = None, **options: Any):
        """Keeps what the files are.

        Args:
            split: the split that a plain folder holds; None tells by layout or name.
            **options: of `image_set.ImageSet`.

        Raises:
            UserError: the set has no such split.
        """
        if split is not None and split not in self.counts:
            raise errors.unknown_name(f"split of {self.name}", split, self.counts)
        self._only = split
        super().__init__(**options)

    def find(self, folder: pathlib.Path | None) -> image_set.Splits:
        """Returns the files of each split that the folder holds.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id (the file name without ending).

        Raises:
            DataError: the folder does not hold the set, or not all of it.
            UserError: a plain folder that may be any of several splits.
        """
        found = {}
        if self._only is None:
            for split, patterns in self.layouts.items():
                inner = _first_folder(folder, patterns)
                if inner is not None:
                    found[split] = _pictures(inner)
        if not found:
            found = self.find_flat(folder)
        for split, files in found.items():
            self._check_count(folder, split, len(files))
        return found

    def find_flat(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the files of a plain folder, under the split they belong to.

        Args:
            folder: the user's copy.

        Returns:
            One split, or several where the file names tell them apart.

        Raises:
            UserError: the folder may be any of several splits.
        """
        files = _pictures(folder)
        if self._only is not None or len(self.counts) == 1:
            return {self._only or next(iter(self.counts)): files}
        named = [split for split in self.counts if folder.name.lower().endswith(split)]
        if len(named) != 1:
            raise errors.UserError(
                f"{folder} is a plain folder; which split of {self.name} is it? Pass "
                f"--split {' or --split '.join(self.counts)}, or the publishers' "
                f"folder with {', '.join(p[0] for p in self.layouts.values())}."
            )
        return {named[0]: files}

    def _check_count(self, folder: pathlib.Path, split: str, count: int) -> None:
        if count != self.counts[split]:
            raise errors.DataError(
                f"{self.name}:{split} has {self.counts[split]} images, found {count} "
                f"in {folder}. Complete the copy; for other pictures use "
                f"`python -m dpjax prepare image_folder --from {folder} --name NAME`."
            )


class Bsds500(PublicSet, skip_registration=True):
    """Berkeley segmentation photographs: train and val are the old BSDS300."""

    source: ClassVar[str] = "Arbelaez et al., PAMI 2011; BSDS500/data/images"
    counts: ClassVar = {"train": 200, "val": 100, "test": 200}
    layouts: ClassVar = {
        split: (f"images/{split}", split) for split in ("train", "val", "test")
    }


class T91(PublicSet, skip_registration=True):
    """91 small colour images, the classical training set of super-resolution."""

    source: ClassVar[str] = "Yang et al., TIP 2010"
    counts: ClassVar = {"train": 91}
    layouts: ClassVar = {"train": ("T91",)}


class Set5(PublicSet, skip_registration=True):
    """Five colour images, a test set of super-resolution."""

    source: ClassVar[str] = "Bevilacqua et al., BMVC 2012"
    counts: ClassVar = {"test": 5}
    layouts: ClassVar = {"test": ("Set5/image_SRF_2", "image_SRF_2", "Set5")}


class Set12(PublicSet, skip_registration=True):
    """Twelve grey images, a test set of denoising."""

    source: ClassVar[str] = "Zhang et al., TIP 2017 (DnCNN test sets)"
    counts: ClassVar = {"test": 12}
    layouts: ClassVar = {"test": ("Set12",)}


class Set14(PublicSet, skip_registration=True):
    """Fourteen images, a test set of super-resolution; two of them are grey."""

    source: ClassVar[str] = "Zeyde et al., 2010"
    counts: ClassVar = {"test": 14}
    layouts: ClassVar = {"test": ("Set14/image_SRF_2", "image_SRF_2", "Set14")}


class Bsd68(PublicSet, skip_registration=True):
    """68 grey photographs out of BSDS500 val, a test set of denoising."""

    source: ClassVar[str] = "Roth and Black, IJCV 2009; files of the DnCNN test sets"
    counts: ClassVar = {"test": 68}
    layouts: ClassVar = {"test": ("BSD68", "CBSD68/original_png", "CBSD68")}


class Classic5(PublicSet, skip_registration=True):
    """Five grey images, a test set of JPEG deblocking."""

    source: ClassVar[str] = "Foi et al., TIP 2007; files of the ARCNN test sets"
    counts: ClassVar = {"test": 5}
    layouts: ClassVar = {"test": ("classic5", "Classic5")}


class Live1(PublicSet, skip_registration=True):
    """29 colour photographs, a test set of JPEG deblocking."""

    source: ClassVar[str] = "Sheikh et al., LIVE release 2, refimgs"
    counts: ClassVar = {"test": 29}
    layouts: ClassVar = {"test": ("refimgs", "LIVE1", "LIVE1_color", "live1")}


class Urban100(PublicSet, skip_registration=True):
    """100 photographs of buildings, a test set of super-resolution."""

    source: ClassVar[str] = "Huang et al., CVPR 2015"
    counts: ClassVar = {"test": 100}
    layouts: ClassVar = {
        "test": ("Urban100/image_SRF_2", "image_SRF_2", "Urban100", "urban100")
    }


class Train400(PublicSet, skip_registration=True):
    """400 grey crops of BSDS500 train and test, the training set of DnCNN."""

    source: ClassVar[str] = "Chen and Pock, 2015; Train400 of DnCNN"
    counts: ClassVar = {"train": 400}
    layouts: ClassVar = {"train": ("Train400",)}


class Div2k(PublicSet, skip_registration=True):
    """1000 large photographs for super-resolution; the last 100 are not published."""

    source: ClassVar[str] = "Agustsson and Timofte, CVPRW 2017; DIV2K_*_HR"
    counts: ClassVar = {"train": 800, "val": 100}
    layouts: ClassVar = {
        "train": ("DIV2K_train_HR",),
        "val": ("DIV2K_valid_HR",),
    }

    def find_flat(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the files of a plain folder, split by their published numbers.

        Args:
            folder: the user's copy.

        Returns:
            "train" for 0001 to 0800, "val" for 0801 to 0900, as far as they are there.

        Raises:
            DataError: a file name is not such a number.
        """
        if self._only is not None:
            return super().find_flat(folder)
        found: image_set.Splits = {}
        for name, path in _pictures(folder).items():
            if not name.isdigit() or not 1 <= int(name) <= 900:
                raise errors.DataError(
                    f"DIV2K's files are called 0001.png to 0900.png, found {path}. "
                    "For other pictures prepare image_folder."
                )
            split = "train" if int(name) <= 800 else "val"
            found.setdefault(split, {})[name] = path
        return found


def _first_folder(
    folder: pathlib.Path, patterns: tuple[str, ...]
) -> pathlib.Path | None:
    for pattern in patterns:
        for inner in (folder / pattern, *sorted(folder.glob(f"**/{pattern}"))):
            # BSDS500 also has groundTruth/train, without images
            if inner.is_dir() and _holds_images(inner):
                return inner
    return None


def _holds_images(folder: pathlib.Path) -> bool:
    return any(
        path.suffix.lower() in image_files.EXTENSIONS for path in folder.iterdir()
    )


def _pictures(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The original images right inside a folder, by their name without ending."""
    found: dict[str, pathlib.Path] = {}
    for path in image_files.find(folder):
        name = path.stem
        if path.parent != folder or any(mark in name for mark in _DERIVED):
            continue
        if name in found:
            raise errors.DataError(
                f"{path} and {found[name].name} have the same name; keep one of them."
            )
        found[name] = path
    return found
