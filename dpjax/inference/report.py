"""From receipts to tables: for the README, for the terminal.

Numbers in documents come from here only, so each can be traced to a receipt.
"""

import collections
import dataclasses
import itertools
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from dpjax import errors
from dpjax.inference import receipts

_TITLES = {
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "psnr_b": "PSNR-B (dB)",
    "top1": "top-1 (%)",
    "top5": "top-5 (%)",
    "nll": "NLL",
    "ece15": "ECE, 15 bins (%)",
    "miou": "mIoU (%)",
    "pixel_accuracy": "pixel accuracy (%)",
    "mean_accuracy": "mean accuracy (%)",
    "fwiou": "frequency-weighted IoU (%)",
    "boundary_f": "boundary F (%)",
    "iou": "IoU (%)",
    "accuracy": "accuracy (%)",
    "rel_image": "rel",
    "rms_image": "rms (m)",
    "delta1_image": "delta1",
    "images": "scored",
}
_JOINT = " / "
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A receipt and where it lies.

    Attributes:
        path: of the receipt.
        receipt: its content.
    """

    path: pathlib.Path
    receipt: Mapping[str, Any]

    @property
    def panels(self) -> list[pathlib.Path]:
        """Pictures that were written beside the receipt, in a folder of its name."""
        return sorted(self.path.with_suffix("").glob("*.png"))


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the table: weights on a source under a condition.

    Attributes:
        weights: name of the weights.
        source: what was evaluated on.
        condition: how the input was degraded; empty if there is but one.
        protocol: how the score was computed, see `conduct`.
        values: what the task reports, by name; its headlines, if it has any.
        examples: how many images.
        path: of the receipt.
        may_overlap: the images were scored although the weights may have been trained
            on some of them, because somebody allowed it by name.
    """

    weights: str
    source: str
    condition: str
    protocol: str
    values: Mapping[str, float]
    examples: int
    path: pathlib.Path
    may_overlap: bool = False

    @property
    def images(self) -> str:
        """What was scored, how many of them, and whether training may have seen any."""
        note = ", may be trained on" if self.may_overlap else ""
        return f"{self.source} ({self.examples}{note})"


def load(paths: Sequence[str | os.PathLike]) -> list[Entry]:
    """Returns the receipts among files and below folders.

    Args:
        paths: receipts, or folders to search.

    Returns:
        One entry for each receipt.

    Raises:
        UserError: a path does not exist.
        DataError: no receipt, or one that is damaged.
    """
    return [Entry(path, receipts.read(path)) for path in receipts.find(paths)]


def lines(entries: Sequence[Entry]) -> list[Line]:
    """Returns the lines of the table, of the newest receipt wherever several agree.

    Args:
        entries: receipts.

    Returns:
        Lines by weights, protocol, source and condition, in the order of the receipts.
    """
    found: dict[tuple[str, ...], Line] = {}
    for entry in sorted(entries, key=lambda e: e.receipt["written"]):
        receipt = entry.receipt
        protocol = conduct(receipt)
        headlines = receipt.get("headlines")  # older receipts do not say
        for source, by_condition in receipt["summary"].items():
            for condition, values in by_condition.items():
                name = receipt["weights"]["name"]
                if receipt["weights"].get("file") == "best.safetensors":
                    name += " (best)"  # of several, by this very score
                found[name, protocol, source, condition] = Line(
                    weights=name,
                    source=source,
                    condition=condition,
                    protocol=protocol,
                    values={
                        metric: value
                        for metric, value in values.items()
                        if not headlines or metric in headlines
                    },
                    examples=receipt["data"][source]["examples"],
                    path=entry.path,
                    may_overlap=_is_allowed(source, receipt.get("overlap")),
                )
    ranks: dict[str, int] = {}
    for key in found:
        ranks.setdefault(key[2], len(ranks))
    return sorted(
        found.values(), key=lambda x: (x.weights, x.protocol, ranks[x.source])
    )


def conduct(receipt: Mapping[str, Any]) -> str:
    """Returns how a score was computed, such as "nyu_eigen, crf truncated".

    Args:
        receipt: of an evaluation.

    Returns:
        The protocol, whether symmetries were averaged, and what of the task was not as
        the config has it.
    """
    words = [receipt["protocol"], *(["ensemble"] if receipt["ensemble"] else [])]
    for name, value in receipt.get("changes", {}).items():
        values = value if isinstance(value, list) else [value]
        words.append(" ".join((name, *map(str, values))))
    return ", ".join(words)


def _is_allowed(source: str, overlap: Mapping[str, Any] | None) -> bool:
    """Whether a source was named in `allow_overlap`, with or without its split."""
    allowed = overlap["allowed"] if overlap else ()
    return source in allowed or source.partition(":")[0] in allowed


def markdown(entries: Sequence[Entry], *, relative_to: pathlib.Path) -> str:
    """Returns the results as Markdown, a table for each kind of task.

    The conditions of weights on a source share a line.  A metric that was also taken of
    the network's input ("psnr" and "psnr_input") shows both: before → after.

    Args:
        entries: receipts.
        relative_to: folder of the document, for links to the receipts.

    Returns:
        Tables of one or more lines, without a newline at the end.
    """
    kinds = dict.fromkeys(entry.receipt["metric"] for entry in entries)
    return "\n\n".join(
        _markdown([e for e in entries if e.receipt["metric"] == kind], relative_to)
        for kind in kinds
    )


def _markdown(entries: Sequence[Entry], relative_to: pathlib.Path) -> str:
    table = lines(entries)
    columns = metrics(table)
    header = ["weights", "images", "conditions", *map(title, columns), "protocol"]
    rows = [header, ["---"] * 3 + ["---:"] * len(columns) + ["---"]]
    together = itertools.groupby(
        table, key=lambda line: (line.weights, line.images, line.protocol, line.path)
    )
    for (weights, images, protocol, path), group in together:
        conditions = list(group)
        link = os.path.relpath(path, relative_to).replace(os.sep, "/")
        rows.append(
            [
                weights,
                images,
                _JOINT.join(line.condition for line in conditions),
                *(_cells([line.values for line in conditions], m) for m in columns),
                f"[{protocol}]({link})",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def insert(document: str, table: str) -> str:
    """Returns a document with the results table between its markers.

    Args:
        document: Markdown that holds the two markers, each on a line of its own.
        table: what `markdown` returned.

    Returns:
        The document; all else is left as it was.

    Raises:
        UserError: a marker is missing or doubled, or they are the wrong way round.
    """
    if document.count(BEGIN) != 1 or document.count(END) != 1:
        raise errors.UserError(
            f"The document must hold {BEGIN} and {END} once each; got "
            f"{document.count(BEGIN)} and {document.count(END)}."
        )
    before, rest = document.split(BEGIN)
    if END not in rest:
        raise errors.UserError(f"{BEGIN} must stand before {END}.")
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns columns aligned for a terminal, the first to the left.

    Args:
        header: names of the columns.
        rows: cells.

    Returns:
        Lines of text.
    """
    every = [list(header), *map(list, rows)]
    widths = [max(len(row[i]) for row in every) for i in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    )


def image_table(
    receipt: Mapping[str, Any], most: int | None = None
) -> tuple[list[str], list[list[str]]]:
    """Returns the per-image scores of a receipt: an image a line, a condition a column.

    Args:
        receipt: from `receipts.build` or `receipts.read`.
        most: where there are more images, only so many of the poorest are kept.

    Returns:
        Header and cells; the metric is the one by which the task judges a set, or, if
        images do not have it, the one by which it judges an image.
    """
    metric, is_high = receipt["metric"], receipt["metric_is_high"]
    if not any(metric in row for row in receipt["rows"]):
        metric = receipt.get("example_metric", metric)
        is_high = receipt.get("example_metric_is_high", is_high)
    conditions = list(dict.fromkeys(row["condition"] for row in receipt["rows"]))
    by_image: dict[tuple[str, str], dict[str, float]] = collections.defaultdict(dict)
    for row in receipt["rows"]:
        value = row.get(metric, math.nan)
        by_image[row["source"], row["id"]][row["condition"]] = value
    if most is not None and len(by_image) > most:
        sign = 1 if is_high else -1
        means = {k: sum(cells.values()) / len(cells) for k, cells in by_image.items()}
        # A picture without a labelled pixel has no score, which is not a poor one.
        order = sorted(means, key=lambda k: (math.isnan(means[k]), sign * means[k]))
        by_image = {k: by_image[k] for k in order[:most]}
    header = ["image", *(f"{c} {metric}".strip() for c in conditions)]
    return header, [
        [
            f"{source}/{name}",
            *(format_value(cells[c]) if c in cells else "" for c in conditions),
        ]
        for (source, name), cells in by_image.items()
    ]


def task_tables(
    receipt: Mapping[str, Any], most: int | None = None
) -> list[tuple[str, list[str], list[list[str]]]]:
    """Returns the tables that a task made of its own, such as one of each class.

    Args:
        receipt: from `receipts.build` or `receipts.read`.
        most: where a table has more lines, its first ones are kept.

    Returns:
        For each table a title, its header, and cells.
    """
    found = []
    for source, by_condition in receipt.get("tables", {}).items():
        for condition, named in by_condition.items():
            for name, table in named.items():
                lines, said = (
                    table["lines"],
                    " ".join(filter(None, (source, condition))),
                )
                heading = f"{name} of {said}"
                if most is not None and len(lines) > most:
                    heading += f", the first {most} of {len(lines)}"
                rows = [[_text(value) for value in line] for line in lines[:most]]
                found.append((heading, [title(h) for h in table["header"]], rows))
    return found


def _text(value: str | float) -> str:
    return format_value(value) if isinstance(value, float) else str(value)


def summary_table(receipt: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Returns the scores of a receipt: a source and condition a line.

    Args:
        receipt: from `receipts.build` or `receipts.read`.

    Returns:
        Header and cells.
    """
    table = lines([Entry(pathlib.Path(), receipt)])
    columns = metrics(table)
    return ["images", "condition", *map(title, columns)], [
        [
            line.images,
            line.condition,
            *(cell(line.values, metric) for metric in columns),
        ]
        for line in table
    ]


def format_value(value: float) -> str:
    """Returns a score with the digits that its size deserves.

    Args:
        value: a decibel, a ratio, an error.

    Returns:
        Two decimals from 10 upwards, else four.
    """
    if not math.isfinite(value):
        return str(value)
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"


def metrics(table: Sequence[Line]) -> list[str]:
    """Returns the columns of a table: what was measured of the output.

    Args:
        table: what `lines` returned.

    Returns:
        Names; "x_input" is left out where "x" is there, both share a cell.
    """
    names = dict.fromkeys(name for line in table for name in line.values)
    return [
        name
        for name in names
        if not (name.endswith("_input") and name.removesuffix("_input") in names)
    ]


def title(metric: str) -> str:
    """Returns the heading of a column.

    Args:
        metric: a name of `metrics`.

    Returns:
        How people write it, with its unit.
    """
    return _TITLES.get(metric, metric)


def cell(values: Mapping[str, float], metric: str) -> str:
    """Returns one number of the table, with that of the network's input before it.

    Args:
        values: of a `Line`.
        metric: a name of `metrics`.

    Returns:
        Such as "14.15 → 29.30"; empty where nothing was measured.
    """
    return _cells([values], metric)


def _cells(conditions: Sequence[Mapping[str, float]], metric: str) -> str:
    """A number of each condition, with those of the network's input before them."""
    both = (
        _JOINT.join(format_value(values[name]) for values in conditions)
        for name in (f"{metric}_input", metric)
        if all(name in values for values in conditions)
    )
    return " → ".join(both)
