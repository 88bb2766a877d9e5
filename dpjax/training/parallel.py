"""The only place that knows how a step meets the devices.

`pmap` with the state unreplicated (`in_axes=(None, 0)`, `out_axes=None`) is the
default; the same per-device function under `jit(shard_map)` is the switch, preferred on
several hosts because its state already spans them.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from dpjax import config, errors
from dpjax.training import step as steps


@dataclasses.dataclass(frozen=True)
class Parallel:
    """A step bound to the devices of all processes.

    Attributes:
        how: "pmap" or "shard_map".
        mesh: all devices, one axis named "batch".
    """

    how: str
    mesh: Mesh

    @functools.cached_property
    def _local_batch(self) -> NamedSharding:
        local = Mesh(np.array(self.mesh.local_devices), (steps.AXIS,))
        return NamedSharding(local, P(steps.AXIS))

    def create(self, make_state: Callable[..., Any], *inputs: Any) -> Any:
        """Returns a fresh state on every device, each leaf in memory of its own.

        Args:
            make_state: pure function.
            *inputs: its arguments; trees of arrays or None.

        Returns:
            What it returns, replicated over the mesh.
        """
        return jax.jit(make_state, out_shardings=self.replicated)(*inputs)

    @property
    def replicated(self) -> NamedSharding:
        """Returns the placement of a state: a full copy on every device.

        Returns:
            A sharding over the whole mesh.
        """
        return NamedSharding(self.mesh, P())

    def compile_step(self, step: steps.Step) -> Callable[[Any, Any], tuple[Any, Any]]:
        """Returns the compiled update; it consumes (donates) the state it is given.

        Args:
            step: per-device function with the axis "batch".

        Returns:
            A function of (state, batch from `put`) to (state, metrics).
        """
        if self.how == "pmap":
            return jax.pmap(
                step,
                axis_name=steps.AXIS,
                in_axes=(None, 0),
                out_axes=(None, None),
                donate_argnums=0,
            )
        mapped = jax.shard_map(
            step, mesh=self.mesh, in_specs=(P(), P(steps.AXIS)), out_specs=(P(), P())
        )
        return jax.jit(mapped, donate_argnums=0)

    def put(self, batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
        """Starts moving this process's part of a batch to its devices.

        Args:
            batch: arrays of the same leading size, a multiple of the local devices.

        Returns:
            Arrays laid out as the compiled step wants them.
        """
        if self.how == "pmap":
            count = len(self.mesh.local_devices)
            return {
                name: jax.device_put(
                    x.reshape(count, -1, *x.shape[1:]), self._local_batch
                )
                for name, x in batch.items()
            }
        sharding = NamedSharding(self.mesh, P(steps.AXIS))
        return {
            name: jax.make_array_from_process_local_data(sharding, x)
            for name, x in batch.items()
        }

    def spanning(self, state: Any) -> Any:
        """Returns the state as arrays that span all processes, for the checkpoint.

        Args:
            state: what the compiled step returned.

        Returns:
            The same values; on one process, the same arrays.
        """
        if self.how == "shard_map" or jax.process_count() == 1:
            return state
        return multihost_utils.host_local_array_to_global_array(state, self.mesh, P())

    def on_this_process(self, state: Any) -> Any:
        """Returns a restored state in the form that the compiled step wants.

        Args:
            state: arrays that span all processes.

        Returns:
            The same values; on one process, the same arrays.
        """
        if self.how == "shard_map" or jax.process_count() == 1:
            return state
        return multihost_utils.global_array_to_host_local_array(state, self.mesh, P())


def open_devices(
    experiment: config.Experiment, devices: Sequence[jax.Device] | None = None
) -> Parallel:
    """Returns the mapping of a run onto all devices, after checking the batch.

    Args:
        experiment: batch size, accumulation and the form of parallelism.
        devices: the devices of all processes; None takes those that are here.

    Returns:
        The mapping.

    Raises:
        UserError: the batch does not divide evenly.
    """
    devices = jax.devices() if devices is None else devices
    count, micro = len(devices), experiment.optim.accumulate
    batch = experiment.data.batch_size
    if batch < 1 or micro < 1 or batch % (count * micro):
        unit = count * max(micro, 1)
        near = max(unit, round(batch / unit) * unit)
        raise errors.UserError(
            f"data.batch_size must be a multiple of {unit} ({count} devices x "
            f"{micro} micro-batches), got {batch}. Try --data.batch-size {near}."
        )
    auto = (AxisType.Auto,)
    mesh = jax.make_mesh((count,), (steps.AXIS,), axis_types=auto, devices=devices)
    return Parallel(experiment.parallel, mesh)


def use_cpu_cores(batch_size: int, cores: int) -> None:
    """Gives each processor core its own device, when only processors are there.

    XLA trains small networks about twice as fast on n one-core devices as on one device
    of n cores.  Must run before anything touches a device; does nothing if the user has
    chosen a number or the backend has started.

    Args:
        batch_size: the number of devices is a divisor of this.
        cores: physical cores at hand.
    """
    if jax.config.jax_num_cpu_devices > 0:  # the user has spoken
        return
    count = max(n for n in range(1, cores + 1) if batch_size % n == 0)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:  # the backend is up: too late, and harmless
        return
