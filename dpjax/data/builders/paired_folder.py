"""A user's images, each with a file of targets beside it: masks, or depth maps."""

import pathlib
from typing import ClassVar

from dpjax import errors
from dpjax.data import image_files
from dpjax.data.builders import image_folder, image_set, layouts, paired

IMAGES = "images"
_SPLITS = {**image_folder.NAMED, "validation": "val"}


class PairedFolder(paired.PairedSet, image_folder.ImageFolder, skip_registration=True):
    """Base of sets in folders of the user's, under a name of the user's.

    Attributes:
        target_folders: names that the folder of the files of targets may have.
    """

    target_folders: ClassVar[tuple[str, ...]]

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the pictures of each split, and remembers their files of targets.

        Folders train, val and test, each with images and the files, are splits.  A
        single pair of folders is split as `image_folder` does.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id: the path below images, behind
            the name of the folder of its split.

        Raises:
            DataError: no such folders, or an image or a file without the other.
            UserError: a ratio for a folder that is split already.
        """
        image_files.check_folder(folder)
        tops = [top for top in _SPLITS if (folder / top / IMAGES).is_dir()]
        pairs = {top: self._pairs_in(folder / top, f"{top}/") for top in tops}
        if not pairs:
            pairs = {"": self._pairs_in(folder, "")}
        self.learn(folder, pairs)
        if tops:
            self._check_splits(folder, tops)
            return self.remember({_SPLITS[top]: pairs[top] for top in tops})
        return self.divide(self.remember(pairs)[""])

    def learn(self, folder: pathlib.Path, pairs: paired.PairedSplits) -> None:
        """Takes note of what the files hold: sets `coding`, and what else there is.

        Args:
            folder: the user's copy.
            pairs: for each folder of a split and record id, picture and file.

        Raises:
            DataError: the user's description cannot be read, or does not fit.
            UserError: the user has to say what the files hold.
        """
        raise NotImplementedError

    def _pairs_in(self, folder: pathlib.Path, prefix: str) -> dict[str, paired.Pair]:
        inner = next((n for n in self.target_folders if (folder / n).is_dir()), None)
        if inner is None or not (folder / IMAGES).is_dir():
            raise errors.DataError(
                f"Wanted the folders {IMAGES} and {' or '.join(self.target_folders)} "
                f"in {folder}, or in folders train, val and test of it, found "
                f"{layouts.content(folder)}. Arrange the files so."
            )
        images = layouts.files_at(
            folder, f"{IMAGES}/{layouts.ID}", image_files.EXTENSIONS
        )
        # A lossy file is found here, and refused when it is read.
        endings = self.target_endings | image_files.EXTENSIONS
        found = layouts.files_at(folder, f"{inner}/{layouts.ID}", endings)
        matched = self.match(images, found, str(folder / inner))
        return {
            prefix + image.relative_to(folder / IMAGES).as_posix(): (image, file)
            for image, file in matched.values()
        }

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
