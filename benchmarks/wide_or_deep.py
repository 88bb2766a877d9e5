"""The question of "Wider or Deeper" on data at hand: for equal work, wide or deep?

    python -m dpjax prepare class_folder --from CLASSES --name caltech20
    python -m benchmarks.wide_or_deep

Trains `wide_caltech20` and `deep_caltech20` from scratch with several seeds, which draw
weights, order and augmentation, and scores images that were held back.  Writes a record
and the picture `results/wide_or_deep.png`.
"""

import argparse
import dataclasses
import json
import pathlib
import statistics

import jax

from benchmarks import measure
from dpjax import config
from dpjax.cli import experiments, startup
from dpjax.models import zoo
from dpjax.training import flops, loop

_CONFIGS = ("wide_caltech20", "deep_caltech20")
_CLASSES = 20


def main() -> None:
    """Trains, prints a table, writes record and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="updates; default the configs'")
    parser.add_argument(
        "--workdir", type=pathlib.Path, default=pathlib.Path("runs/wide_or_deep")
    )
    options = parser.parse_args()
    rows = []
    runs = {name: _experiment(name, options.steps) for name in _CONFIGS}
    startup.open_backend(runs[_CONFIGS[0]].data.batch_size)
    # Seed by seed: whatever disturbs the machine meets both.
    for seed in options.seeds:
        for name, run in runs.items():
            folder = options.workdir / f"{name}-{seed}"
            loop.train(dataclasses.replace(run, seed=seed), folder)
            rows.append({"network": name, "seed": seed, **_curves(folder)})
    summary = [_summary(name, runs[name], rows) for name in _CONFIGS]
    settings = {"seeds": options.seeds, "steps": runs[_CONFIGS[0]].total_steps}
    measure.record("wide_or_deep", settings, summary + list(map(_told, rows)))
    path = measure.ROOT / "results" / "wide_or_deep.png"
    _draw(path, rows)
    print(f"written to {path.relative_to(measure.ROOT)}")


def _experiment(name: str, steps: int | None) -> config.Experiment:
    path = measure.ROOT / "configs" / "classification" / f"{name}.py"
    run = experiments.read_config(str(path))
    return dataclasses.replace(run, total_steps=steps or run.total_steps)


def _curves(folder: pathlib.Path) -> dict[str, list[float]]:
    """What a run wrote: its training accuracy and its scores on what was held back."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    found = {name: [] for name in ("step", "accuracy", "scored", "top1", "top5", "nll")}
    for line in map(json.loads, lines):
        if "evaluation" not in line:
            found["step"].append(line["step"])
            found["accuracy"].append(100 * line["accuracy"])
            continue
        ((scores,),) = (c.values() for c in line["evaluation"].values())
        found["scored"].append(line["step"])
        for name in ("top1", "top5", "nll"):
            found[name].append(scores[name])
    return found


def _told(row):
    """A run as a row of the record: its last numbers, and its curves beside them."""
    curves = {f"{name} curve": v for name, v in row.items() if isinstance(v, list)}
    last = {name: row[name][-1] for name in ("top1", "top5", "nll", "accuracy")}
    return {"network": row["network"], "seed": row["seed"], **last, **curves}


def _summary(name, run, rows):
    module = zoo.create_module(run.model.name, **run.model.options)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    image = jax.ShapeDtypeStruct((1, *run.data.crop, 3), "float32")
    last = {
        metric: [row[metric][-1] for row in rows if row["network"] == name]
        for metric in ("top1", "top5", "nll", "accuracy")
    }
    return {
        "network": name,
        "layers": module.backbone.depth,
        "parameters": sum(x.size for x in jax.tree.leaves(shapes["params"])),
        "GMAC": flops.count(module.apply, shapes, image) / 2e9,
        **{
            f"{metric}{suffix}": value
            for metric, values in last.items()
            for suffix, value in (
                ("", statistics.mean(values)),
                (" +-", statistics.stdev(values) if len(values) > 1 else 0.0),
            )
        },
    }


def _draw(path: pathlib.Path, rows: list[dict]) -> None:
    from matplotlib import figure

    page = figure.Figure(figsize=(9, 4), layout="constrained")
    axes = page.subplots(1, 2, sharey=True)
    for name in _CONFIGS:
        runs = [row for row in rows if row["network"] == name]
        for panel, x, y in ((0, "step", "accuracy"), (1, "scored", "top1")):
            values = list(zip(*(run[y] for run in runs), strict=True))
            axes[panel].errorbar(
                runs[0][x],
                [statistics.mean(v) for v in values],
                [statistics.stdev(v) if len(v) > 1 else 0 for v in values],
                capsize=3,
                label=name,
            )
    axes[0].set(title="trained on, augmented", xlabel="update", ylabel="top-1 (%)")
    axes[1].set(title="held back", xlabel="update")
    for axis in axes:
        axis.axhline(100 / _CLASSES, linestyle=":", color="gray", label="chance")
        axis.grid(alpha=0.3)
        axis.legend()
    page.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
