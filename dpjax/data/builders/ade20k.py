"""ADE20K as the scene parsing benchmark of 2016 gives it: 150 classes.

TFDS's `scene_parse150` reads the archives of the instance challenge of 2017, whose
annotations are not the class maps that scores are published on.
"""

import pathlib
from typing import ClassVar

from dpjax import errors
from dpjax.data import label_files
from dpjax.data.builders import image_set, label_maps, layouts

_COUNT = 150
_NAMES = "objectInfo150.txt"
_CODING = label_files.Numbers.of(_COUNT, first=1, ignore=(0,))


class Ade20k(label_maps.LabelMaps, skip_registration=True):
    """150 kinds of things and stuff, indoors and out: ADEChallengeData2016."""

    source: ClassVar[str] = "Zhou et al., CVPR 2017; ADEChallengeData2016"
    counts: ClassVar = {"train": 20_210, "val": 2_000}
    left_out: ClassVar[str] = "ade20k: the labels of its test images are not published"
    published: ClassVar = tuple(
        layouts.by_split(
            _CODING,
            f"{root}images/{{split}}/{{}}",
            f"{root}annotations/{{split}}/{{}}",
            train="training",
            val="validation",
        )
        for root in ("ADEChallengeData2016/", "")
    )

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the pictures of each split, and takes note of the classes' names.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id.

        Raises:
            DataError: the folder does not hold the set, or label files are missing.
        """
        found = super().find(folder)
        inner = folder / "ADEChallengeData2016"
        self.classes = _names((inner if inner.is_dir() else folder) / _NAMES)
        return found


def _names(path: pathlib.Path) -> tuple[str, ...]:
    """The first of the synonyms in the last column, below a line of titles."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()[1:]
    except OSError as error:
        raise errors.DataError(
            f"Cannot read {path}: {error.strerror}. It is published with the images "
            "and names the classes."
        ) from error
    names = [line.split("\t")[-1].split(",")[0].strip() for line in lines if line]
    if len(names) != _COUNT:
        raise errors.DataError(
            f"{path} names {len(names)} classes, wanted {_COUNT} lines below a line of "
            "titles. Copy it again."
        )
    return tuple(names)
