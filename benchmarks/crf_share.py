"""Which share of a training step of DCNF-FCSP its CRF is, in turns.

    python -m benchmarks.crf_share

Steps are whole updates (forward, loss, gradient, optimiser) as `configs/depth/
fcsp_nyudv2.py` makes them, VGG16 on images of 480 x 640 and some 700 superpixels each,
with the likelihood of the paper's CRF and with the square error of the same network.
What the step with the CRF takes longer is the CRF's share; where noise hides it, the
likelihood with its slopes by itself, at the same shapes, tells more.
"""

import argparse
import dataclasses
import statistics

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks import measure
from dpjax import config
from dpjax.cli import experiments, startup
from dpjax.models import dcnf, zoo
from dpjax.ops.crf import gaussian
from dpjax.training import speed

_CONFIG = "fcsp_nyudv2"
_WITH, _WITHOUT = "step with the CRF", "step without a CRF"
_ALONE = "likelihood and slopes alone"
_NOISE = 0.1  # of the network, beside labels in [0, 1]


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--image-size", default="480x640")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-record", action="store_true", help="print the table only")
    options = parser.parse_args()
    measure.warn_if_busy()
    startup.open_backend(options.batch)
    size = tuple(int(n) for n in options.image_size.split("x"))
    runs = {kind: _run(kind, size, options) for kind in ("paper", "none")}
    batch = _batch(runs["paper"])
    times = speed.in_turns(_candidates(runs, batch), repeats=options.repeats)
    rows = list(_rows(times))
    settings = vars(options) | {
        "superpixels": int(batch["region_valid"][0].sum()),
        "room": batch["region_valid"].shape[1],
    }
    if options.no_record:
        print(settings, measure.table(rows), sep="\n")
    else:
        measure.record(f"crf_share_{options.dtype}", settings, rows)


def _run(kind, size, options):
    path = measure.ROOT / "configs" / "depth" / f"{_CONFIG}.py"
    run = experiments.read_config(str(path))
    # Where there is no CRF, there is no strength to be kept at 0 or above.
    nonnegative = run.optim.nonnegative if kind != "none" else ()
    return dataclasses.replace(
        run,
        task=dataclasses.replace(run.task, size=size),
        model=config.Model(run.model.name, {"crf": kind}, options.dtype),
        data=dataclasses.replace(run.data, crop=size, batch_size=options.batch),
        optim=dataclasses.replace(run.optim, nonnegative=nonnegative),
    )


def _batch(run):
    """A photograph and its mirror image, cut up, with a depth for every pixel."""
    import cv2
    from skimage import data

    height, width = run.task.size
    shape = (width, height)
    image = cv2.resize(data.coffee(), shape, interpolation=cv2.INTER_AREA)
    depth = np.linspace(1, 5, height * width, dtype=np.float32)
    record = {"id": "coffee", "image": image, "depth": depth.reshape(height, width)}
    count, rng = run.data.batch_size, np.random.default_rng(0)
    examples = [run.task.train_example(record, rng, run.data) for _ in range(count)]
    return {
        **{name: np.stack([e[name] for e in examples]) for name in examples[0]},
        "valid": np.ones(count, bool),
        "position": np.arange(count, dtype=np.int32),
    }


def _candidates(runs, batch):
    learning = {
        kind: measure.Updates(
            run,
            zoo.create_module(
                run.model.name,
                compute_dtype=run.model.compute_dtype,
                **run.model.options,
            ),
        )
        for kind, run in runs.items()
    }
    for update in learning.values():
        update.batch = update.put(batch)
    alone = _likelihood(runs["paper"], learning["paper"], batch)
    return {
        _WITH: speed.Candidate(learning["paper"]),
        _WITHOUT: speed.Candidate(learning["none"]),
        _ALONE: alone,
    }


def _likelihood(run, learning, batch):
    """The loss that the step with the CRF has, and its slopes by z and beta."""
    rng = np.random.default_rng(0)
    z = 0.5 + _NOISE * rng.standard_normal(batch["log_depth"].shape, np.float32)
    z = learning.put({"unary": z})["unary"]
    beta = jnp.ones(dcnf.FEATURES)

    def loss(z, beta, batch):
        outputs = {
            "unary": z,
            "mean": z,  # which only the log looks at
            "edge_weights": gaussian.edge_weights(batch["similarities"], beta),
            "tau": jnp.ones(len(z)),
        }
        return run.task.loss_terms(outputs, batch)["loss"][0].sum()

    slopes = jax.pmap(jax.value_and_grad(loss, (0, 1)), in_axes=(0, None, 0))
    return speed.Candidate(lambda: slopes(z, beta, learning.batch))


def _rows(times):
    """A row for each candidate, and one for what the CRF adds to the step."""
    rounds = zip(times[_WITH], times[_WITHOUT], strict=True)
    times = {**times, "what the CRF adds": [a - b for a, b in rounds]}
    for name, seconds in times.items():
        share = measure.ratio(seconds, times[_WITH])
        yield {
            "what": name,
            "ms": 1e3 * statistics.median(seconds),
            "share of the step": share["median"],
            "range": [share["lowest"], share["highest"]],
            "s": seconds,
        }


if __name__ == "__main__":
    main()
