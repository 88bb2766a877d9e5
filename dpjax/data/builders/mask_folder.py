"""A user's images and masks: a class for every pixel, under a name of the user's."""

import pathlib
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import class_lists, image_files, label_files
from dpjax.data.builders import image_folder, image_set, label_maps, layouts

_IMAGES = "images"
_MASKS = ("masks", "labels")
_SPLITS = {**image_folder.NAMED, "validation": "val"}


class MaskFolder(
    label_maps.LabelMaps, image_folder.ImageFolder, skip_registration=True
):
    """Images and masks of yours, in folders images and masks, under a name of yours.

    A mask has the name of its image, up to the ending, and the number of its class in
    every pixel.  classes.txt beside the folders names the classes; without it they are
    called by their numbers, up to the largest that a mask holds.
    """

    def __init__(
        self,
        *,
        config: str = "default",
        ratio: float | None = None,
        test_list: pathlib.Path | None = None,
        ignore: int | None = None,
        **options: Any,
    ):
        """Keeps what the masks hold and how the files are split.

        Args:
            config: the user's name for this folder.
            ratio: share of the training split, 0 to 1; 1 trains on everything.
            test_list: a text file that names the test images, one path a line, written
                relative to the folder images.
            ignore: number of pixels without a class.
            **options: of `image_set.ImageSet`.

        Raises:
            UserError: an option is out of range.
        """
        if ignore is not None and not 0 <= ignore < 1 << 16:
            raise errors.UserError(
                f"--ignore is a number that masks hold, 0 to 65535, got {ignore}."
            )
        self._ignored = () if ignore is None else (ignore,)
        self._largest: dict[pathlib.Path, int] = {}
        super().__init__(config=config, ratio=ratio, test_list=test_list, **options)

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the pictures of each split, and remembers their masks.

        Folders train, val and test, each with images and masks, are splits.  A single
        pair of folders images and masks is split as `image_folder` does.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id: the path below images, behind
            the name of the folder of its split.

        Raises:
            DataError: no such folders, or an image or a mask without the other.
            UserError: a ratio for a folder that is split already.
        """
        image_files.check_folder(folder)
        tops = [top for top in _SPLITS if (folder / top / _IMAGES).is_dir()]
        pairs = {top: self._pairs_in(folder / top, f"{top}/") for top in tops}
        if not pairs:
            pairs = {"": self._pairs_in(folder, "")}
        self._read_classes(folder, pairs)
        if tops:
            self._check_splits(folder, tops)
            return self.remember({_SPLITS[top]: pairs[top] for top in tops})
        return self.divide(self.remember(pairs)[""])

    def _pairs_in(
        self, folder: pathlib.Path, prefix: str
    ) -> dict[str, label_maps.Pair]:
        masks = next((n for n in _MASKS if (folder / n).is_dir()), None)
        if masks is None or not (folder / _IMAGES).is_dir():
            raise errors.DataError(
                f"Wanted the folders {_IMAGES} and {' or '.join(_MASKS)} in {folder}, "
                "or in folders train, val and test of it, found "
                f"{layouts.content(folder)}. Arrange the files so."
            )
        images = layouts.files_at(
            folder, f"{_IMAGES}/{layouts.ID}", image_files.EXTENSIONS
        )
        # A lossy mask is found here, and refused when it is read.
        endings = label_files.EXTENSIONS | image_files.EXTENSIONS
        found = layouts.files_at(folder, f"{masks}/{layouts.ID}", endings)
        matched = self.match(images, found, str(folder / masks))
        return {
            prefix + image.relative_to(folder / _IMAGES).as_posix(): (image, mask)
            for image, mask in matched.values()
        }

    def _read_classes(
        self, folder: pathlib.Path, pairs: label_maps.PairedSplits
    ) -> None:
        listing = folder / class_lists.FILE
        if listing.is_file():
            found = class_lists.read(listing, ignore=self._ignored)
            self.classes, self._coding = found.names, found.coding
            return
        masks = [mask for found in pairs.values() for _, mask in found.values()]
        count = 1 + max(map(self._largest_number, masks))
        if not 2 <= count <= label_files.MOST_CLASSES:
            raise errors.DataError(
                f"The largest number in the masks of {folder} is {count - 1}; wanted 1 "
                f"to {label_files.MOST_CLASSES - 1}. If it stands for pixels without a "
                f"class, pass --ignore {count - 1}. Otherwise list the classes in "
                f"{listing}: `0 background` and `255 object` suits masks in black and "
                "white, `R G B NAME` masks in colours."
            )
        self.classes = tuple(map(str, range(count)))
        self._coding = label_files.Numbers.of(count, ignore=self._ignored)

    def _largest_number(self, path: pathlib.Path) -> int:
        """Each mask is read once; bad ones that are skipped are listed when written."""
        if path not in self._largest:
            try:
                stored = label_files.read_numbers(path)
            except errors.DataError:
                if not self._skip_bad:
                    raise
                return 0
            numbers = stored[~np.isin(stored, self._ignored)]
            self._largest[path] = int(numbers.max(initial=0))
        return self._largest[path]

    def _check_splits(self, folder: pathlib.Path, tops: list[str]) -> None:
        if len({_SPLITS[top] for top in tops}) < len(tops):
            raise errors.DataError(
                f"{folder} holds two folders of one split: {', '.join(tops)}. Merge "
                "them."
            )
        if self._ratio is not None or self._test_list is not None:
            raise errors.UserError(
                f"{folder} is split already, into {', '.join(tops)}. Leave out "
                "--split-ratio and --test-list."
            )
