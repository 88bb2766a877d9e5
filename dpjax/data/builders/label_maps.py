"""What all builders of labelled images share: a class for every pixel.

Records have `labels`, 0 to k-1, and 255 where no class is known; that number exists in
records only, past the loader such pixels are not valid.
"""

import pathlib
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import class_lists, label_files
from dpjax.data.builders import layouts, paired

_SHOWN = 5


class LabelMaps(paired.PairedSet, skip_registration=True):
    """Base of sets whose records hold `labels`, uint8 [h, w], 255 for no class."""

    extra_features: ClassVar = {
        "labels": tfds.features.Image(shape=(None, None, 1), dtype=np.uint8)
    }
    target_file: ClassVar[str] = "label file"
    target: ClassVar[str] = "labels"
    target_endings: ClassVar = label_files.EXTENSIONS
    own: ClassVar[str] = "your own images and masks prepare mask_folder"
    coding: label_files.Coding

    def choose(self, folder: pathlib.Path, layout: layouts.Layout) -> None:
        """Takes note of what the label files of a layout hold.

        Args:
            folder: the user's copy.
            layout: the one of `published` that the folder has.

        Raises:
            DataError: plain folders, and a list of the classes of another set.
        """
        super().choose(folder, layout)
        if layout.is_plain:
            self._check_names(folder / class_lists.FILE)

    def load_extras(self, name: str, path: pathlib.Path) -> dict[str, Any]:
        """Returns the labels of one image.

        Args:
            name: id of the record.
            path: of its image.

        Returns:
            `labels`, uint8 [h, w].

        Raises:
            DataError: the label file cannot be read, or holds what is no class.
        """
        file = self.target_of(path)
        labels, strays = label_files.load(file, self.coding)
        if strays:
            self.note(
                f"{file.name}: {strays} pixels have a colour of no class, as smoothed "
                "borders do; they count as not labelled"
            )
        return {"labels": labels}

    def _check_names(self, path: pathlib.Path) -> None:
        names = class_lists.read(path).names
        if list(map(_letters, names)) != list(map(_letters, self.classes)):
            raise errors.DataError(
                f"{path} names other classes than {self.name} has: "
                f"{', '.join(names[:_SHOWN])} ... instead of "
                f"{', '.join(self.classes[:_SHOWN])} ... For a set of your own prepare "
                "mask_folder."
            )


def _letters(name: str) -> str:
    """What is left of a name that people write in several ways, as in "floor mat"."""
    return "".join(filter(str.isalnum, name.lower()))
