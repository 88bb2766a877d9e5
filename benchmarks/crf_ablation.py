"""What the continuous CRF adds to a network's depth: the ablation of DCNF-FCSP.

    python -m dpjax prepare nyudv2_depth --from COPY
    python -m benchmarks.crf_ablation

With each seed a network learns the depth of superpixels by itself.  From there it
learns on three times, equally long: without a CRF, under the CRF of the paper, and
under the CRF with a scale of its energy.  Five blocks of the training images are held
out; the last network gets a scale that fits them besides.  Scored are images of rooms
that nobody trained on.  Writes a record and the picture `results/crf_ablation.png`; a
run that was stopped goes on.
"""

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from benchmarks import depth_scores, measure
from dpjax import config
from dpjax.cli import experiments, startup
from dpjax.inference import calibration, trained
from dpjax.training import loop

_CONFIG = "fcsp_tiny_nyudv2"
# Per cent of nyudv2_depth:train.  The numbers of its 686 files leave gaps where rooms
# of other splits lie; these blocks begin and end at gaps, so that they share no room
# with the rest.
_HELD_OUT = ((0, 2), (32, 34), (46, 48), (77, 80), (86, 88))
_LEARNED = ((2, 32), (34, 46), (48, 77), (80, 86), (88, 100))
_TRAINED = {
    "none": "unary only",
    "paper": "CRF (paper)",
    "calibrated": "CRF with scale",
}
_KINDS = {**_TRAINED, "held_out": "calibrated, scale of held-out images"}
_SCORES = (
    "rel_pooled",
    "log10_pooled",
    "rms_pooled",
    "delta1_pooled",
    "delta2_pooled",
    "delta3_pooled",
    "coverage1_pooled",
    "coverage2_pooled",
    "ause_rms_pooled",
    "ause_rel_pooled",
    "edge_accuracy_image",
    "edge_completeness_image",
)


def main() -> None:
    """Trains, prints tables, writes record and picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, help="updates; default the config's")
    parser.add_argument("--more", type=int, default=600, help="updates that follow")
    parser.add_argument("--lr", type=float, default=2e-4, help="of those that follow")
    parser.add_argument(
        "--workdir", type=pathlib.Path, default=pathlib.Path("runs/crf_ablation")
    )
    options = parser.parse_args()
    path = measure.ROOT / "configs" / "depth" / f"{_CONFIG}.py"
    run = experiments.read_config(str(path))
    learned = dataclasses.replace(run.data, train=_parts(_LEARNED))
    run = dataclasses.replace(
        run, data=learned, total_steps=options.steps or run.total_steps
    )
    startup.open_backend(run.data.batch_size)
    rows = []
    for seed in options.seeds:
        alone = options.workdir / f"alone-{seed}"
        loop.train(_with_crf(dataclasses.replace(run, seed=seed), "none"), alone)
        for kind in _TRAINED:
            folder = options.workdir / f"{kind}-{seed}"
            further = _with_crf(_further(run, options, seed, alone), kind)
            loop.train(further, folder)
            loaded = trained.load(folder)
            rows += _scored(further, loaded, {"crf": kind, "seed": seed})
            if kind == "calibrated":
                scaled, factor = _scaled(further, loaded)
                told = {"crf": "held_out", "seed": seed, "factor": factor}
                rows += _scored(further, scaled, told)
            measure.record("crf_ablation", _settings(run, options), rows)
    print(measure.table(_means(rows)))
    path = measure.ROOT / "results" / "crf_ablation.png"
    _draw(path, rows)
    print(f"written to {path.relative_to(measure.ROOT)}")


def _parts(blocks: Sequence[tuple[int, int]]) -> tuple[str, ...]:
    return tuple(f"nyudv2_depth:train[{start}%:{stop}%]" for start, stop in blocks)


def _with_crf(run: config.Experiment, kind: str) -> config.Experiment:
    options = {**run.model.options, "crf": kind}
    has = {"none": (), "paper": ("crf/beta",)}.get(kind, ("crf/beta", "crf/log_tau"))
    factors = {k: v for k, v in run.optim.lr_factors.items() if k in has}
    return dataclasses.replace(
        run,
        model=dataclasses.replace(run.model, options=options),
        optim=dataclasses.replace(run.optim, nonnegative=has[:1], lr_factors=factors),
        init_skip=() if kind == "none" or run.init_from is None else ("crf/*",),
    )


def _further(run, options, seed, alone):
    return dataclasses.replace(
        run,
        seed=seed,
        total_steps=options.more,
        init_from=str(alone),
        optim=dataclasses.replace(run.optim, lr=options.lr, warmup_steps=50),
    )


def _settings(run, options):
    return {
        "seeds": options.seeds,
        "steps": run.total_steps,
        "more": options.more,
        "lr": options.lr,
        "train": run.data.train,
        "held_out": _parts(_HELD_OUT),
    }


def _scaled(run, loaded) -> tuple[trained.Trained, float]:
    """The network with deviations that fit the images held out, and their factor."""
    data = dataclasses.replace(run.data, evaluate=_parts(_HELD_OUT))
    found = calibration.calibrate(loaded, run.task, data, run.evaluation)
    return dataclasses.replace(loaded, variables=found.variables), found.factor


def _scored(run, loaded, told) -> list[dict[str, Any]]:
    """A row for each protocol: scores of weights, and what the CRF learned."""
    learned = {
        name: value.tolist()
        for name, value in loaded.variables["params"].get("crf", {}).items()
    }
    kept = (*told, "protocol", *_SCORES)
    return [
        {**{name: row[name] for name in kept if name in row}, **learned}
        for row in depth_scores.of(run, loaded, told)
    ]


def _means(rows):
    """A row for each protocol and CRF: mean and standard deviation over seeds."""
    found = []
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        for kind in _KINDS:
            same = [r for r in rows if (r["protocol"], r["crf"]) == (protocol, kind)]
            means = {"protocol": protocol, "crf": _KINDS[kind]}
            for name in _SCORES:
                found_mean = depth_scores.mean(same, name)
                if found_mean is not None:
                    means[name] = "{:.4f} +- {:.4f}".format(*found_mean)
            found.append(means)
    return found


def _draw(path: pathlib.Path, rows: list[dict[str, Any]]) -> None:
    from matplotlib import figure

    protocols = list(dict.fromkeys(row["protocol"] for row in rows))
    shown = ("rms_pooled", "rel_pooled", "delta1_pooled")
    page = figure.Figure(figsize=(10, 3.5), layout="constrained")
    for axis, name in zip(page.subplots(1, len(shown)), shown, strict=True):
        for i, protocol in enumerate(protocols):
            for place, kind in enumerate(_KINDS):
                key = protocol, kind
                same = [r for r in rows if (r["protocol"], r["crf"]) == key]
                mean, spread = depth_scores.mean(same, name)
                axis.errorbar(
                    place + 0.15 * i,
                    mean,
                    spread,
                    fmt="os"[i % 2],
                    color=f"C{i}",
                    capsize=3,
                    label=protocol if place == 0 else None,
                )
        axis.set(title=name, xticks=range(len(_KINDS)))
        axis.set_xticklabels(name.replace(" ", "\n") for name in _KINDS.values())
        axis.grid(alpha=0.3)
    axis.legend()
    page.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
