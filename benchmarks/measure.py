"""What all benchmarks share: the machine's description, synthetic batches, records."""

import importlib.metadata
import json
import os
import pathlib
import platform as host
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dpjax import config, storage
from dpjax.cli import startup
from dpjax.data import degradations
from dpjax.models import zoo
from dpjax.tasks import restoration, task
from dpjax.training import parallel, step

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / "results" / "benchmarks"
_LOAD_BEFORE = os.getloadavg()[0]
_BUSY = 0.3  # load for each core, before the benchmark adds its own
_PACKAGES = ("jax", "jaxlib", "flax", "numpy", "torch", "libtpu")


def experiment(model: config.Model, **data: Any) -> config.Experiment:
    """Returns a run as benchmarks need it: denoising, written down rarely.

    Args:
        model: the network.
        **data: fields of `config.Data` that differ from the default.

    Returns:
        The experiment.
    """
    noise = degradations.GaussianNoise((25.0, 25.0))
    return config.Experiment(
        task=restoration.Restoration(
            degradations=(noise,),
            judged=(noise,),
            space="rgb" if model.options.get("channels", 1) == 3 else "gray",
        ),
        model=model,
        data=config.Data(**{"train": ("photos",), "evaluate": ("photos",), **data}),
        optim=config.Optim(),
        evaluation=config.Evaluation("dncnn", limit=1),
        record=config.Record(log_every=10, save_every=10**9, panels=0),
        total_steps=100,
    )


def synthetic_batch(
    about: task.Task, data: config.Data, position: int = 0
) -> dict[str, np.ndarray]:
    """Returns a batch of random images in the form the pipeline gives.

    Args:
        about: the task.
        data: crop and batch size.
        position: place of its first example in the stream.

    Returns:
        Arrays on the host.
    """
    rng = np.random.default_rng(position)
    batch = {}
    for name, spec in about.batch_spec(data, data.batch_size).items():
        if spec.dtype == np.uint8:
            batch[name] = rng.integers(0, 256, spec.shape, np.uint8)
        else:
            batch[name] = np.zeros(spec.shape, spec.dtype)
    batch["valid"] = np.ones(data.batch_size, bool)
    batch["position"] = np.arange(position, position + data.batch_size, dtype=np.int32)
    return batch


def random_variables(module: Any, seed: int = 0) -> Any:
    """Returns variables without the zeros and ones of a start, which hide mistakes.

    Args:
        module: a network of the zoo.
        seed: of the draws.

    Returns:
        Parameters and statistics as float32 on the host; kernels of He's variance,
        what is neither kernel nor normalisation of variance 1.
    """
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    draws = {
        "kernel": lambda s: rng.normal(0, np.sqrt(2 / np.prod(s[:-1])), s),
        "scale": lambda s: rng.uniform(0.5, 1.5, s),
        "bias": lambda s: rng.uniform(-0.5, 0.5, s),
        "mean": lambda s: rng.uniform(-0.5, 0.5, s),
        "var": lambda s: rng.uniform(0.5, 2.0, s),
    }
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: draws.get(path[-1].key, rng.standard_normal)(
            leaf.shape
        ).astype(np.float32),
        shapes,
    )


class Updates:
    """A train step that keeps its state, on a batch that stays on the devices.

    Attributes:
        batch: what every call learns from.
    """

    def __init__(
        self,
        run: config.Experiment,
        module: Any,
        devices: Sequence[jax.Device] | None = None,
    ):
        """Compiles nothing yet.

        Args:
            run: the experiment.
            module: its network.
            devices: None takes all.
        """
        from dpjax.training import optimiser, state

        tx = optimiser.make_optimiser(run.optim, run.total_steps)
        form = parallel.open_devices(run, devices)
        if devices is not None:  # pmap takes every device it finds
            form = parallel.Parallel("shard_map", form.mesh)
        self._form = form
        self._state = form.create(lambda: state.create(run, module, tx))
        self._update = form.compile_step(
            step.make_train_step(run.task, module, tx, run)
        )
        self.batch = self.put(synthetic_batch(run.task, run.data))

    def put(self, batch: dict[str, np.ndarray]) -> Any:
        """Starts the transfer of a batch.

        Args:
            batch: arrays on the host.

        Returns:
            Arrays as `__call__` wants them.
        """
        return self._form.put(batch)

    def __call__(self, batch: Any = None) -> Any:
        """Runs one update.

        Args:
            batch: what `put` returned; None takes the batch that stays.

        Returns:
            What the update reports, perhaps not computed yet.
        """
        batch = self.batch if batch is None else batch
        self._state, metrics = self._update(self._state, batch)
        return metrics


def warn_if_busy() -> None:
    """Says so if other programs use the processor: such numbers are worthless.

    Threads that wait for each other (OpenMP in PyTorch) slow down far more than their
    share when they do not get their cores, so even ratios are wrong then.
    """
    load, cores = _LOAD_BEFORE, startup.usable_cpus()
    if load > _BUSY * cores:
        print(
            f"warning: the load is {load:.1f} on {cores} cores before the measurement "
            "begins; wait until the machine is idle and measure again.",
            file=sys.stderr,
        )


def machine() -> dict[str, Any]:
    """Returns what a number depends on besides the code.

    Returns:
        Devices, processor, cores, load and versions; nothing that identifies a machine.
    """
    versions = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "processor": _processor(),
        "cores": startup.usable_cpus(),
        "load_before": _LOAD_BEFORE,
        "python": host.python_version(),
        "versions": versions,
    }


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Returns the quotient of two series that were measured in turns.

    Args:
        above: seconds of each round.
        below: seconds of the same rounds.

    Returns:
        "median" of the quotients round by round, and the "lowest" and "highest".
    """
    quotients = [a / b for a, b in zip(above, below, strict=True)]
    return {
        "median": statistics.median(quotients),
        "lowest": min(quotients),
        "highest": max(quotients),
    }


def record(
    name: str,
    settings: dict[str, Any],
    rows: list[dict[str, Any]],
    platform: str | None = None,
) -> None:
    """Writes a record of measurements and prints it as a table.

    Args:
        name: of the benchmark.
        settings: what was asked for.
        rows: the measurements; numbers, strings and lists.
        platform: appended to the file's name; None takes that of the devices here.
    """
    path = write(name, settings, rows, platform)
    print(table(rows))
    print(f"written to {path.relative_to(ROOT)}")


def write(
    name: str,
    settings: dict[str, Any],
    rows: list[dict[str, Any]],
    platform: str | None = None,
) -> pathlib.Path:
    """Writes a record of measurements.

    Args:
        name: of the benchmark.
        settings: what was asked for.
        rows: the measurements; numbers, strings and lists.
        platform: appended to the file's name; None takes that of the devices here.

    Returns:
        The file.
    """
    path = _path(name, platform)
    content = {
        "benchmark": name,
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit(),
        "machine": machine(),
        "settings": settings,
        "rows": rows,
    }
    storage.replace(path, json.dumps(content, indent=2).encode() + b"\n")
    return path


def recorded(
    name: str, platform: str | None = None, settings: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Returns the rows of the record that is there.

    Args:
        name: of the benchmark.
        platform: as for `record`.
        settings: which the rows must have been measured with; None takes any.

    Returns:
        Its rows; none if there is no record.

    Raises:
        SystemExit: they were measured with other settings.
    """
    path = _path(name, platform)
    if not path.exists():
        return []
    content = json.loads(path.read_text())
    if settings is not None and content["settings"] != settings:
        raise SystemExit(
            f"{path.relative_to(ROOT)} was measured with {content['settings']}, and "
            f"this is {settings}: move that record away, or ask for the same."
        )
    return content["rows"]


def commit() -> str | None:
    """Returns which version of the code is measured.

    Returns:
        The commit, "-dirty" after it where files differ; None outside of a clone.
    """

    def git(*words):
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        # Records of other benchmarks are no change of what is measured.
        changed = git("status", "--porcelain", "--", ".", ":!results", ":!*.md")
        return git("describe", "--always") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _path(name: str, platform: str | None) -> pathlib.Path:
    return RESULTS / f"{name}_{platform or jax.default_backend()}.json"


def table(rows: list[dict[str, Any]]) -> str:
    """Returns rows as a Markdown table; lists (single repeats) are left out.

    Args:
        rows: column name to value.

    Returns:
        Text of several lines.
    """
    columns = list(
        dict.fromkeys(k for row in rows for k, v in row.items() if type(v) is not list)
    )
    texts = [columns] + [[_cell(row.get(c, "")) for c in columns] for row in rows]
    widths = [max(len(line[i]) for line in texts) for i in range(len(columns))]
    lines = [
        "| " + " | ".join(f"{t:<{w}}" for t, w in zip(line, widths, strict=True)) + " |"
        for line in texts
    ]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return host.processor()
    names = (x.split(":")[1].strip() for x in lines if x.startswith("model name"))
    return next(names, host.processor())
