"""One split of one prepared set: ArrayRecord files, opened when first read."""

import pathlib
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import image_files


class Split:
    """Records and what the index of the set says about them, by position.

    Reading is thread-safe; a copy sent to another process opens its own files.

    Attributes:
        name: the reference it was opened by.
        ids: id of each record.
        fingerprints: perceptual identities, uint8 [n, 32].
        sizes: height and width, int [n, 2], pixels.
    """

    def __init__(
        self,
        name: str,
        folder: pathlib.Path,
        split: str,
        rows: Mapping[int, list],
        units: Mapping[str, float],
    ):
        """Reads nothing yet.

        Args:
            name: the reference, for messages.
            folder: of the prepared set.
            split: name of the split in that folder.
            rows: for each record, by its number in the files: id, fingerprint in
                hexadecimal, height, width.
            units: what one level of a stored target means, by its name.
        """
        self.name = name
        self.ids = [row[0] for row in rows.values()]
        codes = bytes.fromhex("".join(row[1] for row in rows.values()))
        self.fingerprints = np.frombuffer(codes, np.uint8).reshape(len(rows), -1)
        self.sizes = np.array([row[2:4] for row in rows.values()], np.int64)
        self._numbers = list(rows)
        self._folder = folder
        self._split = split
        self._units = dict(units)
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
            `image` uint8 RGB [h, w, 3], `id` str, `fingerprint` bytes, `source` str,
            and the targets of the set under their names: maps of one channel [h, w],
            float32 where the set says what a level means.

        Raises:
            DataError: the record is damaged or is not the one of the index.
        """
        record = self._read(position)
        name = record["id"]
        if name != self.ids[position]:
            raise self._damaged(position, f"it holds {name!r} instead")
        image = image_files.decode(record["image"])
        if image is None:
            raise self._damaged(position, "its image does not decode")
        if image.shape[:2] != tuple(self.sizes[position]):
            raise self._damaged(position, f"its image has shape {image.shape}")
        for target, unit in self._units.items():
            record[target] = record[target].astype(np.float32) * np.float32(unit)
        return {
            **record,
            "image": image,
            "fingerprint": self.fingerprints[position].tobytes(),
            "source": self.name,
        }

    def _read(self, position: int) -> dict[str, Any]:
        """A record as stored, except for its image decoded."""
        try:
            with self._lock:
                if self._opened is None:
                    self._opened = _open(self._folder, self._split)
            data, features = self._opened
            record = data[self._numbers[position]]
            return {name: _plain(record[name], features[name]) for name in record}
        except Exception as error:  # the record library raises many kinds
            raise self._damaged(position, str(error).strip()) from error

    def _damaged(self, position: int, reason: str) -> errors.DataError:
        files = sorted(self._folder.glob(f"*-{self._split}.array_record-*"))
        return errors.DataError(
            f"Record {self.ids[position]!r} (number {self._numbers[position]}) of "
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
