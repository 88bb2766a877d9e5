"""One split of one prepared set: ArrayRecord files, opened when first read."""

import pathlib
import threading
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import image_files


class Split:
    """Images and what the index of the set says about them, by position.

    Reading is thread-safe; a copy sent to another process opens its own files.

    Attributes:
        name: the reference it was opened by.
        ids: id of each record.
        fingerprints: perceptual identities, uint8 [n, 32].
        sizes: height and width, int [n, 2], pixels.
    """

    def __init__(
        self, name: str, folder: pathlib.Path, split: str, rows: dict[int, list]
    ):
        """Reads nothing yet.

        Args:
            name: the reference, for messages.
            folder: of the prepared set.
            split: name of the split in that folder.
            rows: for each record, by its number in the files: id, fingerprint in
                hexadecimal, height, width.
        """
        self.name = name
        self.ids = [row[0] for row in rows.values()]
        codes = bytes.fromhex("".join(row[1] for row in rows.values()))
        self.fingerprints = np.frombuffer(codes, np.uint8).reshape(len(rows), -1)
        self.sizes = np.array([row[2:4] for row in rows.values()], np.int64)
        self._numbers = list(rows)
        self._folder = folder
        self._split = split
        self._records = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Returns what another process needs.

        Returns:
            The state without open files and lock.
        """
        return {**self.__dict__, "_records": None, "_lock": None}

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

    def image(self, position: int) -> np.ndarray:
        """Returns the pixels of one record.

        Args:
            position: from 0.

        Returns:
            uint8 RGB, [h, w, 3].

        Raises:
            DataError: the record is damaged or is not the one of the index.
        """
        record = self._read(position)
        name = record["id"].decode()
        if name != self.ids[position]:
            raise self._damaged(position, f"it holds {name!r} instead")
        image = image_files.decode(record["image"])
        if image is None:
            raise self._damaged(position, "its image does not decode")
        if image.shape[:2] != tuple(self.sizes[position]):
            raise self._damaged(position, f"its image has shape {image.shape}")
        return image

    def _read(self, position: int) -> dict[str, Any]:
        try:
            with self._lock:
                if self._records is None:
                    self._records = _open(self._folder, self._split)
            return self._records[self._numbers[position]]
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


def _open(folder: pathlib.Path, split: str) -> Any:
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(str(folder))
    return builder.as_data_source(split, decoders={"image": tfds.decode.SkipDecoding()})
