"""Prepares a data set once: all of it, or nothing that looks like it.

Records are written into a hidden folder and moved into place by one rename.  A lock
file keeps two processes from preparing the same set; whoever holds it may delete what
a killed predecessor left behind.  Results that took long are kept beside it until the
set is finished, so that the next try need not compute them again.
"""

import contextlib
import errno
import io
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from dpjax import errors
from dpjax.data import builders

NAME = r"\w[\w.-]*"  # of a variant; it is a folder and a part of sources

_UNFINISHED = ".unfinished"
_LOCK = ".lock"
_KEPT = ".kept"


def default_directory() -> pathlib.Path:
    """Returns where prepared records live: TFDS_DATA_DIR or ~/tensorflow_datasets.

    Returns:
        An absolute path; it need not exist.
    """
    given = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return pathlib.Path(given).expanduser().absolute()


def locate(
    name: str, config: str | None, directory: str | pathlib.Path
) -> pathlib.Path | None:
    """Returns the folder of a prepared set, of its newest version.

    Args:
        name: data set.
        config: named variant, such as the user's name for an image folder, or None.
        directory: where prepared records live.

    Returns:
        The folder with `dataset_info.json`, or None if the set is not prepared.
    """
    found = []
    for info in pathlib.Path(directory, name, config or "").glob("*/dataset_info.json"):
        version = info.parent.name.split(".")
        if all(part.isdigit() for part in version):
            found.append((tuple(int(part) for part in version), info.parent))
    return max(found)[1] if found else None


def prepare(
    name: str,
    *,
    folder: pathlib.Path | None = None,
    directory: pathlib.Path | None = None,
    config: str | None = None,
    skip_bad: bool = False,
    replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> pathlib.Path:
    """Writes the records of a data set and returns their folder.

    Args:
        name: a key of `builders.TABLE`.
        folder: the user's copy of the files; None for sets that bring their own.
        directory: where prepared records live; None takes the default.
        config: name of this variant, for data sets that can exist several times.
        skip_bad: leave out files that cannot be used, instead of failing.
        replace: write anew if the set is prepared already.
        progress: called with (files done, files in all) after each file.
        **options: further options of the builder.

    Returns:
        The folder of the finished records.

    Raises:
        UserError: unknown name, a variant's name that no source could be written
            with, a folder missing from the command, or already prepared.
        DataError: files that cannot be used.
        StorageError: the records cannot be written.
    """
    kind = builders.find(name)
    if config is not None and not re.fullmatch(NAME, config):
        raise errors.UserError(
            f"A name for a data set of yours has letters, digits, '_', '.' and '-', as "
            f"in birds-2024; got {config!r}. Change --name."
        )
    directory = (directory or default_directory()).expanduser().absolute()
    if folder is not None:
        # Workers elsewhere, and messages read later, know no current folder.
        folder = folder.expanduser().absolute()
    if folder is not None and not kind.needs_folder:
        raise errors.UserError(
            f"{name} brings its own files; for yours use "
            f"`python -m dpjax prepare image_folder --from {folder} --name NAME`."
        )
    if kind.needs_folder and folder is None:
        raise errors.UserError(
            f"{name} is made from files that you have. Pass their folder: "
            f"`python -m dpjax prepare {name} --from DIR`."
        )
    with _storage_errors(directory), _locked(directory / name) as unfinished:
        present = locate(name, config, directory)
        if present and not replace:
            if kind.needs_folder:
                beside = ", or another --name to keep both" if config else ""
                raise errors.UserError(
                    f"{name}{f'/{config}' if config else ''} is prepared already in "
                    f"{present}. Pass --replace to "
                    f"write it anew{beside}."
                )
            return present
        if config:
            options["config"] = config
        kept = directory / name / _KEPT / (config or "default")
        with _quiet():
            builder = kind(
                folder=folder,
                skip_bad=skip_bad,
                progress=progress,
                data_dir=unfinished,
                kept=kept,
                **options,
            )
            _write(builder)
        written = pathlib.Path(builder.data_dir)
        final = directory / written.relative_to(unfinished)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists():
            final.rename(unfinished / "replaced")
        written.rename(final)
        shutil.rmtree(kept, ignore_errors=True)
    return final


def _write(builder: Any) -> None:
    import tensorflow_datasets as tfds

    builder.find(builder.folder)  # complaints about the layout come before any work
    tfds.disable_progress_bar()  # the command line draws its own
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps TFDS from announcing downloads that do not happen."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(before)


@contextlib.contextmanager
def _locked(parent: pathlib.Path) -> Iterator[pathlib.Path]:
    """An empty working folder; other processes wait until it is gone."""
    import fcntl

    parent.mkdir(parents=True, exist_ok=True)
    unfinished = parent / _UNFINISHED
    with open(parent / _LOCK, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(unfinished, ignore_errors=True)  # of a killed process
        unfinished.mkdir()
        try:
            yield unfinished
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)


@contextlib.contextmanager
def _storage_errors(directory: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except errors.DpjaxError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "Pass a folder you may write to with --dir."
        if error.errno == errno.ENOSPC:
            advice = "Free some space or choose another disk with --dir."
        raise errors.StorageError(
            f"Cannot write records below {directory}: {reason}. {advice}"
        ) from error
