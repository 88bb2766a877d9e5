"""What the relative disparity of a source holds: how much of it was matched."""

import dataclasses
from typing import Any, ClassVar

import numpy as np


@dataclasses.dataclass(frozen=True)
class Survey:
    """The disparity of some records.

    Attributes:
        pixels: of all disparity maps together.
        matched: those whose disparity was matched, not filled in.
        ends: smallest and largest disparity of matched pixels; most are in 0..1.
        poorest: record with the smallest share of matched pixels, and that share.
    """

    pixels: int
    matched: int
    ends: tuple[float, float]
    poorest: tuple[str, float]

    @property
    def share(self) -> float:
        """Share of the pixels that were matched."""
        return self.matched / max(self.pixels, 1)


class Counter:
    """Counts the disparities of records, one after the other.

    Attributes:
        target: name of what is counted in a record.
    """

    target: ClassVar[str] = "disparity"

    def __init__(self):
        """Has counted nothing yet."""
        self._pixels = self._matched = 0
        self._ends = (np.inf, -np.inf)
        self._poorest = ("", np.inf)

    def add(self, record: dict[str, Any]) -> str | None:
        """Counts the disparity of one record, unless something is wrong with it.

        Args:
            record: `disparity` float32 [h, w], perhaps `confidence` [h, w], 0 where it
                was not matched, `image`, `id` and `source`.

        Returns:
            What is wrong, or None.
        """
        size = record["image"].shape[:2]
        named = f"Record {record['id']!r} of {record['source']}"
        remedy = "Prepare it with --replace."
        for name in ("disparity", "confidence"):
            if name in record and record[name].shape != size:
                return (
                    f"{named} has {name} of shape {record[name].shape} and an image of "
                    f"{size}. {remedy}"
                )
        disparity = record["disparity"]
        is_matched = np.isfinite(disparity)
        if "confidence" in record:
            is_matched &= record["confidence"] > 0
        known = disparity[is_matched]
        if not known.size:
            return f"{named} has no pixel that was matched. {remedy}"
        low, high = float(known.min()), float(known.max())
        if low == high:
            return f"{named} has the same disparity wherever it was matched. {remedy}"
        self._ends = (min(self._ends[0], low), max(self._ends[1], high))
        self._pixels += disparity.size
        self._matched += known.size
        share = known.size / disparity.size
        if share < self._poorest[1]:
            self._poorest = (str(record["id"]), share)
        return None

    @property
    def has_counted(self) -> bool:
        """Whether any pixel was counted."""
        return self._pixels > 0

    def survey(self) -> Survey:
        """Returns what was counted so far.

        Returns:
            The sums over all sound records.
        """
        return Survey(self._pixels, self._matched, self._ends, self._poorest)
