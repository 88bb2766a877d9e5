"""What all builders of labelled images share: a class for every pixel.

A builder declares where publishers put pictures and label files, and what the files
hold.  Records then have `labels`, 0 to k-1, and 255 where no class is known; that
number exists in records only, past the loader such pixels are not valid.

Splits whose labels are not published are left out: a score needs labels, and pictures
without any are what `predict` takes.
"""

import pathlib
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from dpjax import errors
from dpjax.data import class_lists, image_files, label_files
from dpjax.data.builders import image_set, layouts

_SHOWN = 5

Pair = tuple[pathlib.Path, pathlib.Path]
PairedSplits = dict[str, dict[str, Pair]]


class LabelMaps(image_set.ImageSet, skip_registration=True):
    """Base of sets whose records hold `labels`, uint8 [h, w], 255 where not labelled.

    Attributes:
        published: ways in which the set is published, best first.
        counts: number of images of each split as published; a copy with fewer is taken,
            and the difference is told.
        left_out: what else is published, and why it is no split.
    """

    extra_features: ClassVar = {
        "labels": tfds.features.Image(shape=(None, None, 1), dtype=np.uint8)
    }
    published: ClassVar[tuple[layouts.Layout, ...]] = ()
    counts: ClassVar[dict[str, int]] = {}
    left_out: ClassVar[str] = ""

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the pictures of each split, and remembers their label files.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id.

        Raises:
            DataError: the folder does not hold the set, or label files are missing.
        """
        image_files.check_folder(folder)
        for layout in self.published:
            found = {
                split: self._pairs_of(folder, split, place)
                for split, place in layout.splits.items()
                if not place.missing(folder)
            }
            found = {split: pairs for split, pairs in found.items() if pairs}
            if found:
                if layout.is_plain:
                    self._check_names(folder / class_lists.FILE)
                self._coding = layout.coding
                self._tell_what_lacks(folder, layout, found)
                return self.remember(found)
        raise self._not_found(folder)

    def remember(self, found: PairedSplits) -> image_set.Splits:
        """Returns the pictures, and keeps the label file of each.

        Args:
            found: for each split and record id, picture and label file.

        Returns:
            For each split, the path of each record id.
        """
        self._label_files = dict(
            pair for pairs in found.values() for pair in pairs.values()
        )
        return {
            split: {name: image for name, (image, _) in pairs.items()}
            for split, pairs in found.items()
        }

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
        file = self._label_files[path]
        labels, strays = self._coding.decode(label_files.read(file), file)
        if strays:
            self.note(
                f"{file.name}: {strays} pixels have a colour of no class, as smoothed "
                "borders do; they count as not labelled"
            )
        return {"labels": labels}

    def match(
        self,
        images: dict[str, pathlib.Path],
        labels: dict[str, pathlib.Path],
        where: str,
    ) -> dict[str, Pair]:
        """Returns pictures with their label files; neither may be without the other.

        Args:
            images: path by id.
            labels: path by id.
            where: the place of the label files, for messages.

        Returns:
            Both by id.

        Raises:
            DataError: a picture without labels, or labels without a picture, unless bad
                files are skipped; or nothing is left.
        """
        lonely = [images[name] for name in images.keys() - labels.keys()]
        self._skip(
            lonely, "pictures have no label file", f"Wanted one of that name in {where}"
        )
        lonely = [labels[name] for name in labels.keys() - images.keys()]
        self._skip(lonely, "label files have no picture", "Wanted one of that name")
        pairs = {n: (path, labels[n]) for n, path in images.items() if n in labels}
        if not pairs:
            raise errors.DataError(f"No picture has labels in {where}.")
        return pairs

    def _skip(self, paths: list[pathlib.Path], what: str, wanted: str) -> None:
        if not paths:
            return
        names = sorted(map(str, paths))
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        message = f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}"
        if not self._skip_bad:
            raise errors.DataError(
                f"{message}. {wanted}. Complete the copy, remove these files, or "
                "pass --skip-bad."
            )
        self.leave_out(message)

    def _pairs_of(
        self, folder: pathlib.Path, split: str, place: layouts.Place
    ) -> dict[str, Pair]:
        images = layouts.files_at(folder, place.images, image_files.EXTENSIONS)
        labels: dict[str, pathlib.Path] = {}
        for pattern in reversed(place.labels):
            labels |= layouts.files_at(folder, pattern, label_files.EXTENSIONS)
        where = " or ".join(
            str(folder / layouts.base_of(pattern)) for pattern in place.labels
        )
        names = place.listed(folder)
        if place.holds is not None:
            images = {n: path for n, path in images.items() if place.holds(n)}
            labels = {n: path for n, path in labels.items() if place.holds(n)}
            if not images and not labels:
                return {}
        if names is None:
            return self.match(images, labels, where)
        absent = [n for n in names if n not in images and n not in labels]
        self._skip(
            [folder / place.images.replace(layouts.ID, name) for name in absent],
            f"listed pictures of {self.name}:{split} are not there",
            "Wanted both pictures and label files",
        )
        return self.match(
            {name: images[name] for name in names if name in images},
            {name: labels[name] for name in names if name in labels},
            where,
        )

    def _tell_what_lacks(
        self, folder: pathlib.Path, layout: layouts.Layout, found: PairedSplits
    ) -> None:
        for split, place in layout.splits.items():
            images, missing = layouts.base_of(place.images), place.missing(folder)
            if missing and not place.lists and (folder / images).is_dir():
                self.note(
                    f"{self.name}:{split} is left out, there is no "
                    f"{' and no '.join(missing)}"
                )
        for split, pairs in found.items():
            wanted = self.counts.get(split, len(pairs))
            if len(pairs) != wanted:
                self.note(
                    f"{self.name}:{split} is published with {wanted} images, this copy "
                    f"has {len(pairs)}: scores cannot be compared with published ones"
                )
        if self.left_out:
            self.note(self.left_out)

    def _check_names(self, path: pathlib.Path) -> None:
        names = class_lists.read(path).names
        if list(map(_letters, names)) != list(map(_letters, self.classes)):
            raise errors.DataError(
                f"{path} names other classes than {self.name} has: "
                f"{', '.join(names[:_SHOWN])} ... instead of "
                f"{', '.join(self.classes[:_SHOWN])} ... For a set of your own prepare "
                "mask_folder."
            )

    def _not_found(self, folder: pathlib.Path) -> errors.DataError:
        """Says what the nearest layout lacks."""
        places = [next(iter(layout.splits.values())) for layout in self.published]
        nearest = min(places, key=lambda place: len(place.missing(folder)))
        return errors.DataError(
            f"{folder} does not hold {self.name} as it is published: there is no "
            f"{' and no '.join(nearest.missing(folder))}. "
            f"It has {layouts.content(folder)}. Pass the folder that the publishers' "
            "archives were unpacked in; for your own images and masks prepare "
            "mask_folder."
        )


def _letters(name: str) -> str:
    """What is left of a name that people write in several ways, as in "floor mat"."""
    return "".join(filter(str.isalnum, name.lower()))
