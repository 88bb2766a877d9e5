"""Video files frame by frame, never all of one in memory, and new ones from frames."""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from dpjax import errors, storage

EXTENSIONS = frozenset(
    (".mp4", ".m4v", ".mkv", ".avi", ".mov", ".webm", ".mpg", ".mpeg", ".ts", ".wmv")
)
SUFFIX = ".mp4"  # of new ones
_CODEC = "mp4v"  # MPEG-4 part 2, which every build of OpenCV can write
_BOXED = (".mp4", ".m4v", ".mov")  # made of boxes that say how long they are
_COUNTED = (".avi",)  # has the number of its frames; others estimate it by duration
_ESTIMATE = 0.98  # share of an estimated number of frames that is all of them
# Frames a second.  Clocks that count milliseconds are taken for 1000.
_FASTEST = 1000


class CutOff(errors.DataError):
    """A video that ends before the last frame that it announces."""


@dataclasses.dataclass(frozen=True)
class About:
    """What a video says of itself.

    Attributes:
        frames: how many it announces; None if it does not say.
        rate: frames a second; None if it does not say.
    """

    frames: int | None
    rate: float | None


def is_named_so(path: pathlib.Path) -> bool:
    """Returns whether a path is to be read as a video.

    Args:
        path: of a file that need not be there.

    Returns:
        Whether its ending is one of `EXTENSIONS`, and it is no folder.
    """
    return path.suffix.lower() in EXTENSIONS and not path.is_dir()


def inspect(path: pathlib.Path) -> About:
    """Returns what a video says of itself.

    Args:
        path: of the video.

    Returns:
        Number and rate of its frames.

    Raises:
        DataError: it cannot be opened.
    """
    import cv2

    with _opened(path) as capture:
        frames = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        rate = capture.get(cv2.CAP_PROP_FPS)
    return About(
        frames=int(frames) if frames >= 1 else None,
        rate=rate if 0 < rate < _FASTEST else None,
    )


def read(path: pathlib.Path, *, every: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """Returns frames of a video.

    A video that is cut off gives the frames before the one that it ends in: decoders
    show a picture of that one, too, of which some is grey.

    Args:
        path: of the video.
        every: frames from one to the next.

    Yields:
        Number of a frame, from 0, and its pixels, uint8 RGB [h, w, 3].

    Raises:
        UserError: `every` is below 1.
        DataError: the video cannot be opened, or has no frames.
        CutOff: it ends early; after the last frame that is sound.
    """
    import cv2

    if every < 1:
        raise errors.UserError(
            f"Every how many frames one is taken is 1 or more, got {every}. Pass "
            "--every 24 for one a second of a film."
        )
    with _opened(path) as capture:
        announced = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        number, pending = 0, None
        while capture.grab():
            # Not shown before the next one is there.
            if pending is not None:
                yield pending
            pending = None
            if number % every == 0:
                is_whole, picture = capture.retrieve()
                if not is_whole:
                    break
                pending = number, np.ascontiguousarray(picture[..., ::-1])
            number += 1
    if _is_cut_off(path, number, announced):
        raise CutOff(
            f"{path} ends in frame {number} of the {announced} that it announces. Copy "
            "it again."
        )
    if not number:
        raise errors.DataError(f"{path} has no frames. Copy it again or leave it out.")
    if pending is not None:
        yield pending


@contextlib.contextmanager
def create(
    path: str | os.PathLike, *, rate: float
) -> Iterator[Callable[[np.ndarray], None]]:
    """Writes a new video, completely or not at all.

    It is at its place after the block, and never if the block is left by an error.

    Args:
        path: ends in .mp4; its folder is made, an old file is replaced.
        rate: frames a second.

    Yields:
        A function that adds a frame, uint8 RGB [h, w, 3]; all have one size.  A row or
        a column is repeated where a side is odd, which the format does not know.

    Raises:
        UserError: another ending, or frames that are too large for the format.
        DataError: frames of two sizes, or none.
        StorageError: the place cannot be written.
    """
    check_suffix(path)
    with storage.in_place_of(path, ending=SUFFIX) as part:
        encoder = _Encoder(part, rate)
        try:
            yield encoder.add
        finally:
            encoder.release()
        if not encoder.count:
            raise errors.DataError(f"{os.fspath(path)} would be a video of no frames.")
        # The encoder does not tell of a full disk.
        if not _holds(part, encoder.count):
            raise errors.StorageError(
                f"Cannot write {os.fspath(path)}: frames were lost. Free some space or "
                "choose another place."
            )


def check_suffix(path: str | os.PathLike) -> None:
    """Raises unless a video can be written to a file of this name.

    Args:
        path: where a video is to go.

    Raises:
        UserError: another ending than .mp4.
    """
    if pathlib.Path(path).suffix.lower() != SUFFIX:
        raise errors.UserError(
            f"Videos are written as {SUFFIX}, got {os.fspath(path)!r}. Change the "
            "ending."
        )


class _Encoder:
    """OpenCV's encoder, opened when the size of the frames is known."""

    def __init__(self, path: pathlib.Path, rate: float):
        self.count = 0
        self._path, self._rate = path, rate
        self._shape = self._writer = None

    def add(self, frame: np.ndarray) -> None:
        if self._writer is None:
            self._open(frame.shape)
        if frame.shape != self._shape:
            raise errors.DataError(
                f"Frames of a video have one size, and frame {self.count} is "
                f"{list(frame.shape)} after {list(self._shape)}. Convert the video to "
                "one size first."
            )
        height, width = frame.shape[:2]
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._writer.write(np.ascontiguousarray(even[..., ::-1]))
        self.count += 1

    def release(self) -> None:
        if self._writer is not None:
            self._writer.release()

    def _open(self, shape: tuple[int, ...]) -> None:
        import cv2

        height, width = (side + side % 2 for side in shape[:2])
        code = cv2.VideoWriter.fourcc(*_CODEC)
        writer = cv2.VideoWriter(str(self._path), code, self._rate, (width, height))
        if not writer.isOpened():
            raise errors.UserError(
                f"Frames of {width} x {height} pixels at {self._rate:g} a second do "
                f"not fit into {SUFFIX}. Convert the video to a smaller size first."
            )
        self._writer, self._shape = writer, shape


@contextlib.contextmanager
def _opened(path):
    import cv2

    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise errors.DataError(
                f"Cannot decode {path}: it is damaged, cut off at its end, or no "
                "video. Copy it again, or convert it."
            )
        yield capture
    finally:
        capture.release()


def _holds(path: pathlib.Path, count: int) -> bool:
    try:
        return inspect(path).frames == count
    except errors.DataError:
        return False


def _is_cut_off(path: pathlib.Path, came: int, announced: int) -> bool:
    if came >= announced:
        return False
    suffix = path.suffix.lower()
    if suffix in _BOXED:
        # Films that were trimmed keep the frames that they announce and do not show.
        return not _has_whole_boxes(path)
    return suffix in _COUNTED or came < _ESTIMATE * announced


def _has_whole_boxes(path: pathlib.Path) -> bool:
    """Whether the last box of a QuickTime file ends within the file (ISO 14496-12)."""
    end, start = path.stat().st_size, 0
    with path.open("rb") as file:
        while start < end:
            file.seek(start)
            head = file.read(16)
            length = int.from_bytes(head[:4])
            if length == 1:  # 8 bytes more say it
                length = int.from_bytes(head[8:16])
            if length == 0:  # up to the end, wherever that is
                return True
            start += max(length, 8)  # a box is no shorter than its head
    return start == end
