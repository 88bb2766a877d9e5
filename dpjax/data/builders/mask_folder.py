"""A user's images and masks: a class for every pixel, under a name of the user's."""

import itertools
import pathlib
from typing import Any, ClassVar

import numpy as np

from dpjax import errors
from dpjax.data import class_lists, label_files
from dpjax.data.builders import image_set, label_maps, paired, paired_folder

# A set of few pictures lacks some classes; a gap of more than this many numbers, for
# each that occurs, is rather one stray pixel, or a code such as 128 for "object".
_GAP_PER_NUMBER = 4

Held = dict[pathlib.Path, dict[int, int]]  # pixels of each number in each mask


class MaskFolder(
    paired_folder.PairedFolder, label_maps.LabelMaps, skip_registration=True
):
    """Images and masks of yours, in folders images and masks, under a name of yours.

    A mask has the name of its image, up to the ending, and the number of its class in
    every pixel.  classes.txt beside the folders names the classes; without it they are
    called by their numbers, up to the largest that a mask holds; a wide gap is refused.
    """

    target_folders: ClassVar = ("masks", "labels")

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
        self._numbers: Held = {}
        super().__init__(config=config, ratio=ratio, test_list=test_list, **options)

    def learn(self, folder: pathlib.Path, pairs: paired.PairedSplits) -> None:
        """Takes note of the classes and of what the masks hold.

        Args:
            folder: the user's copy.
            pairs: for each folder of a split and record id, picture and mask.

        Raises:
            DataError: the list of classes cannot be read, or there is none and the
                masks are not numbers from 0, or lack most of those up to the largest.
        """
        listing = folder / class_lists.FILE
        if listing.is_file():
            found = class_lists.read(listing, ignore=self._ignored)
            self.classes, self.coding = found.names, found.coding
            return
        masks = [mask for found in pairs.values() for _, mask in found.values()]
        held = {path: self._held(path) for path in masks}
        if not any(held.values()):
            label_files.read_numbers(masks[0])  # says why, also where bad ones may go
        count = 1 + max(max(numbers, default=0) for numbers in held.values())
        if not 2 <= count <= label_files.MOST_CLASSES:
            raise errors.DataError(
                f"The largest number in the masks of {folder} is {count - 1}, in "
                f"{_where(count - 1, held)}; wanted 1 to "
                f"{label_files.MOST_CLASSES - 1}. If it stands for pixels without a "
                f"class, pass --ignore {count - 1}. Otherwise list the classes in "
                f"{listing}: `0 background` and `255 object` suits masks in black and "
                "white, `R G B NAME` masks in colours."
            )
        self._check_gaps(count, held, listing)
        numbers = [n for n in range(count) if n not in self._ignored]
        self.classes = tuple(map(str, numbers))
        self.coding = label_files.Numbers(
            dict.fromkeys(self._ignored, label_files.IGNORE)
            | {number: i for i, number in enumerate(numbers)}
        )

    def _check_gaps(self, count: int, held: Held, listing: pathlib.Path) -> None:
        """Tells, or refuses, classes that exist only because a larger number does."""
        seen = sorted({number for numbers in held.values() for number in numbers})
        # Before each number that occurs, the numbers that do not.
        gaps = [
            [n for n in range(low + 1, high) if n not in self._ignored]
            for low, high in itertools.pairwise([-1, *seen])
        ]
        gaps = [gap for gap in gaps if gap]
        if not gaps:
            return
        absent = ", ".join(
            str(gap[0]) if len(gap) == 1 else f"{gap[0]} to {gap[-1]}" for gap in gaps
        )
        top = count - 1
        found = (
            f"{top} is the largest number in the masks, in {_where(top, held)}, and no "
            f"mask holds {absent}"
        )
        if max(map(len, gaps)) > _GAP_PER_NUMBER * len(seen):
            raise errors.DataError(
                f"{found}: {len(seen)} numbers would make {count} classes. If {top} is "
                f"a mistake, correct it; if it stands for pixels without a class, pass "
                f"--ignore {top}. Otherwise list the numbers that there are in "
                f"{listing}, a line `NUMBER NAME` for each."
            )
        self.note(
            f"{found}; these count as classes all the same. If {top} is a mistake or "
            f"no class, correct it or pass --ignore {top}; names in {listing} settle it"
        )

    def _held(self, path: pathlib.Path) -> dict[int, int]:
        """Pixels of each number; bad masks that are skipped are listed when written."""
        if path not in self._numbers:  # each mask is read once
            try:
                stored = label_files.read_numbers(path)
            except errors.DataError as error:
                if not self._skip_bad:
                    raise image_set.stopped(error) from error
                return {}
            numbers, counts = np.unique(stored, return_counts=True)
            found = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
            self._numbers[path] = {
                n: c for n, c in found.items() if n not in self._ignored
            }
        return self._numbers[path]


def _where(number: int, held: Held) -> str:
    """For example "masks/a.png (3 pixels) and 2 more files"."""
    paths = [path for path, numbers in held.items() if number in numbers]
    if not paths:
        return "all of them"  # none can be read, or the numbers are all ignored
    pixels = held[paths[0]][number]
    said = f"{paths[0]} ({pixels} {'pixel' if pixels == 1 else 'pixels'})"
    more = len(paths) - 1
    if more:
        said += f" and {more} more {'file' if more == 1 else 'files'}"
    return said
