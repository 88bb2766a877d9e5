"""Every training config, compiled for TPU pods that are not here.

    pip install -r requirements-tpu.txt
    JAX_PLATFORMS=cpu python -m benchmarks.tpu_plans

Memory is what the compiler assigns.  Time is its estimate, not a measurement.  Rows are
written as they come, over those of the same config, pod and batch; others stay.  With
`--effort -1` the compiler searches less: a third of its time, for a program that shows
what compiles and fits, not the best that there is.
"""

import argparse
import dataclasses
import pathlib

import jax

from benchmarks import measure
from dpjax.cli import experiments, startup
from dpjax.training import plan, topology

_NAME = "tpu_plans"


def main() -> None:
    """Compiles, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topologies", nargs="+", default=["v5e:4x4", "v5p:2x4x4"])
    parser.add_argument("--configs", nargs="+", help="files; default all of configs/")
    parser.add_argument(
        "--per-chip", type=int, help="images; default what the config's batch gives"
    )
    parser.add_argument("--effort", type=float, default=0.0, help="-1 to 1")
    options = parser.parse_args()
    jax.config.update("jax_exec_time_optimization_effort", options.effort)
    jax.config.update("jax_memory_fitting_effort", options.effort)
    if jax.config.jax_platforms is None:  # only the compiler is wanted
        jax.config.update("jax_platforms", "cpu")
    startup.use_compilation_cache()
    root = measure.ROOT / "configs"
    files = [pathlib.Path(x) for x in options.configs or sorted(root.glob("*/*.py"))]
    rows = {_key(row): row for row in measure.recorded(_NAME, "tpu")}
    for path in files:
        for name in options.topologies:
            row = _row(path, name, options.per_chip)
            row["effort"] = options.effort
            print(measure.table([row]), flush=True)
            rows[_key(row)] = row
            every = [rows[key] for key in sorted(rows)]
            measure.write(_NAME, {"peak": "of bfloat16"}, every, "tpu")
    print(measure.table(every))


def _key(row):
    return row["config"], row["topology"], row["batch"]


def _row(path, name, per_chip):
    run = experiments.read_config(str(path))
    chips = len(topology.slice_devices(name))
    # An example on each chip, at least.
    batch = per_chip * chips if per_chip else max(run.data.batch_size, chips)
    data = dataclasses.replace(run.data, batch_size=batch)
    run = dataclasses.replace(run, data=data)
    found = plan.make_plan(run, name)
    return {
        "config": path.stem,
        "topology": name,
        "commit": measure.commit(),
        "type": found.compute_dtype,
        "batch": found.batch_size,
        "MiB/chip": found.memory_bytes / 2**20,
        "of memory": f"{found.memory_bytes / found.capacity_bytes:.2%}",
        "GFLOP/chip": found.step_flops / 1e9,
        "ms (estimate)": 1e3 * found.estimated_s,
        "of peak (estimate)": f"{found.share_of_peak:.1%}",
    }


if __name__ == "__main__":
    main()
