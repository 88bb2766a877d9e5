"""What a command does before it touches a device."""

import os
from pathlib import Path

import jax

from dpjax.training import parallel


def use_compilation_cache() -> None:
    """Keeps compiled programs on disk, so that a second start does not compile again.

    JAX_COMPILATION_CACHE_DIR chooses the folder; the default is ~/.cache/dpjax/xla.
    """
    if jax.config.jax_compilation_cache_dir is None:
        root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        jax.config.update("jax_compilation_cache_dir", str(root / "dpjax" / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


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
