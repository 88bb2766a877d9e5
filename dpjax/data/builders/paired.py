"""What builders share whose pictures each have a file of targets: labels, or depth.

A builder declares where publishers put pictures and these files, and what they hold.
Splits whose targets are not published are left out: a score needs them, and pictures
without any are what `predict` takes.
"""

import pathlib
from typing import ClassVar

from dpjax import errors
from dpjax.data import image_files
from dpjax.data.builders import image_set, layouts

_SHOWN = 5

Pair = tuple[pathlib.Path, pathlib.Path]
PairedSplits = dict[str, dict[str, Pair]]


class PairedSet(image_set.ImageSet, skip_registration=True):
    """Base of sets that know a file of targets for each picture.

    Attributes:
        published: ways in which the set is published, best first.
        counts: number of images of each split as published; a copy with fewer is taken,
            and the difference is told.
        left_out: what else is published, and why it is no split.
        target_file: what a file of targets is called.
        target: what it holds.
        target_endings: of the files, in lower case.
        own: what a user's own files are, and how they are prepared.
        coding: what the files hold, once `find` has found them.
    """

    published: ClassVar[tuple[layouts.Layout, ...]] = ()
    counts: ClassVar[dict[str, int]] = {}
    left_out: ClassVar[str] = ""
    target_file: ClassVar[str]
    target: ClassVar[str]
    target_endings: ClassVar[frozenset[str]]
    own: ClassVar[str]
    coding: layouts.Coding

    def find(self, folder: pathlib.Path) -> image_set.Splits:
        """Returns the pictures of each split, and remembers their files of targets.

        Args:
            folder: the user's copy.

        Returns:
            For each split, the path of each record id.

        Raises:
            DataError: the folder does not hold the set, or files are missing.
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
                self.choose(folder, layout)
                self._tell_what_lacks(folder, layout, found)
                return self.remember(found)
        raise self._not_found(folder)

    def choose(self, folder: pathlib.Path, layout: layouts.Layout) -> None:
        """Takes note of what the files of a layout hold.

        Args:
            folder: the user's copy.
            layout: the one of `published` that the folder has.

        Raises:
            DataError: the folder is that of another set.
        """
        self.coding = layout.coding

    def remember(self, found: PairedSplits) -> image_set.Splits:
        """Returns the pictures, and keeps the file of targets of each.

        Args:
            found: for each split and record id, picture and file of targets.

        Returns:
            For each split, the path of each record id.
        """
        self._target_files = dict(
            pair for pairs in found.values() for pair in pairs.values()
        )
        return {
            split: {name: image for name, (image, _) in pairs.items()}
            for split, pairs in found.items()
        }

    def target_of(self, image: pathlib.Path) -> pathlib.Path:
        """Returns the file that holds the targets of a picture.

        Args:
            image: path of the picture, from `find`.

        Returns:
            Its path.
        """
        return self._target_files[image]

    def place_of(self, path: pathlib.Path) -> pathlib.Path:
        """Returns the file that the targets of an image come from, for messages.

        Args:
            path: of the image, from `find`.

        Returns:
            As `target_of`.
        """
        return self.target_of(path)

    def match(
        self,
        images: dict[str, pathlib.Path],
        targets: dict[str, pathlib.Path],
        where: str,
    ) -> dict[str, Pair]:
        """Returns pictures with their files; neither may be without the other.

        Args:
            images: path by id.
            targets: path by id.
            where: the place of the files of targets, for messages.

        Returns:
            Both by id.

        Raises:
            DataError: a picture without a file of targets, or one without a picture,
                unless bad files are skipped; or nothing is left.
        """
        wanted = "Wanted one of that name"
        lonely = [images[name] for name in images.keys() - targets.keys()]
        self.skip(
            lonely, f"pictures have no {self.target_file}", f"{wanted} in {where}"
        )
        lonely = [targets[name] for name in targets.keys() - images.keys()]
        self.skip(lonely, f"{self.target_file}s have no picture", wanted)
        pairs = {n: (path, targets[n]) for n, path in images.items() if n in targets}
        if not pairs:
            raise errors.DataError(f"No picture has {self.target} in {where}.")
        return pairs

    def skip(self, paths: list[pathlib.Path], what: str, wanted: str) -> None:
        """Leaves files out, if the user wants bad ones skipped.

        Args:
            paths: of the files; none is no fault.
            what: is wrong with them.
            wanted: what there should have been.

        Raises:
            DataError: there are some, and they may not be skipped.
        """
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

    def tell_counts(self, found: PairedSplits) -> None:
        """Notes which splits have other numbers of images than are published.

        Args:
            found: for each split and record id, picture and file of targets.
        """
        for split, pairs in found.items():
            wanted = self.counts.get(split, len(pairs))
            if len(pairs) != wanted:
                self.note(
                    f"{self.name}:{split} is published with {wanted} images, this copy "
                    f"has {len(pairs)}: scores cannot be compared with published ones"
                )
        if self.left_out:
            self.note(self.left_out)

    def _pairs_of(
        self, folder: pathlib.Path, split: str, place: layouts.Place
    ) -> dict[str, Pair]:
        images = layouts.files_at(folder, place.images, image_files.EXTENSIONS)
        targets: dict[str, pathlib.Path] = {}
        for pattern in reversed(place.targets):
            targets |= layouts.files_at(folder, pattern, self.target_endings)
        where = " or ".join(
            str(folder / layouts.base_of(pattern)) for pattern in place.targets
        )
        names = place.listed(folder)
        if place.holds is not None:
            images = {n: path for n, path in images.items() if place.holds(n)}
            targets = {n: path for n, path in targets.items() if place.holds(n)}
            if not images and not targets:
                return {}
        if names is None:
            return self.match(images, targets, where)
        absent = [n for n in names if n not in images and n not in targets]
        self.skip(
            [folder / place.images.replace(layouts.ID, name) for name in absent],
            f"listed pictures of {self.name}:{split} are not there",
            f"Wanted both pictures and {self.target_file}s",
        )
        return self.match(
            {name: images[name] for name in names if name in images},
            {name: targets[name] for name in names if name in targets},
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
        self.tell_counts(found)

    def _not_found(self, folder: pathlib.Path) -> errors.DataError:
        """Says what the nearest layout lacks."""
        places = [next(iter(layout.splits.values())) for layout in self.published]
        nearest = min(places, key=lambda place: len(place.missing(folder)))
        return errors.DataError(
            f"{folder} does not hold {self.name} as it is published: there is no "
            f"{' and no '.join(nearest.missing(folder))}. "
            f"It has {layouts.content(folder)}. Pass the folder that the publishers' "
            f"archives were unpacked in; for {self.own}."
        )
