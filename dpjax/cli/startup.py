"""What a command does before it touches a device."""

import ctypes
import os
import sys
from pathlib import Path

import jax

from dpjax.training import parallel

# mallopt of the GNU C library: heaps; blocks mapped on their own; what is kept on top.
_ARENA_MAX, _MMAP_MAX, _TRIM_THRESHOLD = -8, -4, -1
_ALL = 2**31 - 1


def use_compilation_cache() -> None:
    """Keeps compiled programs on disk, so that a second start does not compile again.

    JAX_COMPILATION_CACHE_DIR chooses the folder; the default is ~/.cache/dpjax/xla.
    """
    if jax.config.jax_compilation_cache_dir is None:
        root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(root / "dpjax" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def keep_freed_memory() -> None:
    """Lets a process use the memory of one step again in the next.

    Usually large blocks go back to the system when they are freed, and every page of
    them must be asked for again: more than a tenth of a step on a processor.  Must come
    before the backend is opened, whose threads choose their heaps then.  Does nothing
    where the C library is not GNU's.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # In other heaps than the first, large blocks are always mapped on their own.
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _ALL)


def open_backend(
    batch_size: int,
    coordinator: str | None = None,
    processes: int | None = None,
    process: int | None = None,
) -> None:
    """Joins the processes of a run and gives processor cores their devices.

    Args:
        batch_size: examples in one update; bounds the devices made of cores.
        coordinator: "host:port" of process 0; None if alone, or if the cluster tells.
        processes: how many there are.
        process: which one this is, from 0.
    """
    use_compilation_cache()
    keep_freed_memory()
    if coordinator is not None or processes is not None:
        jax.distributed.initialize(coordinator, processes, process)
    else:
        parallel.use_cpu_cores(batch_size, usable_cpus())


def usable_cpus() -> int:
    """Returns how many logical processors this process may use.

    Returns:
        A count, at least 1.
    """
    if hasattr(os, "sched_getaffinity"):  # Linux; the others cannot be restricted
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
