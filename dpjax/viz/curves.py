"""Learning curves: what `metrics.jsonl` of a run looks like to a person."""

import json
from collections import defaultdict
from pathlib import Path

from dpjax import storage

_LONGEST = 40  # letters of a name in the legend


def write(folder: Path, metric: str) -> None:
    """Draws loss and evaluation of a run into `curves.png` in its folder.

    Args:
        folder: of the run; holds `metrics.jsonl`.
        metric: name of the evaluated number that is drawn, such as "psnr".

    Raises:
        StorageError: the picture cannot be written.
    """
    import io

    from matplotlib import figure

    losses, scores = read(folder, metric)
    # A figure of its own: pyplot would keep state, and want a screen.
    count = 2 if scores else 1  # no empty frame where nothing was evaluated
    sheet = figure.Figure(figsize=(5 * count, 4), layout="constrained")
    frames = sheet.subplots(1, count, squeeze=False)[0]
    frames[0].plot(*zip(*losses, strict=True) if losses else ((), ()))
    frames[0].set(xlabel="step", ylabel="loss")
    if not any(value <= 0 for _, value in losses):  # a likelihood's may be below 0
        frames[0].set_yscale("log")
    if scores:
        for name, points in scores.items():
            frames[1].plot(*zip(*points, strict=True), marker=".", label=_label(name))
        frames[1].set(xlabel="step", ylabel=metric)
        frames[1].legend(fontsize="small")
    for axes in frames:
        axes.grid(alpha=0.3)
        axes.locator_params(axis="x", nbins=6)  # long numbers need room
    file = io.BytesIO()
    sheet.savefig(file, format="png", dpi=100, metadata={"Software": None})
    storage.replace(folder / "curves.png", file.getvalue())


def _label(name: str) -> str:
    """A source that leaves many records out is too long for a legend."""
    return name if len(name) <= _LONGEST else f"{name[:25]} ... {name[-10:]}"


def read(
    folder: Path, metric: str
) -> tuple[list[tuple[int, float]], dict[str, list[tuple[int, float]]]]:
    """Returns the points of the curves.

    Args:
        folder: of the run; holds `metrics.jsonl`.
        metric: name of the evaluated number.

    Returns:
        (step, loss) in order, and for each source and condition (step, number).
    """
    losses, scores = [], defaultdict(list)
    for text in (folder / "metrics.jsonl").read_text().splitlines():
        line = json.loads(text)
        if "loss" in line:
            losses.append((line["step"], float(line["loss"])))
        for source, conditions in line.get("evaluation", {}).items():
            for condition, numbers in conditions.items():
                name = f"{source} {condition}".strip()
                scores[name].append((line["step"], float(numbers[metric])))
    return losses, dict(scores)
