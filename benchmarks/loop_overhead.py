"""The training loop, with data, logs and guards, against its bare step in a loop.

    python -m benchmarks.loop_overhead

The loop runs as `train.py` runs it, on photographs; its speed is what it logs after the
first window, which compiles.  The bare step repeats on one batch that never leaves the
devices.  Both take turns.  1.0 means that the loop costs nothing.
"""

import argparse
import contextlib
import dataclasses
import io
import json
import pathlib
import tempfile

import jax

from benchmarks import measure
from dpjax import config
from dpjax.cli import startup
from dpjax.models import zoo
from dpjax.training import loop, speed


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["rednet10"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--steps", type=int, default=30, help="timed, in each round")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    measure.warn_if_busy()
    startup.open_backend(options.batch)
    rows = [_compare(name, options) for name in options.models]
    measure.record("loop_overhead", vars(options), rows)


def _compare(name, options):
    window = max(options.steps // 3, 1)
    run = measure.experiment(
        config.Model(name),
        crop=(options.size, options.size),
        batch_size=options.batch,
        train=("photos:train",),
        evaluate=("photos:test",),
    )
    run = dataclasses.replace(
        run,
        record=dataclasses.replace(run.record, log_every=window),
        total_steps=4 * window,
    )
    bare = measure.Updates(run, zoo.create_module(name))

    def steps():
        for _ in range(3 * window):
            result = bare()
        return result

    jax.block_until_ready(steps())  # compiles
    times = {"bare": [], "loop": [], "wait": []}
    for _ in range(options.repeats):
        found = speed.in_turns({"bare": speed.Candidate(steps)}, repeats=1)
        times["bare"] += [seconds / (3 * window) for seconds in found["bare"]]
        seconds, wait = _looped(run)
        times["loop"].append(seconds)
        times["wait"].append(wait)
    share = measure.ratio(times["bare"], times["loop"])
    return {
        "model": name,
        "bare ms": 1e3 * min(times["bare"]),
        "loop ms": 1e3 * min(times["loop"]),
        "loop / bare speed": share["median"],
        "range": [share["lowest"], share["highest"]],
        "wait for data": max(times["wait"]),
        "bare s": times["bare"],
        "loop s": times["loop"],
    }


def _looped(run):
    """Seconds of one update inside the loop, and the share it waited for data."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        with contextlib.redirect_stderr(io.StringIO()):
            loop.train(run, path)
        lines = (path / "speed.jsonl").read_text().splitlines()
    windows = [json.loads(line) for line in lines][1:]
    seconds = [run.data.batch_size / w["images_per_s"] for w in windows]
    waits = [w["wait_share"] for w in windows]
    return sum(seconds) / len(seconds), sum(waits) / len(waits)


if __name__ == "__main__":
    main()
