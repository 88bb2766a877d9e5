"""ILSVRC-2012 from a folder for each class; TFDS's own records are read as well."""

import pathlib
from typing import ClassVar

from dpjax import errors
from dpjax.data.builders import class_folder, image_set


class Imagenet2012(class_folder.Labelled, skip_registration=True):
    """1.28 million photographs of 1000 classes: train/nXXXXXXXX and val/nXXXXXXXX."""

    source: ClassVar[str] = "Russakovsky et al., IJCV 2015; ILSVRC2012, CLS-LOC"
    counts: ClassVar = {"train": 1_281_167, "validation": 50_000}
    class_count: ClassVar[int] = 1000

    def find(self, folder: pathlib.Path | None) -> image_set.Splits:
        """Returns the files of each split, called as TFDS calls them.

        Args:
            folder: the user's copy, with train and val, a folder for each class in
                both.

        Returns:
            "train" and "validation", the path of each record id.

        Raises:
            DataError: the folder does not hold the set, or not all of it.
        """
        found = self.find_splits(folder)
        if set(found) != {"train", "val"} or len(self.classes) != self.class_count:
            raise errors.DataError(
                f"ImageNet has {self.class_count} classes in train and val, found "
                f"{len(self.classes)} classes in {', '.join(filter(None, found))} of "
                f"{folder}. For other images prepare class_folder."
            )
        splits = {"train": found["train"], "validation": found["val"]}
        files = {
            split: {
                name: path for inner in classes.values() for name, path in inner.items()
            }
            for split, classes in splits.items()
        }
        for split, wanted in self.counts.items():
            if len(files[split]) != wanted:
                raise errors.DataError(
                    f"{self.name}:{split} has {wanted:,} images, found "
                    f"{len(files[split]):,} in {folder}. Complete the copy."
                )
        return files
