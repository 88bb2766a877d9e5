"""Records that TFDS's own builders wrote, such as `tfds build imagenet2012`.

They hold an image and its label or, as nyu_depth_v2, its depth, and no index of ours:
ids are their numbers, and what they look like is not known before they are read, so
that whether two sets share pictures cannot be told.
"""

import json
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import builders, records, slices

_READABLE = "array_record"
_LABEL, _DEPTH = "label", "depth"


class _Numbers(Sequence):
    """Ids of records that have none, made when asked for: there may be millions."""

    def __init__(self, numbers: Sequence[int]):
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return _Numbers(self._numbers[position])
        return f"{self._numbers[position]:07d}"

    def __iter__(self) -> Iterator[str]:
        return (f"{number:07d}" for number in self._numbers)


def is_published(name: str, folder: pathlib.Path) -> bool:
    """Returns whether a prepared set was written by a builder that is not ours.

    Args:
        name: data set.
        folder: its prepared records.

    Returns:
        True for sets that are not in `builders.TABLE`, and for those of its sets that
        TFDS itself prepared.
    """
    if name not in builders.TABLE:
        return True
    return _info(folder).get("moduleName", "").startswith("tensorflow_datasets.")


def counts(folder: pathlib.Path) -> dict[str, int]:
    """Returns the number of records of each split.

    Args:
        folder: of the prepared set.

    Returns:
        Split names to counts.

    Raises:
        DataError: the description of the set cannot be read.
    """
    return {
        split["name"]: sum(map(int, split["shardLengths"]))
        for split in _info(folder)["splits"]
    }


def open_split(
    name: str,
    folder: pathlib.Path,
    split: str,
    part: str = "",
    without: Sequence[str] = (),
) -> records.Split:
    """Returns the records of a split.

    Args:
        name: the reference, for messages.
        folder: of the prepared set.
        split: one of `counts`.
        part: of it; see `slices.positions`.
        without: ids of records that are left out.

    Returns:
        The split; its records hold `image`, `label` or `depth`, float32 [h, w], metres,
        and whatever else the set has.

    Raises:
        DataError: the set is stored in another way, or holds no images with labels or
            depth.
        UserError: `without` names a record that is not there.
    """
    info = _info(folder)
    if info.get("fileFormat") != _READABLE:
        raise errors.DataError(
            f"{folder} is stored as {info.get('fileFormat')}, which cannot be read in "
            f"any order. Build it again: tfds build {info['name']} "
            f"--file_format={_READABLE}"
        )
    features = _features(folder)
    targets = {_LABEL, _DEPTH} & features.keys()
    if "image" not in features or not targets:
        raise errors.DataError(
            f"{folder} holds {', '.join(features)}; sets of TFDS are read where they "
            f"hold an image and its {_LABEL} or {_DEPTH}."
        )
    numbers: Sequence[int] = slices.positions(part, counts(folder)[split], name=name)
    if without:
        unknown = set(without) - set(_Numbers(numbers))
        if unknown:
            raise errors.UserError(
                f"Unknown record {min(unknown)!r} of {name}: they are numbered from "
                f"{numbers[0]:07d} to {numbers[-1]:07d}."
            )
        numbers = [n for n in numbers if f"{n:07d}" not in without]
    size = next(s["numBytes"] for s in info["splits"] if s["name"] == split)
    index = records.Index(
        numbers=numbers,
        ids=_Numbers(numbers),
        fingerprints=np.zeros((0, records.FINGERPRINT_BYTES), np.uint8),
        sizes=np.zeros((0, 2), np.int64),
        stamp=" ".join(
            (info["name"], info["version"], split + part, str(size), str(without))
        ).encode(),
    )
    return records.Split(
        name,
        folder,
        split,
        index,
        units={_DEPTH: 1.0} if _DEPTH in targets else {},  # TFDS has metres, in 16 bits
        classes=_classes(folder, features[_LABEL]) if _LABEL in targets else (),
    )


def _info(folder: pathlib.Path) -> dict[str, Any]:
    return _json(folder / "dataset_info.json")


def _features(folder: pathlib.Path) -> dict[str, Any]:
    return _json(folder / "features.json").get("featuresDict", {}).get("features", {})


def _json(path: pathlib.Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise errors.DataError(
            f"The description {path} cannot be read ({error}). Prepare the set again."
        ) from error


def _classes(folder: pathlib.Path, feature: dict[str, Any]) -> list[str]:
    """The names that TFDS wrote beside the records; numbers where it knew none."""
    path = folder / f"{_LABEL}.labels.txt"
    if path.is_file():
        return path.read_text(encoding="utf-8").splitlines()
    count = int(feature.get("classLabel", {}).get("numClasses", 0))
    return [str(number) for number in range(count)]
