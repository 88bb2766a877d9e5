"""What the depth of a source holds: how far pixels are, and what cannot be depth."""

import dataclasses
from collections.abc import Collection
from typing import Any, ClassVar

import numpy as np

from dpjax.data import depth_files

# Positive floats are ordered as their bits are.  The upper 20 of 32 tell a depth from
# others that differ by 1/2048 of it or more.
_DROPPED_BITS = 12


@dataclasses.dataclass(frozen=True)
class Survey:
    """The measured pixels of some records.

    Attributes:
        pixels: of all depth maps together.
        measured: those with a depth.
        quantiles_m: smallest depth, that of 1 %, 50 % and 99 % of the measured pixels,
            and largest, metres; but for the ends within 1/4096 of the exact ones.
    """

    pixels: int
    measured: int
    quantiles_m: tuple[float, float, float, float, float]

    @property
    def share(self) -> float:
        """Share of the pixels that were measured."""
        return self.measured / max(self.pixels, 1)

    @property
    def is_plausible(self) -> bool:
        """Whether the median is a distance that scenes have, in metres."""
        return depth_files.NEAREST_M <= self.quantiles_m[2] <= depth_files.FARTHEST_M


class Counter:
    """Counts the depths of records, one after the other.

    Attributes:
        target: name of what is counted in a record.
    """

    target: ClassVar[str] = "depth"

    def __init__(self, own_sizes: Collection[tuple[int, int]] = ()):
        """Has counted nothing yet.

        Args:
            own_sizes: heights and widths that depth maps may have beside that of their
                image, pixels.
        """
        self._own_sizes = frozenset(own_sizes)
        self._counts = np.zeros(1 << (32 - _DROPPED_BITS), np.int64)
        self._ends = (np.inf, 0.0)
        self._pixels = 0

    def add(self, record: dict[str, Any]) -> str | None:
        """Counts the depth of one record, unless something is wrong with it.

        Args:
            record: `depth`, float32 metres, `image`, `id` and `source`.

        Returns:
            What is wrong, or None.
        """
        depth, size = record["depth"], record["image"].shape[:2]
        named = f"Record {record['id']!r} of {record['source']}"
        remedy = "Prepare it with --replace."
        if depth.shape not in {size, *self._own_sizes}:
            return (
                f"{named} has depth of shape {depth.shape} and an image of {size}. "
                f"{remedy}"
            )
        # How far a scene may be was asked file by file, when the unit was known.
        found = depth_files.fault(depth, nearest_m=0, farthest_m=np.inf)
        if found:
            return f"{named} has {found[0]}. {remedy}"
        known = np.ascontiguousarray(depth[depth > 0], np.float32)
        bins = known.view(np.uint32) >> _DROPPED_BITS
        self._counts += np.bincount(bins, minlength=len(self._counts))
        low, high = self._ends
        self._ends = (min(low, float(known.min())), max(high, float(known.max())))
        self._pixels += depth.size
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
        below = np.cumsum(self._counts)
        measured = int(below[-1])
        places = np.searchsorted(below, np.array([0.01, 0.5, 0.99]) * measured)
        half = np.uint32(1 << (_DROPPED_BITS - 1))
        middles = ((places.astype(np.uint32) << _DROPPED_BITS) + half).view(np.float32)
        low, high = self._ends
        inner = np.clip(middles.astype(np.float64), low, high)
        return Survey(self._pixels, measured, (low, *map(float, inner), high))
