"""What the labels of a source hold: how much of each class, and what is no class."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from dpjax.data import label_files

_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class Census:
    """The labelled pixels of some records.

    Attributes:
        classes: what the numbers stand for.
        pixels: of each class, int64 [k].
        images: that show each class, int64 [k].
        around: pixels of the images that show each class, int64 [k].
        unlabelled: pixels without a class.
        empty: ids of records without a single labelled pixel.
        first: id of the first record that shows each class, "" for none.
        records: that were counted.
    """

    classes: tuple[str, ...]
    pixels: np.ndarray
    images: np.ndarray
    around: np.ndarray
    unlabelled: int
    empty: list[str]
    first: tuple[str, ...]
    records: int

    @property
    def shares(self) -> np.ndarray:
        """Share of each class in all pixels, and last that of the unlabelled ones."""
        every = np.append(self.pixels, self.unlabelled)
        return every / max(every.sum(), 1)

    @property
    def weights(self) -> np.ndarray:
        """What balances the classes in a loss, by the median of their frequencies.

        median(f) / f_c, f_c being the share of a class in the images that show it
        (Eigen & Fergus, ICCV 2015); 0 for classes that no pixel has.
        """
        shown = self.pixels > 0
        frequencies = self.pixels / np.maximum(self.around, 1)
        middle = np.median(frequencies[shown]) if shown.any() else 0.0
        return np.where(shown, middle / np.where(shown, frequencies, 1), 0.0)

    @property
    def absent(self) -> list[str]:
        """Names of the classes that no pixel has."""
        return [
            name for name, n in zip(self.classes, self.pixels, strict=True) if not n
        ]

    @property
    def lonely(self) -> list[tuple[str, str, int]]:
        """Classes that one image of several shows: name, its record, and pixels."""
        if self.records < 2:
            return []
        rows = zip(self.classes, self.first, self.pixels, self.images, strict=True)
        return [(name, key, int(n)) for name, key, n, images in rows if images == 1]

    @property
    def strays(self) -> list[tuple[str, str, int]]:
        """Those of `lonely` that are probably mistakes and no classes.

        Where classes are known by their numbers only, nobody has listed them: one that
        a single image shows, above a number that no image shows, exists for the sake
        of these pixels.
        """
        if not all(name.isdecimal() for name in self.classes):
            return []
        behind = {
            name
            for before, name in zip(self.pixels, self.classes[1:], strict=False)
            if not before
        }
        return [row for row in self.lonely if row[0] in behind]


def merged(parts: Sequence[Census]) -> Census:
    """Returns the census of several sources together.

    Args:
        parts: of sources with the same classes and without common records; at least
            one.

    Returns:
        Their sums, and their lists one after the other.
    """
    firsts = zip(*(part.first for part in parts), strict=True)
    return Census(
        classes=parts[0].classes,
        pixels=sum(part.pixels for part in parts),
        images=sum(part.images for part in parts),
        around=sum(part.around for part in parts),
        unlabelled=sum(part.unlabelled for part in parts),
        empty=[key for part in parts for key in part.empty],
        first=tuple(next(filter(None, keys), "") for keys in firsts),
        records=sum(part.records for part in parts),
    )


class Counter:
    """Counts the labels of records, one after the other.

    Attributes:
        target: name of what is counted in a record.
    """

    target: ClassVar[str] = "labels"

    def __init__(self, classes: Sequence[str]):
        """Has counted nothing yet.

        Args:
            classes: what the numbers stand for.
        """
        self._classes = tuple(classes)
        self._pixels = np.zeros(label_files.IGNORE + 1, np.int64)
        self._images = np.zeros_like(self._pixels)
        self._around = np.zeros_like(self._pixels)
        self._empty: list[str] = []
        self._first: dict[int, str] = {}
        self._records = 0

    def add(self, record: dict[str, Any]) -> str | None:
        """Counts the labels of one record, unless something is wrong with them.

        Args:
            record: `labels`, `image`, `id` and `source`.

        Returns:
            What is wrong, or None.
        """
        labels, size = record["labels"], record["image"].shape[:2]
        named = f"Record {record['id']!r} of {record['source']}"
        if labels.shape != size:
            return (
                f"{named} has labels of shape {labels.shape} and an image of {size}. "
                "Prepare it with --replace."
            )
        counts = np.bincount(labels.ravel(), minlength=len(self._pixels))
        strange = np.flatnonzero(counts[len(self._classes) : -1]) + len(self._classes)
        if len(strange):
            return (
                f"{named} has the labels {', '.join(map(str, strange[:_SHOWN]))}; the "
                f"set has {len(self._classes)} classes. Prepare it with --replace."
            )
        for number in np.flatnonzero(counts).tolist():
            self._first.setdefault(number, record["id"])
        self._records += 1
        self._pixels += counts
        self._images += counts > 0
        self._around += labels.size * (counts > 0)
        if not counts[:-1].any():
            self._empty.append(record["id"])
        return None

    @property
    def has_counted(self) -> bool:
        """Whether any pixel was counted."""
        return bool(self._pixels.any())

    def census(self) -> Census:
        """Returns what was counted so far.

        Returns:
            The sums over all sound records.
        """
        k = len(self._classes)
        return Census(
            classes=self._classes,
            pixels=self._pixels[:k],
            images=self._images[:k],
            around=self._around[:k],
            unlabelled=int(self._pixels[-1]),
            empty=self._empty,
            first=tuple(self._first.get(number, "") for number in range(k)),
            records=self._records,
        )
