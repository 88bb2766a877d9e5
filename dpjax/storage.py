"""Writing files so that a crash or a full disk leaves the old one, or none."""

import contextlib
import hashlib
import os
import pathlib
import threading
from collections.abc import Iterator

from dpjax import errors

_LONGEST = 120  # bytes; encrypted file systems take 143, others 255


def short_name(name: str) -> str:
    """Returns a file name short enough for every file system, with room for an ending.

    Args:
        name: such as the id of a record, without folders.

    Returns:
        The name itself, or of a long one both ends around a hash of the whole.
    """
    if len(name.encode()) <= _LONGEST:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    room = (_LONGEST - len(digest) - 2) // 2
    data = name.encode()
    first, last = data[:room], data[-room:]
    ends = (part.decode(errors="ignore") for part in (first, last))
    return f"-{digest}-".join(ends)


def replace(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file completely or not at all.

    Args:
        path: the file; its folder is made, an old file is replaced.
        data: the whole content.

    Raises:
        StorageError: the place cannot be written.
    """
    with in_place_of(path) as part, _named(path):
        part.write_bytes(data)


@contextlib.contextmanager
def in_place_of(path: str | os.PathLike, *, ending: str = "") -> Iterator[pathlib.Path]:
    """Gives the name of a file that is renamed when the block has written it.

    A block that is left by an error, also by an interruption, leaves nothing.

    Args:
        path: the file that it becomes; its folder is made, an old file is replaced.
        ending: of the name that is written to, for those who go by it.

    Yields:
        A hidden name beside it.

    Raises:
        StorageError: the place cannot be written.
    """
    path = pathlib.Path(path)
    # Threads of a pipeline may write the same file at once.
    writer = f"{os.getpid()}.{threading.get_ident()}"
    part = path.with_name(f".{path.name}.{writer}.part{ending}")
    try:
        with _named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
        yield part
        with _named(path):
            with part.open("rb+") as file:
                os.fsync(file.fileno())  # else a crash may leave the new name, empty
            os.replace(part, path)
    finally:
        # Also where the user interrupts; after a success there is nothing left.
        with contextlib.suppress(OSError):
            part.unlink()


@contextlib.contextmanager
def _named(path: str | os.PathLike) -> Iterator[None]:
    """Says of an error which file could not be written."""
    try:
        yield
    except OSError as error:
        raise errors.StorageError(
            f"Cannot write {path}: {error.strerror}. Free some space or choose another "
            "place."
        ) from error
