"""Memory that is freed in one step of a process is used again in the next."""

import ctypes
import sys

# Parameters of the GNU C library's mallopt.
_ARENA_MAX, _MMAP_MAX, _TRIM_THRESHOLD = -8, -4, -1
_ALL = 2**31 - 1


def keep_freed_memory() -> None:
    """Stops the C library from giving freed blocks back to the system.

    Otherwise every page of a large array is asked for again in every step: more than a
    tenth of a training step on a processor.  Does nothing where the C library is not
    GNU's.  Must come before the first thread starts (NumPy's import starts some): each
    thread chooses its heap once, and only the first heap can keep large blocks.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _ALL)
