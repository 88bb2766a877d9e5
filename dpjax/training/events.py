"""TensorBoard events, written by the thread that has them.

tensorboardX's own writer hands them to a thread, which dies unheard when the disk is
full; its queue then fills up and the run stands still.  Its file format is used here
without that thread, so that a disk that refuses ends the run with an error.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

_FLUSH_EVERY_S = 10


class EventFile:
    """A new event file in a folder; TensorBoard reads all of them as one run."""

    def __init__(self, folder: Path, start_step: int):
        """Opens the file and tells TensorBoard to forget what came after `start_step`.

        Args:
            folder: where event files live; made if missing.
            start_step: updates already done.

        Raises:
            OSError: the folder cannot be written.
        """
        from tensorboardX import event_file_writer, summary
        from tensorboardX.proto import event_pb2

        self._event, self._summary = event_pb2.Event, summary
        folder.mkdir(parents=True, exist_ok=True)
        self._file = event_file_writer.EventsWriter(str(folder / "events"))
        self._flushed = 0.0
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(start_step + 1, session_log=start)

    def scalar(self, step: int, name: str, value: float) -> None:
        """Writes a number.

        Args:
            step: updates done.
            name: of the curve, "group/name".
            value: the number.

        Raises:
            OSError: the disk refused.
        """
        self._write(step, summary=self._summary.scalar(name, value))

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a picture.

        Args:
            step: updates done.
            name: "group/name".
            image: uint8 [h, w, 3].

        Raises:
            OSError: the disk refused.
        """
        self._write(step, summary=self._summary.image(name, image, dataformats="HWC"))

    def close(self) -> None:
        """Flushes and closes the file.

        Raises:
            OSError: the disk refused.
        """
        self._file.close()

    def _write(self, step: int, **content: Any) -> None:
        now = time.time()
        self._file.write_event(self._event(step=step, wall_time=now, **content))
        if now - self._flushed > _FLUSH_EVERY_S:
            self._file.flush()
            self._flushed = now
