"""Bringing the rows of an evaluation from all processes together, in order."""

import itertools
import json

import jax
import numpy as np
from jax.experimental import multihost_utils

from dpjax import errors
from dpjax.tasks import task as tasks


def rows(own: list[tasks.Row], failure: Exception | None = None) -> list[tasks.Row]:
    """Returns the rows of all processes, as if one had scored every record.

    Every process must call this, also one that failed: it tells the others, so that
    none waits for ever.

    Args:
        own: rows of this process, "source" and "index" among their entries; process p
            of P holds records p, p + P, ... of the list that all share.
        failure: what went wrong on this process, None if nothing.

    Returns:
        Rows in the order of the records, equal on every process.

    Raises:
        DataError: another process failed.
        Exception: `failure`, if there is one.
    """
    # Through JSON also on a single process, so that the process count changes nothing.
    message = json.dumps(
        {"rows": own, "failure": failure and f"{type(failure).__name__}: {failure}"},
        default=lambda value: np.asarray(value).tolist(),
    ).encode()
    messages = [json.loads(text) for text in _from_all(message)]
    if failure is not None:
        raise failure
    for process, other in enumerate(messages):
        if other["failure"] is not None:
            raise errors.DataError(f"Process {process} failed: {other['failure']}")
    # Taking turns record by record restores the order.
    chunks = [_by_record(other["rows"]) for other in messages]
    return [
        {k: np.asarray(v) if isinstance(v, list) else v for k, v in row.items()}
        for turn in itertools.zip_longest(*chunks, fillvalue=())
        for chunk in turn
        for row in chunk
    ]


def _by_record(rows: list[tasks.Row]) -> list[list[tasks.Row]]:
    groups = itertools.groupby(rows, key=lambda row: (row["source"], row["index"]))
    return [list(group) for _, group in groups]


def _from_all(message: bytes) -> list[bytes]:
    if jax.process_count() == 1:
        return [message]
    size = np.array([len(message)], np.int32)
    sizes = np.asarray(multihost_utils.process_allgather(size)).reshape(-1)
    padded = np.zeros(sizes.max(), np.uint8)
    padded[: len(message)] = np.frombuffer(message, np.uint8)
    gathered = np.asarray(multihost_utils.process_allgather(padded))
    gathered = gathered.reshape(len(sizes), -1)
    return [g[:n].tobytes() for g, n in zip(gathered, sizes, strict=True)]
