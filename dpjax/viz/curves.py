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
    sheet = figure.Figure(figsize=(10, 4), layout="constrained")
    left, right = sheet.subplots(1, 2)
    left.plot(*zip(*losses, strict=True) if losses else ((), ()))
    left.set(xlabel="step", ylabel="loss")
    if not any(value <= 0 for _, value in losses):  # a likelihood's may be below 0
        left.set_yscale("log")
    for name, points in scores.items():
        right.plot(*zip(*points, strict=True), marker=".", label=_label(name))
    right.set(xlabel="step", ylabel=metric)
    if scores:
        right.legend(fontsize="small")
    for axes in (left, right):
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
