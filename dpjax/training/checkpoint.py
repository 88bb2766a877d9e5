"""Checkpoints: Orbax writes them, a fingerprint of every array guards them.

Orbax commits a checkpoint atomically and notices missing pieces, but restores flipped
bytes without a word.  So each checkpoint carries a fingerprint of every array, in
integers (equal on any number of devices), and a checksum of everything else it says; a
checkpoint that does not match is put aside, and the one before it is used.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import logging
import shutil
from concurrent import futures
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from dpjax import errors, storage
from dpjax.training import parallel as parallels

_LOG = logging.getLogger(__name__)
# Odd multipliers of well-spread bits (the golden ratio, and a Murmur3 constant).
_MIX = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA6B))
_CHUNK = 2**20  # words, which stay in the processor's cache
_NO_SCORE = -1e30
# Devices that hold the same array write a share of it each, if a share is this large:
# to cut it takes a program for each shape, which small ones are not worth.
_LEAST_SHARE = 2**20


@dataclasses.dataclass(frozen=True)
class Restored:
    """What a checkpoint gave back.

    Attributes:
        step: updates done when it was written.
        state: the train state, spanning all devices.
        meta: the JSON that was stored beside it.
    """

    step: int
    state: Any
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, newest ones and the best."""

    def __init__(self, folder: Path, keep_last: int, best_is_high: bool):
        """Opens the folder and clears what a killed save has left.

        Args:
            folder: where checkpoints live; made if missing.
            keep_last: newest checkpoints that are kept, besides the best.
            best_is_high: whether a higher score is better.

        Raises:
            StorageError: the folder cannot be made or read.
        """
        import orbax.checkpoint as ocp
        from orbax.checkpoint import checkpoint_managers as policies
        from orbax.checkpoint import type_handlers

        self._ocp = ocp
        arrays = type_handlers.ArrayHandler(
            min_slice_bytes_for_replica_parallel=_LEAST_SHARE
        )
        handlers = {
            "state": ocp.PyTreeCheckpointHandler(
                type_handler_registry=type_handlers.create_type_handler_registry(
                    (jax.Array, arrays)
                )
            ),
            "meta": ocp.JsonCheckpointHandler(),
        }
        self.folder = folder.absolute()
        sign = 1.0 if best_is_high else -1.0
        self._sign = sign
        keep = policies.AnyPreservationPolicy(
            [
                policies.LatestN(max(keep_last, 1)),
                policies.BestN(
                    get_metric_fn=lambda metrics: metrics["score"], n=1, reverse=False
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            preservation_policy=keep,
            best_fn=lambda metrics: metrics["score"],
            best_mode="max",
            cleanup_tmp_directories=True,
        )
        self._has_failed = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._mend_scores()
            self._manager = ocp.CheckpointManager(
                self.folder, options=options, item_handlers=handlers
            )
        except OSError as error:
            raise errors.StorageError(
                f"Cannot open checkpoints in {self.folder}: {error}."
            ) from error

    def save(self, step: int, state: Any, meta: dict, score: float | None) -> None:
        """Starts writing a checkpoint; returns once the arrays are copied.

        Args:
            step: updates done.
            state: train state spanning all devices.
            meta: JSON values stored beside it.
            score: the evaluation's number at this step, None where none was made.

        Raises:
            StorageError: this save, or the one before it, could not be written.
        """
        if self._manager.latest_step() == step:
            return
        ranked = _NO_SCORE if score is None else self._sign * float(score)
        meta = {
            **meta,
            "fingerprint": fingerprint(state),
            "arrays": _arrays(state),
            "ranked": ranked,
        }
        meta["checksum"] = _checksum(meta)
        args = self._ocp.args.Composite(
            state=self._ocp.args.PyTreeSave(state),
            meta=self._ocp.args.JsonSave(meta),
        )
        try:
            self._manager.check_for_errors()
            saved = self._manager.save(step, args=args, metrics={"score": ranked})
        # TensorStore reports a disk that refuses as ValueError.
        except (OSError, ValueError) as error:
            self._has_failed = True
            raise storage_error(self.folder, error) from error
        if not saved:
            raise errors.StorageError(
                f"Checkpoint {step} was refused in {self.folder}: a later one is there."
            )

    def wait(self) -> None:
        """Waits until the last save is on disk.

        Raises:
            StorageError: it could not be written.
        """
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except (OSError, ValueError) as error:
            self._has_failed = True
            raise storage_error(self.folder, error) from error

    def close(self) -> None:
        """Ends the background threads; saves under way are finished first.

        What a failed save has written so far is removed.
        """
        # A save that failed has been reported by `save` or `wait`.
        with contextlib.suppress(OSError, ValueError):
            self._manager.close()
        if self._has_failed and jax.process_index() == 0:
            for half in self.folder.glob("*.orbax-checkpoint-tmp*"):
                shutil.rmtree(half, ignore_errors=True)

    def _mend_scores(self) -> None:
        """Writes the scores again that Orbax ranks by, where they were damaged.

        Orbax does not open a folder in which one of them is not JSON.
        """
        if jax.process_index() == 0:
            for place in self.folder.iterdir():
                if place.name.isdigit():
                    _mend_score(place)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("scores mended")

    def restore(self, like: Any, parallel: parallels.Parallel) -> Restored | None:
        """Returns the newest sound checkpoint.

        A damaged one is named, moved to `damaged/` beside the checkpoints once an older
        sound one is found, and that one is used.

        Args:
            like: shapes and types of the state.
            parallel: where the state shall live.

        Returns:
            The checkpoint, or None if there has never been one.

        Raises:
            UserError: the checkpoints hold a state of other arrays.
            StorageError: a disk that refuses, or every checkpoint is damaged.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        damaged: dict[int, list[str]] = {}
        for step in steps:
            found, reasons = self._read(step, like, parallel)
            if not _agreed(bool(reasons)):
                self._put_aside(damaged)
                return found
            damaged[step] = reasons
        aside = self.folder / "damaged"
        if steps or aside.is_dir():
            names = ", ".join(map(str, steps)) or f"see {aside}"
            raise errors.StorageError(
                f"Every checkpoint in {self.folder} is damaged (steps {names}); "
                "nothing was changed. Bring back a copy of them, or start again in "
                "another work folder."
            )
        return None

    def _read(
        self, step: int, like: Any, parallel: parallels.Parallel
    ) -> tuple[Restored | None, list[str]]:
        """The checkpoint, or the reasons why it is damaged."""
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(
                x.shape, x.dtype, sharding=parallel.replicated
            ),
            like,
        )
        ocp, restore = self._ocp.args, self._ocp.checkpoint_utils.construct_restore_args
        try:
            meta = self._manager.restore(
                step, args=ocp.Composite(meta=ocp.JsonRestore())
            )
            if meta.meta.get("checksum") != _checksum(meta.meta):
                return None, ["what it says about itself was changed"]
            _check_arrays(self.folder / str(step), meta.meta["arrays"], like)
            found = self._manager.restore(
                step,
                args=ocp.Composite(
                    state=ocp.PyTreeRestore(target, restore_args=restore(target))
                ),
            )
        except errors.UserError:
            raise
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return None, [f"{Path(error.filename or 'a file').name} is missing"]
            raise storage_error(self.folder, error) from error
        # Orbax and TensorStore report damage by plain exceptions of many kinds.
        except Exception as error:
            if "RESOURCE_EXHAUSTED" in str(error):
                raise
            return None, [(str(error) or repr(error)).splitlines()[0]]
        wanted = meta.meta["fingerprint"]
        got = fingerprint(found.state)
        wrong = [path for path in got if got[path] != list(wanted.get(path, ()))]
        return Restored(step, found.state, meta.meta), wrong

    def _put_aside(self, damaged: dict[int, list[str]]) -> None:
        for step, reasons in damaged.items():
            names = ", ".join(reasons[:3]) + (" ..." if len(reasons) > 3 else "")
            _LOG.warning(
                "Checkpoint %d in %s is damaged (%s); it is moved to damaged/ and the "
                "one before it is used.",
                step,
                self.folder,
                names or "another process cannot read it",
            )
            if jax.process_index() == 0:
                aside = self.folder / "damaged"
                aside.mkdir(exist_ok=True)
                number, target = 0, aside / str(step)
                while target.exists():
                    number += 1
                    target = aside / f"{step}.{number}"
                (self.folder / str(step)).rename(target)
        if damaged:
            # Nobody may list the steps before the damaged ones are gone.
            if jax.process_count() > 1:
                multihost_utils.sync_global_devices("damaged checkpoints put aside")
            self._manager.reload()


def _checksum(meta: dict[str, Any]) -> str:
    """Of all entries but itself, as they come back from JSON."""
    said = {name: value for name, value in meta.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _mend_score(place: Path) -> None:
    """One checkpoint's score, if it is not the one that the checkpoint itself knows."""
    file = place / "metrics" / "metrics"
    try:
        meta = json.loads((place / "meta" / "metadata").read_bytes())
        is_sound = meta.get("checksum") == _checksum(meta)
        ranked = meta["ranked"] if is_sound else None
    except (OSError, ValueError, KeyError, AttributeError):
        ranked = None  # `restore` will find it damaged
    try:
        score = json.loads(file.read_bytes())["score"]
        is_number = isinstance(score, float | int)
    except (OSError, ValueError, KeyError, TypeError):
        is_number = False
    if not is_number or (ranked is not None and score != ranked):
        score = _NO_SCORE if ranked is None else ranked
        storage.replace(file, json.dumps({"score": score}).encode())


def _agreed(is_damaged: bool) -> bool:
    """Whether any process finds the checkpoint damaged."""
    if jax.process_count() == 1:
        return is_damaged
    return bool(multihost_utils.process_allgather(np.array(is_damaged)).any())


def _arrays(state: Any) -> dict[str, str]:
    paths, leaves = _flat(state)
    return {
        path: f"{x.dtype}{list(x.shape)}" for path, x in zip(paths, leaves, strict=True)
    }


def _check_arrays(place: Path, there: dict[str, str], like: Any) -> None:
    wanted = _arrays(like)
    if there == wanted:
        return
    lines = [
        f"  {path}: {there.get(path, 'missing')} in the checkpoint, "
        f"{wanted.get(path, 'missing')} in the run"
        for path in sorted(there.keys() | wanted.keys())
        if there.get(path) != wanted.get(path)
    ]
    raise errors.UserError(
        f"Checkpoint {place} holds {len(there)} arrays, {len(lines)} of which differ "
        "from what this run would have:\n"
        + "\n".join(lines[:10])
        + "\nContinue it with the version of dpjax that wrote it, or choose another "
        "--workdir."
    )


def storage_error(folder: Path, error: Exception) -> errors.StorageError:
    """Returns the error of a failed write, with what the user can do.

    Args:
        folder: where it was written to.
        error: what the system said.

    Returns:
        The error to raise.
    """
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    text = str(error).splitlines()[0] if str(error) else repr(error)
    then = (
        "it continues from the last complete checkpoint, which is intact"
        if any(map(_has_checkpoint, (folder, folder / "checkpoints")))
        else "it starts from the beginning, since there is no checkpoint yet"
    )
    if full or "No space left" in str(error) or "File too large" in str(error):
        return errors.StorageError(
            f"No room left to write in {folder} ({text}). Free space and run the same "
            f"command again: {then}."
        )
    return errors.StorageError(
        f"Cannot write in {folder}: {text}. Mend the cause and run the same command "
        f"again: {then}."
    )


def _has_checkpoint(folder: Path) -> bool:
    try:
        return any(place.name.isdigit() for place in folder.iterdir())
    except OSError:
        return False


def fingerprint(state: Any) -> dict[str, list[int]]:
    """Returns two integers for each array; any flipped bit changes them.

    Args:
        state: a tree of arrays; with several processes each has all of every array.

    Returns:
        Path to [a, b]; the same on any number of devices.
    """
    paths, leaves = _flat(state)
    # On the host: a program that sums hundreds of shapes takes longer to compile than
    # the numbers take to come.
    with futures.ThreadPoolExecutor() as pool:
        marks = pool.map(_mark, leaves)
        return dict(zip(paths, marks, strict=True))


def _flat(state: Any) -> tuple[list[str], list[jax.Array]]:
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [jax.tree_util.keystr(path) for path, _ in leaves], [x for _, x in leaves]


def _mark(x: jax.Array) -> list[int]:
    """Sums, modulo 2**32, of each word times an odd number that tells its place."""
    x = np.asarray(x if x.is_fully_addressable else x.addressable_data(0))
    kind = {1: np.uint8, 2: np.uint16, 4: np.uint32}[x.dtype.itemsize]
    words = x.reshape(-1).view(kind)
    totals = [0, 0, 0]
    for start in range(0, words.size, _CHUNK):
        some = words[start : start + _CHUNK].astype(np.uint32)
        place = np.arange(start, start + some.size, dtype=np.uint32)
        odd = place * np.uint32(2) + np.uint32(1)
        terms = [some * (odd * mix) for mix in _MIX]
        # The high halves again, where the low bits of the other sums are weak.
        terms.append((some >> np.uint32(16)) * (place + _MIX[1]))
        for i, term in enumerate(terms):
            totals[i] += int(term.sum(dtype=np.uint32))
    first, second, third = (total % 2**32 for total in totals)
    return [first, second ^ third]
