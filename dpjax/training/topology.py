"""TPU slices that are not here: descriptions good enough to compile for."""

import contextlib
import dataclasses
import importlib.util
import math
import os
from collections.abc import Iterator, Sequence

import jax

from dpjax import errors

_GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """What a maker publishes about a processor.

    Attributes:
        memory_bytes: high-bandwidth memory.
        peak_flops: bfloat16 operations a second.
        bandwidth: memory traffic, bytes a second.
    """

    memory_bytes: int
    peak_flops: float
    bandwidth: float


# By the name JAX gives the device; figures of Google's TPU system architecture pages.
_CHIPS = {
    "TPU v5 lite": Chip(16 * _GIB, 197e12, 819e9),
    "TPU v5": Chip(95 * _GIB, 459e12, 2765e9),
    "TPU v6 lite": Chip(32 * _GIB, 918e12, 1640e9),
}


def chip_of(device: jax.Device) -> Chip | None:
    """Returns what is published about a device.

    Args:
        device: of this machine or of `slice_devices`.

    Returns:
        Memory and speed, or None for a kind that is not in the table.
    """
    return _CHIPS.get(device.device_kind)


@contextlib.contextmanager
def not_cached() -> Iterator[None]:
    """Keeps programs compiled inside out of the persistent cache.

    JAX stores programs for devices that are not here, then fails to read them.

    Returns:
        A context manager.
    """
    name = "jax_persistent_cache_min_compile_time_secs"
    before = getattr(jax.config, name)
    jax.config.update(name, math.inf)
    try:
        yield
    finally:
        jax.config.update(name, before)


def slice_devices(name: str) -> Sequence[jax.Device]:
    """Returns the devices of a TPU slice, for ahead-of-time compilation only.

    Args:
        name: generation and grid of chips, such as "v5e:4x4" or "v5p:2x4x4".

    Returns:
        Devices that can be put into a mesh but not run anything.

    Raises:
        UserError: no TPU compiler, or no such slice.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise errors.UserError(
            "A plan for a TPU topology wants the TPU compiler, libtpu, which is not "
            "installed. Run `pip install -r requirements-tpu.txt`; no TPU is needed."
        )
    from jax.experimental import topologies

    # Without a TPU in the machine, libtpu would look for one over the network; and it
    # lets in one program at a time, which a compiler has no need for.
    quiet = {
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": "v5litepod-1",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }
    for variable, value in quiet.items():
        os.environ.setdefault(variable, value)
    try:
        found = topologies.get_topology_desc(platform="tpu", topology_name=name)
    except Exception as error:  # JaxRuntimeError, whose home has moved between versions
        reason = str(error).splitlines()[0]
        raise errors.UserError(
            f"No TPU topology {name!r}: {reason} Write generation:grid of chips, such "
            "as v5e:4x4 (16 chips), v6e:2x4 (8) or v5p:2x4x4 (32; Google counts the "
            "two cores of each and calls it v5p-64)."
        ) from error
    return found.devices
