"""Finished frames on disk, so that a build that was killed goes on where it was.

Records come into being all together or not at all; matching takes hours.  So each
frame is kept as it is done, under a key of its pixels and the settings: a later build
takes it from there, and one with other files or settings does not.
"""

import dataclasses
import hashlib
import json
import pathlib
import uuid
import zipfile
import zlib

import numpy as np

from dpjax.data.stereo import frames

ENDING = ".npz"  # of the files of whole results

_FORMAT = 4  # of what is computed: one more whenever results change


# A file that a full disk or a crash of the machine left: it is computed again.
_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,  # of NumPy, and of JSON
    KeyError,
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
)


class Store:
    """Results by pair, in a folder.

    A result is written beside its place and moved there, so what is there is whole.
    """

    def __init__(self, folder: pathlib.Path | None, settings: frames.Settings):
        """Makes nothing yet.

        Args:
            folder: where results are kept; None keeps none.
            settings: that they are computed with.
        """
        self._folder = folder
        self._settings = repr((_FORMAT, settings))

    def get(self, pair: frames.Pair) -> frames.Frame | frames.Rejection | None:
        """Returns the result that is kept for a pair.

        Args:
            pair: two views.

        Returns:
            It, or None if there is none that can be read.
        """
        if self._folder is None:
            return None
        try:
            with open(self._path(pair), "rb") as opened, np.load(opened) as file:
                arrays = {name: file[name] for name in file.files}
            values = json.loads(arrays.pop("values").tobytes())
            if "reason" in values:
                return frames.Rejection(**values, **arrays)
            for name in ("bars", "disparities", "votes"):
                values[name] = tuple(values[name])
            return frames.Frame(**values, **arrays)
        except _UNREADABLE:
            return None

    def put(self, pair: frames.Pair, result: frames.Frame | frames.Rejection) -> None:
        """Keeps a result.

        Args:
            pair: two views.
            result: what `frames.process` gave for them.
        """
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        values = {
            field.name: getattr(result, field.name)
            for field in dataclasses.fields(result)
        }
        arrays = {k: v for k, v in values.items() if isinstance(v, np.ndarray)}
        values = {k: v for k, v in values.items() if k not in arrays}
        text = np.frombuffer(json.dumps(values).encode(), np.uint8)
        path = self._path(pair)
        # Two machines that compute the same frame do not write the same file.
        unfinished = path.with_suffix(f".{uuid.uuid4().hex}")
        with open(unfinished, "wb") as file:
            np.savez_compressed(file, values=text, **arrays)
        unfinished.replace(path)

    def _path(self, pair: frames.Pair) -> pathlib.Path:
        digest = hashlib.sha256(self._settings.encode())
        for text in (pair.name, pair.origin):
            digest.update(text.encode() + b"\0")
        for view in (pair.left, pair.right):
            digest.update(str(view.shape).encode())
            digest.update(np.ascontiguousarray(view))
        return self._folder / f"{digest.hexdigest()}{ENDING}"
