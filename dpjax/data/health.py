"""Reads every record of a source and says what is wrong with it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import (
    builders,
    depth_health,
    disparity_health,
    identity,
    label_health,
    sources,
)

_FLAT_STD_255 = 1.0  # below this an image is one colour


@dataclasses.dataclass(frozen=True)
class Health:
    """What was found in one source.

    Attributes:
        name: the source.
        count: records.
        pixels: of all records together.
        sizes: smallest, median and largest (height, width), by area.
        grey: records without colour.
        flat: ids of images of a single colour.
        damaged: messages about records that cannot be read or are not what the index
            of the set says.
        duplicates: pairs of ids that show the same picture.
        fingerprint: of the records as a whole.
        census: of the labels, where every pixel has a class.
        survey: of the depth, where pixels have one.
        disparities: of the relative disparity, where records have it.
    """

    name: str
    count: int
    pixels: int
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    grey: int
    flat: list[str]
    damaged: list[str]
    duplicates: list[tuple[str, str]]
    fingerprint: str
    census: label_health.Census | None = None
    survey: depth_health.Survey | None = None
    disparities: disparity_health.Survey | None = None

    @property
    def is_sound(self) -> bool:
        """Whether every record can be read."""
        return not self.damaged


def examine(
    source: sources.Source, *, progress: Callable[[int, int], None] | None = None
) -> Health:
    """Returns what is wrong with a source; decodes every record.

    Args:
        source: the records.
        progress: called with (records done, records in all) after each record.

    Returns:
        The findings.
    """
    grey, flat, damaged, seen = 0, [], [], []
    labels, depths = _label_counter(source), depth_health.Counter(_own_sizes(source))
    disparities = disparity_health.Counter()
    counters = [c for c in (labels, depths, disparities) if c is not None]
    for position in range(len(source)):
        try:
            record = source[position]
            image = record["image"]
            seen.append(image.shape[:2])
            if not _shows_what_it_showed(record):
                damaged.append(
                    f"Record {record['id']!r} of {record['source']} shows another "
                    "picture than when it was prepared. Prepare it with --replace."
                )
            grey += bool(np.ptp(image, axis=-1).max() == 0)
            if image.std((0, 1)).max() < _FLAT_STD_255:
                flat.append(record["id"])
            wrong = [c.add(record) for c in counters if c.target in record]
            damaged += filter(None, wrong)
        except errors.DataError as error:
            damaged.append(str(error))
        if progress:
            progress(position + 1, len(source))
    sizes = source.sizes() if source.is_indexed else np.array(seen or [(0, 0)])
    areas = sizes.prod(axis=1)
    order = np.argsort(areas, kind="stable")
    picked = (order[0], order[len(order) // 2], order[-1])
    return Health(
        name=" + ".join(source.names),
        count=len(source),
        pixels=int(areas.sum()),
        sizes=tuple((int(sizes[i, 0]), int(sizes[i, 1])) for i in picked),
        grey=grey,
        flat=flat,
        damaged=damaged,
        duplicates=identity.find_duplicates(source),
        fingerprint=source.fingerprint,
        census=labels.census() if labels and labels.has_counted else None,
        survey=depths.survey() if depths.has_counted else None,
        disparities=disparities.survey() if disparities.has_counted else None,
    )


def _label_counter(source: sources.Source) -> label_health.Counter | None:
    """For sources whose parts have the same classes; others cannot be added up."""
    classes = {part.classes for part in source.parts}
    return (
        label_health.Counter(*classes) if len(classes) == 1 and all(classes) else None
    )


def _own_sizes(source: sources.Source) -> set[tuple[int, int]]:
    """Of the depth of sets that are published so."""
    names = {sources.parse(name).name for name in source.names}
    kinds = [builders.find(name) for name in names & builders.TABLE.keys()]
    return {kind.own_size["depth"] for kind in kinds if "depth" in kind.own_size}


def _shows_what_it_showed(record: dict[str, Any]) -> bool:
    """Whether a record looks as it did when it was prepared, if that is known."""
    if "fingerprint" not in record:
        return True
    code = np.frombuffer(identity.fingerprint(record["image"]), np.uint8)[None]
    stored = np.frombuffer(record["fingerprint"], np.uint8)[None]
    # Decoders may differ in the last bit, hence not equality.
    return identity.distances(code, stored)[0, 0] <= identity.SAME_BITS
