"""Writing files so that a crash or a full disk leaves the old one, or none."""

import contextlib
import os
import pathlib

from dpjax import errors


def replace(path: str | os.PathLike, data: bytes) -> None:
    """Writes a file completely or not at all.

    Args:
        path: the file; its folder is made, an old file is replaced.
        data: the whole content.

    Raises:
        StorageError: the place cannot be written.
    """
    path = pathlib.Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a crash may leave the new name, empty
        os.replace(part, path)
    except OSError as error:
        raise errors.StorageError(
            f"Cannot write {path}: {error.strerror}. Free some space or choose another "
            "place."
        ) from error
    finally:
        # Also where the user interrupts; after a success there is nothing left.
        with contextlib.suppress(OSError):
            part.unlink()
