"""What is printed about a save that failed: the error that is raised, and no more.

Orbax hands the error of a disk that refuses to `checkpoint.Checkpoints`, which raises
it.  On the way there each thread of Orbax logs its own traceback, asyncio adds one for
every array that nobody waited for any longer, and TensorStore one for every write that
ends after Orbax has closed its event loop: a hundred of them hide the one line that
matters.
"""

import functools
import logging
import sys
import types
from typing import Any

from absl import logging as absl_logging

# What threads log about an error that they hand on.
_HANDED_ON = (
    "_SignalingThread.run() raised an exception",
    "Handler Commit operations or the Commit callback in background save thread",
    "[wait_until_finished] Save Finalize thread",
    "Failed to write metadata=",
    "Failed to update metadata=",
)
# What asyncio says of every kind of future: a task, several together, any other.
_NEVER_RETRIEVED = "exception was never retrieved"
# Part of the path of every checkpoint that is being written.
_UNFINISHED = ".orbax-checkpoint-tmp"


@functools.cache
def quiet() -> None:
    """Leaves these tracebacks out for the rest of this process, and nothing else."""
    absl_logging.get_absl_logger().addFilter(_is_news_from_orbax)
    logging.getLogger("asyncio").addFilter(_is_news_from_asyncio)
    before = sys.unraisablehook

    def report(unraisable: Any) -> None:
        if not _is_late_write(unraisable):
            before(unraisable)

    sys.unraisablehook = report


def _is_news_from_orbax(record: logging.LogRecord) -> bool:
    return _refusal(record) is None or not any(
        text in str(record.msg) for text in _HANDED_ON
    )


def _is_news_from_asyncio(record: logging.LogRecord) -> bool:
    error = _refusal(record)
    if error is None or _NEVER_RETRIEVED not in record.getMessage().split("\n")[0]:
        return True
    return _UNFINISHED not in str(error) and not _is_of_orbax(error.__traceback__)


def _refusal(record: logging.LogRecord) -> Exception | None:
    """The error of a record if it is of the kinds that `Checkpoints` reports."""
    error = record.exc_info[1] if record.exc_info else None
    return error if isinstance(error, (OSError, ValueError)) else None


def _is_of_orbax(trace: types.TracebackType | None) -> bool:
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").startswith("orbax."):
            return True
        trace = trace.tb_next
    return False


def _is_late_write(unraisable: Any) -> bool:
    """Whether native code wanted to tell a closed event loop that it is done."""
    error, trace = unraisable.exc_value, unraisable.exc_traceback
    return (
        isinstance(error, RuntimeError)
        and str(error) == "Event loop is closed"
        and trace is not None
        # Python code that does so would stand above it.
        and trace.tb_frame.f_code.co_name == "call_soon_threadsafe"
    )
