"""One split of one prepared set: ArrayRecord files, opened when first read."""

import dataclasses
import pathlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import image_files

FINGERPRINT_BYTES = 32  # of `identity`, which reads records


@dataclasses.dataclass(frozen=True)
class Index:
    """What is known of the records of a split without reading them.

    Attributes:
        numbers: of each record in the files of the split.
        ids: of each record.
        fingerprints: perceptual identities, uint8 [n, 32]; [0, 32] where none are
            known.
        sizes: height and width, int [n, 2], pixels; [0, 2] where they are not known.
        stamp: what tells this split from others, where there are no fingerprints.
    """

    numbers: Sequence[int]
    ids: Sequence[str]
    fingerprints: np.ndarray
    sizes: np.ndarray
    stamp: bytes = b""

    @classmethod
    def from_rows(cls, rows: Mapping[int, list]) -> "Index":
        """Returns the index that `prepare` wrote.

        Args:
            rows: for each record, by its number in the files: id, fingerprint in
                hexadecimal, height, width.

        Returns:
            The index.
        """
        codes = bytes.fromhex("".join(row[1] for row in rows.values()))
        return cls(
            numbers=list(rows),
            ids=[row[0] for row in rows.values()],
            fingerprints=np.frombuffer(codes, np.uint8).reshape(len(rows), -1),
            sizes=np.array([row[2:4] for row in rows.values()], np.int64),
        )

    @property
    def is_complete(self) -> bool:
        """Whether fingerprints and sizes are known."""
        return len(self.fingerprints) == len(self.numbers)


class Split:
    """Records and what the index of the set says about them, by position.

    Reading is thread-safe; a copy sent to another process opens its own files.

    Attributes:
        name: the reference it was opened by.
        index: what is known without reading.
        ids: id of each record.
        classes: what the labels of the set stand for, in their order; empty where it
            has none.
    """

    def __init__(
        self,
        name: str,
        folder: pathlib.Path,
        split: str,
        index: Index,
        *,
        units: Mapping[str, float] | None = None,
        classes: Sequence[str] = (),
    ):
        """Reads nothing yet.

        Args:
            name: the reference, for messages.
            folder: of the prepared set.
            split: name of the split in that folder.
            index: of its records.
            units: what one level of a stored target means, by its name.
            classes: what labels stand for.
        """
        self.name = name
        self.index = index
        self.ids = index.ids
        self.classes = tuple(classes)
        self._folder = folder
        self._split = split
        self._units = dict(units or {})
        self._opened = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Returns what another process needs.

        Returns:
            The state without open files and lock.
        """
        return {**self.__dict__, "_opened": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores a copy in another process.

        Args:
            state: what `__getstate__` gave.
        """
        self.__dict__.update(state, _lock=threading.Lock())

    def __len__(self) -> int:
        """Returns how many records there are.

        Returns:
            The length of `ids`.
        """
        return len(self.ids)

    def record(self, position: int) -> dict[str, Any]:
        """Returns one record, decoded.

        Args:
            position: from 0.

        Returns:
            `image` uint8 RGB [h, w, 3], `id` str, `source` str, `fingerprint` bytes if
            it is known, and the targets of the set under their names: maps of one
            channel [h, w], float32 where the set says what a level means.

        Raises:
            DataError: the record is damaged or is not the one of the index.
        """
        record, index = self._read(position), self.index
        if index.is_complete and record["id"] != index.ids[position]:
            raise self._damaged(position, f"it holds {record['id']!r} instead")
        image = image_files.decode(record["image"])
        if image is None:
            raise self._damaged(position, "its image does not decode")
        known = {"id": index.ids[position], "source": self.name}
        if index.is_complete:
            if image.shape[:2] != tuple(index.sizes[position]):
                raise self._damaged(position, f"its image has shape {image.shape}")
            known["fingerprint"] = index.fingerprints[position].tobytes()
        for target, unit in self._units.items():
            record[target] = record[target].astype(np.float32) * np.float32(unit)
        return {**record, **known, "image": image}

    def _read(self, position: int) -> dict[str, Any]:
        """A record as stored, except for its image decoded."""
        try:
            with self._lock:
                if self._opened is None:
                    self._opened = _open(self._folder, self._split)
            data, features = self._opened
            record = data[self.index.numbers[position]]
            return {name: _plain(record[name], features[name]) for name in record}
        except Exception as error:  # the record library raises many kinds
            raise self._damaged(position, str(error).strip()) from error

    def _damaged(self, position: int, reason: str) -> errors.DataError:
        files = sorted(self._folder.glob(f"*-{self._split}.array_record-*"))
        return errors.DataError(
            f"Record {self.ids[position]!r} (number {self.index.numbers[position]}) of "
            f"{self.name} is damaged: {reason[:300]}. File: "
            f"{', '.join(map(str, files)) or self._folder}. "
            "Prepare the set again with --replace."
        )


def _open(folder: pathlib.Path, split: str) -> tuple[Any, Any]:
    """The records of a split by number, and their features by name."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(folder))
    # The image is decoded as it was when it was prepared.
    decoders = {"image": tfds.decode.SkipDecoding()}
    return builder.as_data_source(split, decoders=decoders), builder.info.features


def _plain(value: Any, feature: Any) -> Any:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.Text):
        return value.decode()
    if isinstance(feature, tfds.features.Image) and feature.shape[-1] == 1:
        return value[..., 0]
    return value
