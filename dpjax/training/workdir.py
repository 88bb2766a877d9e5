"""The folder of a run: who may use it, and which experiment lives in it."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from dpjax import config, errors, storage, tasks
from dpjax.training import checkpoint


@contextlib.contextmanager
def claim(folder: Path, process_index: int = 0) -> Iterator[None]:
    """Holds the folder for one process; the system lets go when the process ends.

    Args:
        folder: the run's folder; made if missing.
        process_index: processes of one run each hold a lock of their own.

    Returns:
        A context manager.

    Raises:
        UserError: another run works in the folder, or it is a file.
        StorageError: the folder cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise errors.UserError(
            f"A run wants a folder of its own, {folder} is a file. Choose another "
            "--workdir."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / f".lock{process_index}").open("a+")
    except OSError as error:
        raise checkpoint.storage_error(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise errors.UserError(
                f"The work folder {folder} is in use by process {owner}. "
                "Wait for it, stop it, or choose another --workdir."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def read_experiment(folder: Path) -> config.Experiment:
    """Returns the experiment that lives in a folder.

    Args:
        folder: the run's folder.

    Returns:
        The experiment, as it was when the run began.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    path = folder / "config.json"
    try:
        text = path.read_text()
    except OSError as error:
        raise errors.UserError(
            f"{folder} holds no run: {path.name} cannot be read ({error.strerror}). "
            "Give a config file to start one: "
            "python train.py configs/... --workdir DIR."
        ) from error
    mend = (
        "Bring back a copy of it, or start again from the config file in another "
        "--workdir."
    )
    try:
        found = config.decode(json.loads(text), config.TYPES + tasks.TYPES)
    except json.JSONDecodeError as error:
        raise errors.UserError(f"{path} is not valid JSON: {error}. {mend}") from error
    if not isinstance(found, config.Experiment):
        raise errors.UserError(f"{path} describes no experiment. {mend}")
    return found


def check_experiment(folder: Path, experiment: config.Experiment) -> None:
    """Raises if a run of another configuration has begun in the folder.

    Args:
        folder: the run's folder.
        experiment: what is to be run.

    Raises:
        UserError: the folder holds another experiment; the differing fields are named.
    """
    path = folder / "config.json"
    has_begun = (folder / "checkpoints").is_dir() and any(
        place.name.isdigit() or place.name == "damaged"
        for place in (folder / "checkpoints").iterdir()
    )
    # A start that failed before its first checkpoint leaves nothing worth guarding.
    if has_begun and path.exists():
        there = config.encode(read_experiment(folder))
        lines = config.differences(there, config.encode(experiment))
        if lines:
            raise errors.UserError(
                f"{folder} holds a run of another configuration:\n  "
                + "\n  ".join(lines)
                + f"\nTo continue that run: python train.py --workdir {folder}\n"
                "To run this configuration choose another --workdir."
            )


def write_experiment(folder: Path, experiment: config.Experiment) -> None:
    """Writes the experiment into its folder, where a continued run finds it.

    Args:
        folder: the run's folder.
        experiment: what is run.

    Raises:
        StorageError: the folder cannot be written.
    """
    text = json.dumps(config.encode(experiment), indent=2) + "\n"
    storage.replace(folder / "config.json", text.encode())
