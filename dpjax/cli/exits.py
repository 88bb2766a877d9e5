"""How a command ends: one line for the user, and the exit code of its error."""

import errno
import os
import sys
from collections.abc import Callable, Iterator

from dpjax import errors

_INTERRUPTED = 130  # what shells use for 128 + SIGINT
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK_FULL_TEXTS = ("No space left on device", "Disk quota exceeded")


def run(function: Callable[[], int | None]) -> int:
    """Returns the exit code of a command, having told the user what went wrong.

    Errors of `dpjax.errors` end in one line on stderr; anything else is a defect and
    keeps its traceback.

    Args:
        function: the whole command; returns its exit code, or None for 0.

    Returns:
        0 done, 2 the user's mistake, 3 data, 4 not finite, 5 storage, 75 preempted and
        saved, 130 interrupted.
    """
    try:
        code = function()
        sys.stdout.flush()
        return code or 0
    except errors.Preempted as stop:
        print(stop, file=sys.stderr)  # a wish that was granted, not an error
        return stop.exit_code
    except errors.DpjaxError as error:
        return _fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has seen enough.  Python flushes stdout once more on its
        # way out; give it a place where that works.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        known = explain(error)
        if known is None:
            raise
        return _fail(known)


def explain(error: BaseException) -> errors.DpjaxError | None:
    """Returns what the user can do about an error that comes from below dpjax.

    Args:
        error: an exception of the operating system, JAX or a library.

    Returns:
        The error to show: disk full or device memory exhausted; None if this is
        something else.
    """
    for cause in _causes(error):
        text = str(cause)
        if (isinstance(cause, OSError) and cause.errno in _DISK_FULL) or any(
            part in text for part in _DISK_FULL_TEXTS
        ):
            place = getattr(cause, "filename", None)
            where = f" at {place}" if place else ""
            return errors.StorageError(
                f"The disk is full{where}: {text}. Free some space, or choose another "
                "folder; what was saved before is whole."
            )
        if "RESOURCE_EXHAUSTED" in text:
            return errors.UserError(
                "The device has too little memory: "
                f"{text.splitlines()[0].rstrip('.')}. Lower data.batch_size or "
                "data.crop, raise optim.accumulate, or choose bfloat16; "
                "`python -m dpjax plan` tells what a run needs."
            )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)


def _fail(error: errors.DpjaxError) -> int:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
