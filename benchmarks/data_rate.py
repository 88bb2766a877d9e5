"""Real data against synthetic: how fast the pipeline is, and whether training waits.

    python -m benchmarks.data_rate

"pipeline" is what the host can read, crop and turn around, without a network.
"training" is the update on real batches, transferred ahead as in the loop, and on one
synthetic batch that stays on the devices; both take turns.
"""

import argparse
import functools
import itertools
import time

from benchmarks import measure
from dpjax import config
from dpjax.cli import startup
from dpjax.data import pipeline, sources
from dpjax.models import zoo
from dpjax.training import speed


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["rednet10", "rednet30"])
    parser.add_argument("--source", default="photos:train")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each pipeline")
    parser.add_argument("--cache-gib", type=float, default=1.0)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    measure.warn_if_busy()
    startup.open_backend(options.batch)
    rows = [_pipeline_row(count, options) for count in options.threads]
    rows += [_training_row(name, options) for name in options.models]
    measure.record("data_rate", vars(options), rows)


def _experiment(name, options, threads=2):
    return measure.experiment(
        config.Model(name),
        crop=(options.size, options.size),
        batch_size=options.batch,
        train=(options.source,),
        threads=threads,
        cache_bytes=int(options.cache_gib * 2**30),
    )


def _stream(run):
    data = run.data
    source = sources.open_sources(data.train, cache_bytes=data.cache_bytes)
    transform = functools.partial(run.task.train_example, data=data)
    return pipeline.train_stream(source, transform, data=data, seed=0)


def _pipeline_row(threads, options):
    with _stream(_experiment("rednet10", options, threads)) as stream:
        # What was read ahead while nobody looked must not count.
        for _ in itertools.islice(stream, 20):
            pass
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < options.seconds:
            next(stream)
            count += 1
        rate = count * options.batch / (time.perf_counter() - begin)
    return {"what": f"pipeline, {threads} threads", "real images/s": rate}


def _training_row(name, options):
    run = _experiment(name, options)
    update = measure.Updates(run, zoo.create_module(name))
    with _stream(run) as stream:
        batches = pipeline.device_prefetch(stream, update.put)
        times = speed.in_turns(
            {
                "real": speed.Candidate(lambda: update(next(batches))),
                "synthetic": speed.Candidate(update),
            },
            repeats=options.repeats,
        )
    share = measure.ratio(times["synthetic"], times["real"])
    row = {"what": f"training, {name}"}
    for kind, seconds in times.items():
        row[f"{kind} images/s"] = options.batch / sorted(seconds)[len(seconds) // 2]
        row[f"{kind} s"] = seconds
    row["real / synthetic"] = share["median"]
    row["range"] = [share["lowest"], share["highest"]]
    return row


if __name__ == "__main__":
    main()
