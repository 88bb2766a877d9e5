"""A user's images and masks: a class for every pixel, under a name of the user's."""

import itertools
import pathlib
from typing import Any, ClassVar

import numpy as np

from dpjax import errors
from dpjax.data import class_lists, image_files, label_files
from dpjax.data.builders import (
    faults,
    image_set,
    label_maps,
    paired,
    paired_folder,
)

# A set of few pictures lacks some classes. A gap of more numbers is rather due to stray
# pixels, or a code such as 128 for "object"; so are more absent numbers than others.
_WIDEST_GAP = 4

_NO_MASK = "Pictures without a mask"
_NO_PICTURE = "Masks without a picture"
_BAD_PICTURE = "Pictures that cannot be used"
_BAD_MASK = "Masks that cannot be read"
_COLOURED = "Masks in colours, where numbers are wanted"
_OTHER_SIZE = "Masks of another size than their picture"
_NO_CLASS = "Masks with values of no class"
_NUMBERS = "Numbers that cannot be those of classes"
_ANYTHING = label_files.Numbers(dict.fromkeys(range(1 << 16), label_files.IGNORE))

Held = dict[pathlib.Path, dict[int, int]]  # pixels of each number in each mask


class MaskFolder(
    paired_folder.PairedFolder, label_maps.LabelMaps, skip_registration=True
):
    """Images and masks of yours, in folders images and masks, under a name of yours.

    A mask has the name of its image, up to the ending, and the number of its class in
    every pixel.  classes.txt beside the folders names the classes; without it they are
    called by their numbers, up to the largest that a mask holds; a wide gap is refused.
    All files that cannot be used are named at once.
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
        self._has_bad_masks = False
        self._faults = faults.Faults()
        super().__init__(config=config, ratio=ratio, test_list=test_list, **options)

    def learn(self, folder: pathlib.Path, pairs: paired.PairedSplits) -> None:
        """Takes note of the classes and of what the masks hold.

        Args:
            folder: the user's copy.
            pairs: for each folder of a split and record id, picture and mask.

        Raises:
            DataError: the list of classes cannot be read, or there is none and the
                masks are not numbers from 0, or leave a wide gap below the largest; or
                files cannot be used.
        """
        self._pairs = [pair for found in pairs.values() for pair in found.values()]
        listing = folder / class_lists.FILE
        wrong = None
        if listing.is_file():
            found = class_lists.read(listing, ignore=self._ignored)
            self.classes, self.coding = found.names, found.coding
        else:
            self.coding = _ANYTHING
            try:
                self._count(folder, listing)
            except errors.DataError as error:
                wrong = error
        if self._skip_bad and wrong is not None:
            raise wrong
        if self._faults or (self._has_bad_masks and not self._skip_bad) or wrong:
            raise self._all_faults(wrong)

    def match(
        self,
        images: dict[str, pathlib.Path],
        targets: dict[str, pathlib.Path],
        where: str,
    ) -> dict[str, paired.Pair]:
        """Returns pictures with their masks, and keeps in mind which lack the other.

        Args:
            images: path by id.
            targets: path by id.
            where: the folder of the masks, for messages.

        Returns:
            Both by id.

        Raises:
            DataError: no picture has a mask.
        """
        if self._skip_bad:
            return super().match(images, targets, where)
        go_on = "Complete the copy, or remove the file."
        for name in sorted(images.keys() - targets.keys()):
            path = images[name]
            wanted = f"{path} has no mask, wanted one of that name in {where}. {go_on}"
            self._faults.add(_NO_MASK, path, wanted)
        for name in sorted(targets.keys() - images.keys()):
            path = targets[name]
            self._faults.add(_NO_PICTURE, path, f"{path} has no picture. {go_on}")
        both = images.keys() & targets.keys()
        if self._faults and not both:
            raise errors.DataError(self._faults.message())
        return super().match(
            {name: path for name, path in images.items() if name in both},
            {name: path for name, path in targets.items() if name in both},
            where,
        )

    def stopping(self, error: errors.DataError) -> errors.DataError:
        """Returns what is wrong with all files, once one cannot be used.

        Args:
            error: what is wrong with the first.

        Returns:
            The faults by kind.
        """
        return self._all_faults(None, first=error)

    def _all_faults(
        self, wrong: errors.DataError | None, *, first: errors.DataError | None = None
    ) -> errors.DataError:
        """Looks at every file: prepared are none, so there is the time for it."""
        for done, (image, mask) in enumerate(self._pairs, 1):
            self._look_at(image, mask)
            if self._progress:
                self._progress(done, len(self._pairs))
        if wrong is not None:
            self._faults.add(_NUMBERS, self.folder, str(wrong))
        if not self._faults:
            return image_set.stopped(first)  # such as a file that came back meanwhile
        found = errors.DataError(self._faults.message())
        if len(self._faults) == 1:  # to leave out files does not mend the numbers
            return found if wrong else image_set.stopped(found)
        return errors.DataError(
            f"{found}\nNothing was prepared. Correct these, or leave such files out "
            "with --skip-bad."
        )

    def _look_at(self, image: pathlib.Path, mask: pathlib.Path) -> None:
        size = None
        try:
            size = self.trim(image_files.load(image).image).shape[:2]
        except errors.DataError as error:
            self._faults.add(_BAD_PICTURE, image, str(error))
        has_colours = isinstance(self.coding, label_files.Colours)
        try:
            stored = label_files.read(mask, has_colours=has_colours)
        except errors.DataError as error:
            self._faults.add(_BAD_MASK, mask, str(error))
            return
        try:
            self.coding.decode(stored, mask)
        except errors.DataError as error:
            is_coloured = stored.ndim == 3 and not has_colours
            self._faults.add(_COLOURED if is_coloured else _NO_CLASS, mask, str(error))
        if size is not None and stored.shape[:2] != size:
            error = image_set.of_another_size("labels", mask, stored.shape, image, size)
            self._faults.add(_OTHER_SIZE, mask, str(error))

    def _count(self, folder: pathlib.Path, listing: pathlib.Path) -> None:
        """Takes the numbers in the masks for the classes."""
        masks = [mask for _, mask in self._pairs]
        held = {path: self._held(path) for path in masks}
        if not self._numbers:
            if self._skip_bad:
                label_files.read_numbers(masks[0])  # says why
            return
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
        # Each number that occurs behind some that do not, with these.
        behind = {
            high: [n for n in range(low + 1, high) if n not in self._ignored]
            for low, high in itertools.pairwise([-1, *seen])
        }
        behind = {number: gap for number, gap in behind.items() if gap}
        if not behind:
            return
        gaps = behind.values()
        absent = label_files.listed(
            [str(gap[0]) if len(gap) == 1 else f"{gap[0]} to {gap[-1]}" for gap in gaps]
        )
        top = count - 1
        found = (
            f"{top} is the largest number in the masks, in {_where(top, held)}, and no "
            f"mask holds {absent}"
        )
        wide = [n for n, gap in behind.items() if len(gap) > _WIDEST_GAP]
        if wide or sum(map(len, gaps)) > len(seen):
            first = min(wide or behind)
            raise errors.DataError(
                f"{found}: {len(seen)} numbers would make {count} classes."
                f"{_in_doubt([n for n in seen if n >= first], held)} If {top} is "
                f"a mistake, correct it; if it stands for pixels without a class, pass "
                f"--ignore {top}. Otherwise list the numbers that there are in "
                f"{listing}, a line `NUMBER NAME` for each."
            )
        self.note(
            f"{found}; these count as classes all the same."
            f"{_in_doubt(list(behind), held)} If {top} is a "
            f"mistake or no class, correct it or pass --ignore {top}; names in "
            f"{listing} settle it"
        )

    def _held(self, path: pathlib.Path) -> dict[int, int]:
        """Pixels of each number; none in a bad mask, which is told or skipped later."""
        if path not in self._numbers:  # each mask is read once
            try:
                stored = label_files.read_numbers(path)
            except errors.DataError:
                self._has_bad_masks = True
                return {}
            numbers, counts = np.unique(stored, return_counts=True)
            found = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
            self._numbers[path] = {
                n: c for n, c in found.items() if n not in self._ignored
            }
        return self._numbers[path]


def _in_doubt(numbers: list[int], held: Held) -> str:
    """Where several numbers are that may be mistakes, a sentence; "" for one."""
    if len(numbers) < 2:
        return ""  # the largest, of which this is said anyway
    said = [f"{n} in {_where(n, held)}" for n in numbers[: faults.SHOWN]]
    more = len(numbers) - faults.SHOWN
    said += [f"{more} more numbers"] if more > 0 else []
    return f" In doubt are {'; '.join(said)}."


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
