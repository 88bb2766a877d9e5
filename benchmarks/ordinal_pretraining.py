"""What knowing the order of depths is worth: metric depth from few labelled images.

    python -m dpjax prepare nyudv2_depth --from COPY
    python -m dpjax prepare stereo_folder --from PAIRS --name pairs
    python -m benchmarks.ordinal_pretraining

With each seed `lwrefinenet-camvid`, which learned streets here from scratch, learns
relative depth, first of stereo pairs as the project matches them, then of the training
rooms, whose metres it is not shown: by ranking points, or, as the control, by the loss
that forgets scale and shift.  From both, from those weights alone, and from scratch,
the same network learns metric depth of 10, 30, 100 and all rooms, as bins, with equal
updates.  Which rooms is drawn by the seed.  Scored are rooms that nobody trained on.
Writes a record and the picture `results/ordinal_pretraining.png`.  A run that was
stopped goes on; rows of other seeds, starts and numbers of rooms stay in the record.

How fast layers learn that have learned before was chosen for each start by `--rates`,
on training rooms that are not among the labelled ones, with the first seed.
"""

import argparse
import dataclasses
import itertools
import math
import pathlib
from typing import Any

import jax
import numpy as np

from benchmarks import depth_scores, measure
from dpjax import config
from dpjax.cli import experiments, startup
from dpjax.data import sources
from dpjax.inference import trained
from dpjax.training import loop

_NAME = "ordinal_pretraining"
_ROOMS = "nyudv2_depth:train"
_SIZE = (96, 128)
_BATCH = 16
_LR = 1e-3
# What the learning rate of layers is multiplied by that have learned before.
_RATES = {"scratch": 1.0, "streets": 1.0, "affine_invariant": 1.0, "ranking": 0.1}
_CHOSEN_ON = 580  # training rooms from here on, but for labelled ones
_HEAD = "decoder/head/*"
_STREETS = "lwrefinenet-camvid"
_LOSSES = {  # of stereo, whose disparities have no ratios, and of rooms
    "ranking": ("rdis", "redweb"),
    "affine_invariant": ("affine_invariant", "affine_invariant"),
}
_KINDS = {
    "scratch": "from scratch",
    "streets": "from weights of streets",
    "affine_invariant": "after scale-and-shift-invariant pre-training",
    "ranking": "after ranking",
}
_SHOWN = ("rel_pooled", "rms_pooled", "delta1_pooled", "silog_image")


def main() -> None:
    """Trains, prints tables, writes record and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, nargs="+", default=[10, 30, 100, 0])
    parser.add_argument("--kinds", nargs="+", choices=_KINDS, default=list(_KINDS))
    parser.add_argument("--stereo-steps", type=int, default=100)
    parser.add_argument("--order-steps", type=int, default=800)
    parser.add_argument("--metric-steps", type=int, default=150)
    parser.add_argument("--stereo", default="stereo_folder/pairs:train")
    parser.add_argument("--rates", type=float, nargs="*", help="try these instead")
    parser.add_argument(
        "--workdir", type=pathlib.Path, default=pathlib.Path("runs") / _NAME
    )
    options = parser.parse_args()
    startup.open_backend(_BATCH)
    total = len(sources.open_sources([_ROOMS], role="train"))
    options.images = [count or total for count in options.images]
    if options.rates:
        _try(options, total)
        return
    settings = _settings(options)
    rows = _recorded(settings)
    for seed in options.seeds:
        orders = {kind: {} for kind in options.kinds}
        for kind in filter(_LOSSES.get, options.kinds):
            orders[kind] = _pretrained(options, kind, seed)
        for count, kind in itertools.product(options.images, options.kinds):
            drawn = _drawn(seed, count, total)
            run, loaded = _metric(options, kind, seed, drawn, _RATES[kind])
            told = {"start": kind, "labelled": count, "seed": seed, **orders[kind]}
            # Another process may have written since.
            rows = _recorded(settings, depth_scores.of(run, loaded, told))
            measure.write(_NAME, settings, rows)
    print(measure.table(_means(rows)))
    path = measure.ROOT / "results" / f"{_NAME}.png"
    _draw(path, rows)
    print(f"written to {path.relative_to(measure.ROOT)}")


def _try(options, total) -> None:
    """Trains with each rate, and scores rooms whose metres are not learned from."""
    seed, rows = options.seeds[0], []
    kinds = [kind for kind in options.kinds if kind != "scratch"]
    for kind in filter(_LOSSES.get, kinds):
        _pretrained(options, kind, seed)
    for rate, count, kind in itertools.product(options.rates, options.images, kinds):
        drawn = _drawn(seed, count, total)
        run, loaded = _metric(options, kind, seed, drawn, rate)
        data = dataclasses.replace(run.data, evaluate=(_others(drawn),))
        told = {"start": kind, "labelled": count, "rate": rate}
        rows += depth_scores.of(dataclasses.replace(run, data=data), loaded, told)
        tried = {"rates": options.rates, "seed": seed, **_settings(options)}
        measure.record(f"{_NAME}_rates", tried, rows)


def _settings(options) -> dict[str, Any]:
    """What all rows have in common."""
    names = ("stereo", "stereo_steps", "order_steps", "metric_steps")
    told = {name: getattr(options, name) for name in names}
    return {**told, "size": [*_SIZE], "batch": _BATCH, "lr": _LR, "factors": _RATES}


def _recorded(settings, new=()) -> list[dict[str, Any]]:
    """The rows of the record, with new ones."""
    rows = {_key(row): row for row in measure.recorded(_NAME, settings=settings)}
    rows |= {_key(row): row for row in new}
    return [rows[key] for key in sorted(rows)]


def _key(row):
    place = list(_KINDS).index(row["start"])
    return row["seed"], row["labelled"], place, row["protocol"]


def _drawn(seed: int, count: int, total: int) -> list[int]:
    """The labelled rooms, nested by count.

    Neighbours show the same room: they are as far apart as drawing makes them.
    """
    return sorted(np.random.default_rng(seed).permutation(total)[:count].tolist())


def _one_by_one(places: list[int]) -> tuple[str, ...]:
    return tuple(f"{_ROOMS}[{n}:{n + 1}]" for n in places)


def _others(drawn: list[int]) -> str:
    """The last training rooms without those that are labelled."""
    names = sources.open_sources([_ROOMS], role="train").ids()
    without = ",".join(names[n] for n in drawn if n >= _CHOSEN_ON)
    return f"{_ROOMS}[{_CHOSEN_ON}:]" + (f"-{without}" if without else "")


def _config(name: str, seed: int, steps: int) -> config.Experiment:
    """A config of `configs/depth`, of smaller images and `steps` updates."""
    folder = measure.ROOT / "configs" / "depth"
    run, other = (
        experiments.read_config(str(folder / f"{file}.py"))
        for file in (f"redweb_small_{name}_nyudv2", "refinenet_lw_nyudv2")
    )
    classes = {"ranking": 1, "bins": 50}[name]
    return dataclasses.replace(
        run,
        task=dataclasses.replace(run.task, size=_SIZE, upsampling="half_pixel"),
        model=dataclasses.replace(
            other.model,
            options={**other.model.options, "num_classes": classes},
            compute_dtype="float32",
        ),
        data=dataclasses.replace(run.data, crop=_SIZE, batch_size=_BATCH),
        # A mean over 500 updates would be of the start.
        optim=dataclasses.replace(
            run.optim, lr=_LR, warmup_steps=math.ceil(steps / 10), ema_decay=0.98
        ),
        evaluation=dataclasses.replace(run.evaluation, every_steps=0),
        total_steps=steps,
        seed=seed,
    )


def _pretrained(options, kind, seed) -> dict[str, Any]:
    """Trains relative depth twice, and returns how often points are in wrong order."""
    of_stereo, of_rooms = _LOSSES[kind]
    stereo = options.workdir / f"stereo-{kind}-{seed}"
    run = _config("ranking", seed, options.stereo_steps)
    task = dataclasses.replace(run.task, loss=of_stereo, target="disparity")
    # The last pair is for the loop's score, which nothing is chosen by.
    data = dataclasses.replace(
        run.data,
        train=(f"{options.stereo}[:-1]",),
        evaluate=(f"{options.stereo}[-1:]",),
    )
    first = dataclasses.replace(run, task=task, data=data, **_starting(_STREETS))
    loop.train(first, stereo)
    run = _config("ranking", seed, options.order_steps)
    run = dataclasses.replace(
        run,
        task=dataclasses.replace(run.task, loss=of_rooms),
        init_from=str(stereo),
    )
    folder = options.workdir / f"order-{kind}-{seed}"
    ended = loop.train(run, folder)
    return {"order_whdr": ended.score}


def _metric(options, kind, seed, drawn, rate):
    """Trains metric depth of the drawn rooms, and returns the run and its weights."""
    run = _config("bins", seed, options.metric_steps)
    total = len(sources.open_sources([_ROOMS], role="train"))
    rooms = _one_by_one(drawn) if len(drawn) < total else (_ROOMS,)
    start = {}
    if kind != "scratch":
        folder = options.workdir / f"order-{kind}-{seed}"
        start = _starting(_STREETS if kind == "streets" else str(folder))
        factors = {_HEAD: 1.0, "*": rate}
        start["optim"] = dataclasses.replace(run.optim, lr_factors=factors)
    run = dataclasses.replace(
        run,
        # Edges are not what this asks about, and take as long as all the rest.
        task=dataclasses.replace(run.task, has_edges=False),
        data=dataclasses.replace(run.data, train=rooms),
        **start,
    )
    folder = options.workdir / f"{kind}-{len(drawn)}-{seed}-{rate}"
    # A process may map so much memory, and the programs of forty runs are more.
    jax.clear_caches()
    # All images are scored afterwards, under every protocol.
    limited = dataclasses.replace(run.evaluation, limit=1)
    loop.train(dataclasses.replace(run, evaluation=limited), folder)
    return run, trained.load(folder)


def _starting(weights: str) -> dict[str, Any]:
    return {"init_from": weights, "init_skip": (_HEAD,)}


def _means(rows):
    """A row for each protocol, number of images and start, over seeds."""
    found = []
    for protocol, count, kind in _groups(rows):
        same = _same(rows, protocol, count, kind)
        means = {"protocol": protocol, "labelled": count, "start": kind}
        for name in _SHOWN:
            value, spread = depth_scores.mean(same, name)
            means[name] = f"{value:.4f} +- {spread:.4f}"
        found.append(means)
    return found


def _groups(rows):
    keys = ((r["protocol"], r["labelled"], r["start"]) for r in rows)
    return list(dict.fromkeys(keys))


def _same(rows, protocol, count, kind):
    names = ("protocol", "labelled", "start")
    return [r for r in rows if tuple(r[n] for n in names) == (protocol, count, kind)]


def _draw(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    from matplotlib import figure

    protocol = rows[0]["protocol"]
    counts = sorted({row["labelled"] for row in rows})
    page = figure.Figure(figsize=(14, 3.6), layout="constrained")
    for axis, name in zip(page.subplots(1, len(_SHOWN)), _SHOWN, strict=True):
        for place, (kind, label) in enumerate(_KINDS.items()):
            same = [(n, _same(rows, protocol, n, kind)) for n in counts]
            found = [(n, *depth_scores.mean(r, name)) for n, r in same if r]
            if found:
                x, y, spread = np.array(found).T
                axis.errorbar(
                    x * 1.04**place,  # side by side
                    y,
                    spread,
                    fmt="o-",
                    capsize=3,
                    label=label,
                )
        axis.set(title=f"{name}, {protocol}", xlabel="labelled images", xscale="log")
        axis.set_xticks(counts, [str(n) for n in counts])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    page.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
