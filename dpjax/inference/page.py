"""From receipts to one HTML page: scores, every image, pictures of the worst."""

import base64
import io
import pathlib
from collections.abc import Sequence
from typing import Any

from dpjax.inference import report

_JPEG_QUALITY = 92
_MOST_IMAGES = 1000  # lines of a table that a browser still likes


def render(entries: Sequence[report.Entry], template: str) -> str:
    """Returns an HTML page: all scores, then each receipt with images and pictures.

    Args:
        entries: receipts.
        template: a Jinja2 template; it gets `metrics`, `lines` and `sections`.

    Returns:
        One self-contained page.
    """
    import jinja2

    table = report.lines(entries)
    columns = report.metrics(table)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(template).render(
        metrics=[report.title(metric) for metric in columns],
        lines=[
            {
                "weights": line.weights,
                "images": line.images,
                "condition": line.condition,
                "cells": [report.cell(line.values, metric) for metric in columns],
                "protocol": line.protocol,
            }
            for line in table
        ],
        sections=[_section(entry) for entry in entries],
    )


def _section(entry: report.Entry) -> dict[str, Any]:
    receipt = entry.receipt
    header, rows = report.image_table(receipt, _MOST_IMAGES)
    weights, devices = receipt["weights"], receipt["devices"]
    facts = {
        "weights": f"{weights['name']}, sha256 {weights['sha256'][:16]}",
        "model": receipt["model"]["name"],
        "protocol": report.conduct(receipt),
        "self-ensemble": "eight symmetries averaged" if receipt["ensemble"] else "no",
        "data": ", ".join(
            f"{name}: {about['examples']} images, fingerprint {about['fingerprint']}"
            for name, about in receipt["data"].items()
        ),
        "devices": f"{devices['count']} x {devices['kind']}",
        "versions": ", ".join(f"{k} {v}" for k, v in receipt["versions"].items()),
        "duration": f"{receipt['seconds']:.1f} s",
        "written": receipt["written"],
        "receipt": entry.path.as_posix(),
    }
    return {
        "title": f"{weights['name']} · {receipt['protocol']}",
        "facts": facts,
        "header": header,
        "rows": rows,
        "tables": [
            {"title": heading, "header": names, "rows": cells}
            for heading, names, cells in report.task_tables(receipt, _MOST_IMAGES)
        ],
        "panels": [{"name": p.stem, "data": _embedded(p)} for p in entry.panels],
    }


def _embedded(path: pathlib.Path) -> str:
    """A picture as JPEG in base64: a page of PNG files would be ten times larger."""
    import PIL.Image

    buffer = io.BytesIO()
    with PIL.Image.open(path) as picture:
        picture.convert("RGB").save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
