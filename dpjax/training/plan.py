"""What a run will need, from shapes alone: nothing is computed and nothing allocated.

The step is compiled in the form `jit(shard_map)`, for the devices of this machine or
for a TPU slice that is not here.  `jax.pmap` takes the devices it finds and cannot
compile for others; it runs the same per-device function, so the plan holds for both.
"""

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from dpjax import config, errors
from dpjax.data import preparation, sources
from dpjax.models import zoo
from dpjax.training import flops, optimiser, parallel, state, step, topology


@dataclasses.dataclass(frozen=True)
class Plan:
    """The needs of one run.

    Attributes:
        model: name of the network.
        compute_dtype: type of its activations.
        devices: how many share a batch.
        device_kind: what they are.
        parameters: numbers that are learned.
        crop: height and width of an example, pixels.
        batch_size: examples in one update, over all devices.
        total_steps: updates of the run.
        records: training images; None while they are not prepared.
        forward_flops: operations of the network on one example.
        step_flops: operations of one update on one device.
        state_bytes: parameters, optimiser and averages, on each device.
        batch_bytes: a device's share of a batch.
        workspace_bytes: activations and other temporary memory of one device.
        program_bytes: the compiled program.
        capacity_bytes: memory of one device; None if unknown.
        estimated_s: time of one update as `estimate_s` tells; None for a device of
            which nothing is published.
        share_of_peak: `step_flops` in that time, relative to the published peak.
    """

    model: str
    compute_dtype: str
    devices: int
    device_kind: str
    parameters: int
    crop: tuple[int, int]
    batch_size: int
    total_steps: int
    records: int | None
    forward_flops: int
    step_flops: int
    state_bytes: int
    batch_bytes: int
    workspace_bytes: int
    program_bytes: int
    capacity_bytes: int | None
    estimated_s: float | None
    share_of_peak: float | None

    @property
    def memory_bytes(self) -> int:
        """What one device must hold during an update."""
        return (
            self.state_bytes
            + self.batch_bytes
            + self.workspace_bytes
            + self.program_bytes
        )

    @property
    def examples(self) -> int:
        """Training examples of the whole run."""
        return self.total_steps * self.batch_size


def make_plan(experiment: config.Experiment, slice_name: str | None = None) -> Plan:
    """Returns what a run needs on each device.

    Args:
        experiment: the run.
        slice_name: a TPU topology such as "v5e:4x4"; None plans for this machine.

    Returns:
        The plan.

    Raises:
        UserError: a configuration that cannot work, a batch that does not divide, an
            unknown topology, or a step that needs more memory than a device has.
    """
    experiment.task.check(experiment)
    devices = topology.slice_devices(slice_name) if slice_name else jax.devices()
    devices = parallel.open_devices(experiment, devices)
    devices = dataclasses.replace(devices, how="shard_map")
    model = experiment.model
    module = zoo.create_module(
        model.name, compute_dtype=model.compute_dtype, **model.options
    )
    tx = optimiser.make_optimiser(experiment.optim, experiment.total_steps)
    start = jax.eval_shape(lambda: state.create(experiment, module, tx))
    batch = experiment.task.batch_spec(experiment.data, experiment.data.batch_size)
    update = devices.compile_step(
        step.make_train_step(experiment.task, module, tx, experiment)
    )
    program = _compile(update, start, batch, devices, slice_name is None)
    memory = program.memory_analysis()
    device = devices.mesh.devices.flat[0]
    chip = topology.chip_of(device)
    capacity = chip.memory_bytes if chip else _capacity_here(device)
    work = flops.count(update, start, batch)
    seconds = None
    if chip:
        costs = program.cost_analysis() or {}
        seconds = estimate_s(costs, work, chip, experiment.optim.accumulate)
    # A task may look at pairs of examples, so one alone is cut out afterwards.
    inputs, _ = jax.eval_shape(
        lambda b: experiment.task.inputs(
            b, step.example_keys(0, b["position"]), experiment.data
        ),
        batch,
    )
    one = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct((1, *s.shape[1:]), s.dtype), inputs
    )
    state_bytes = _size_bytes(start)
    return Plan(
        model=model.name,
        compute_dtype=model.compute_dtype,
        devices=devices.mesh.size,
        device_kind=device.device_kind,
        parameters=sum(x.size for x in jax.tree.leaves(start.params)),
        crop=experiment.data.crop,
        batch_size=experiment.data.batch_size,
        total_steps=experiment.total_steps,
        records=_count_records(experiment.data),
        forward_flops=flops.count(module.apply, start.variables(), one),
        step_flops=work,
        state_bytes=state_bytes,
        # Layouts of a device may be padded, so its own figures are taken.
        batch_bytes=max(memory.argument_size_in_bytes - state_bytes, 0),
        workspace_bytes=memory.temp_size_in_bytes
        + max(memory.output_size_in_bytes - memory.alias_size_in_bytes, 0),
        program_bytes=memory.generated_code_size_in_bytes,
        capacity_bytes=capacity,
        estimated_s=seconds,
        share_of_peak=work / seconds / chip.peak_flops if chip and seconds else None,
    )


def estimate_s(
    costs: Mapping[str, float], work: int, chip: topology.Chip, repeats: int
) -> float:
    """Returns how long an update will take, as far as that is known without a device.

    The longest of three: the compiler's sum over all operations, the arithmetic at the
    chip's peak, and the memory traffic at its bandwidth.

    Args:
        costs: the compiler's figures, `cost_analysis()` of the program.
        work: floating-point operations of one update.
        chip: what is published about the device.
        repeats: micro-batches; they are a loop, whose body the compiler counts once.

    Returns:
        Seconds.
    """
    seconds = costs.get("optimal_seconds", 0.0)
    if seconds < 0:
        # Each operation that the compiler cannot estimate enters its sum as -1.
        seconds -= math.floor(seconds)
    traffic_s = costs.get("bytes accessed", 0.0) / chip.bandwidth
    return max(seconds * repeats, traffic_s * repeats, work / chip.peak_flops)


def describe(experiment: config.Experiment, slice_name: str | None = None) -> str:
    """Returns the plan of a run as text.

    Args:
        experiment: the run.
        slice_name: a TPU topology such as "v5e:4x4"; None plans for this machine.

    Returns:
        Several lines.

    Raises:
        UserError: as `make_plan`.
    """
    return render(make_plan(experiment, slice_name))


def render(plan: Plan) -> str:
    """Returns a plan as text.

    Args:
        plan: what `make_plan` returned.

    Returns:
        Several lines, a label and its value on each.
    """
    per_device = plan.batch_size // plan.devices
    epochs = (
        f"{plan.examples / plan.records:,.1f} epochs of {plan.records:,} images"
        if plan.records
        else "epochs unknown until the data are prepared"
    )
    room = ""
    if plan.capacity_bytes:
        share = plan.memory_bytes / plan.capacity_bytes
        room = f", {share:.1%} of {_bytes(plan.capacity_bytes)}"
    lines = [
        ("model", f"{plan.model}, {plan.parameters:,} parameters"),
        ("devices", f"{plan.devices} x {plan.device_kind}, {plan.compute_dtype}"),
        (
            "batch",
            f"{plan.batch_size} of {plan.crop[0]} x {plan.crop[1]} pixels, "
            f"{per_device} on each device",
        ),
        ("run", f"{plan.total_steps:,} updates, {plan.examples:,} examples, {epochs}"),
        (
            "work",
            f"{_flops(plan.forward_flops)} forward per example; "
            f"{_flops(plan.step_flops)} per update and device; "
            f"{_flops(plan.step_flops * plan.devices * plan.total_steps)} in all",
        ),
        ("memory", f"{_bytes(plan.memory_bytes)} per device{room}"),
        ("", f"state {_bytes(plan.state_bytes)}, batch {_bytes(plan.batch_bytes)}"),
        (
            "",
            f"workspace {_bytes(plan.workspace_bytes)}, "
            f"program {_bytes(plan.program_bytes)}",
        ),
    ]
    if plan.estimated_s:
        lines += [
            (
                "time",
                f"{_duration(plan.estimated_s)} per update, "
                f"{_duration(plan.total_steps * plan.estimated_s)} in all, "
                f"{plan.batch_size / plan.estimated_s:,.0f} examples/s, "
                f"{plan.share_of_peak:.1%} of the peak",
            ),
            ("", "estimated by the compiler, not measured; without data, evaluation"),
        ]
    return "\n".join(f"{label:<9}{text}" for label, text in lines)


def _compile(
    update: Any, start: Any, batch: Any, devices: parallel.Parallel, is_here: bool
) -> Any:
    split = NamedSharding(devices.mesh, P(step.AXIS))

    def placed(tree, sharding):
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree
        )

    lowered = update.lower(placed(start, devices.replicated), placed(batch, split))
    try:
        with contextlib.nullcontext() if is_here else topology.not_cached():
            return lowered.compile()
    except Exception as error:  # JaxRuntimeError, whose home has moved between versions
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        lines = str(error).removeprefix("RESOURCE_EXHAUSTED: ").splitlines()
        reason = next((line.strip() for line in lines if "Used " in line), lines[0])
        kind = devices.mesh.devices.flat[0].device_kind
        raise errors.UserError(
            f"The step does not fit a {kind} at "
            f"{split.shard_shape(batch['position'].shape)[0]} examples on each of "
            f"{devices.mesh.size}: {reason} Lower data.batch_size or data.crop, raise "
            "optim.accumulate, or use more devices."
        ) from error


def _capacity_here(device: jax.Device) -> int | None:
    """Memory of a device of this machine; None on processors, which share theirs."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    return (stats or {}).get("bytes_limit")


def _count_records(data: config.Data) -> int | None:
    """Training images, if they are prepared; a plan must not prepare them."""
    folder = data.directory or preparation.default_directory()
    for text in data.train:
        reference = sources.parse(text)
        if preparation.locate(reference.name, reference.config, folder) is None:
            return None
    return len(sources.open_sources(data.train, directory=folder))


def _size_bytes(tree: Any) -> int:
    leaves = jax.tree.leaves(tree)
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in leaves)


def _bytes(number: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} GiB"


def _duration(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60), ("s", 1)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{1e3 * seconds:.3g} ms"


def _flops(number: float) -> str:
    for unit in ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} EFLOP"
