"""Receipts: what was scored, how, with which weights, on what, and every single value.

A receipt is a JSON file.  It carries a checksum of itself, so that a number in a table
can be traced to a file that nobody has touched since.
"""

import dataclasses
import hashlib
import importlib.metadata
import json
import math
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from dpjax import config, errors, storage
from dpjax.inference import evaluate
from dpjax.tasks import task as tasks

FORMAT = 1
_PACKAGES = ("dpjax", "jax", "jaxlib", "flax", "numpy", "scipy", "pillow")
# What may differ between two runs of the same evaluation.
_CIRCUMSTANCES = ("overlap", "versions", "devices", "seconds", "written", "checksum")
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


def build(
    scores: evaluate.Scores,
    *,
    task: tasks.Task,
    model: config.Model,
    weights: Mapping[str, Any],
    file: str | None = None,
    experiment: config.Experiment | None = None,
    overlap: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the receipt of an evaluation.

    Args:
        scores: what was found.
        task: what was judged.
        model: the network.
        weights: "name" and "sha256" of the weights.
        file: name of the weights' file, such as "last.safetensors".
        experiment: how the weights were trained, if known.
        overlap: what `overlap.check` found out about pictures that were trained on.
        changes: fields of the task that are not those of the config, as JSON values.

    Returns:
        Plain JSON values.
    """
    device = jax.devices()[0]
    receipt = {
        "kind": "receipt",
        "format": FORMAT,
        "weights": {
            "name": weights["name"],
            "file": file,
            "sha256": weights["sha256"],
        },
        "task": config.encode(task),
        "model": config.encode(model),
        "config": None if experiment is None else config.encode(experiment),
        "protocol": scores.protocol,
        "ensemble": scores.ensemble,
        **({"changes": dict(changes)} if changes else {}),
        "data": scores.data,
        "overlap": overlap,
        "metric": task.best,
        "metric_is_high": task.best_is_high,
        "headlines": list(task.headlines),
        "example_metric": task.example_metric,
        "example_metric_is_high": task.example_metric_is_high,
        "best": scores.best,
        "summary": scores.summary,
        **_tables(scores),
        "rows": [{k: v for k, v in row.items() if k != "index"} for row in scores.rows],
        "versions": versions(),
        "devices": {
            "kind": device.device_kind,
            "platform": device.platform,
            "count": jax.device_count(),
            "processes": jax.process_count(),
        },
        "seconds": round(scores.seconds, 3),
        "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    receipt = _plain(receipt)
    return {**receipt, "checksum": _checksum(receipt)}


def _tables(scores: evaluate.Scores) -> dict[str, Any]:
    """Those that a task made; most make none, and their receipts do not say so."""
    found = {
        source: {
            condition: {
                name: dataclasses.asdict(table) for name, table in named.items()
            }
            for condition, named in by_condition.items()
        }
        for source, by_condition in scores.tables.items()
        if any(by_condition.values())
    }
    return {"tables": found} if found else {}


def versions() -> dict[str, str]:
    """Returns the versions of the packages whose code decides a score.

    Returns:
        Package name to version; packages that are not installed are left out.
    """
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(path: str | os.PathLike, receipt: Mapping[str, Any]) -> None:
    """Writes a receipt, completely or not at all.

    Args:
        path: a .json file; folders are made, an old receipt is replaced.
        receipt: what `build` returned.

    Raises:
        StorageError: the place cannot be written.
    """
    storage.replace(path, _text(receipt).encode())


def read(path: str | os.PathLike) -> dict[str, Any]:
    """Returns a receipt, after checking that it is whole.

    Args:
        path: a file that `write` left.

    Returns:
        What `build` returned; infinities and NaNs are numbers again.

    Raises:
        DataError: the file is missing, is no receipt, or was changed.
    """
    try:
        receipt = json.loads(pathlib.Path(path).read_text())
    except OSError as error:
        raise errors.DataError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise errors.DataError(f"{path} is not JSON: {error}.") from error
    if not is_receipt(receipt):
        raise errors.DataError(
            f"{path} is no receipt of an evaluation. evaluate.py writes them."
        )
    if receipt["format"] != FORMAT:
        raise errors.DataError(
            f"{path} has receipt format {receipt['format']}, this version of dpjax "
            f"reads {FORMAT}. Evaluate again."
        )
    checksum = receipt.pop("checksum", None)
    if checksum != _checksum(receipt):
        raise errors.DataError(
            f"{path} was changed after it was written: its checksum does not match. "
            "Evaluate again."
        )
    return _numbers({**receipt, "checksum": checksum})


def find(paths: Sequence[str | os.PathLike]) -> list[pathlib.Path]:
    """Returns the receipts among files and below folders.

    Args:
        paths: receipts, or folders to search, such as run folders.

    Returns:
        Files, sorted within each folder, each once.

    Raises:
        UserError: a path does not exist.
        DataError: no receipt anywhere.
    """
    found: dict[pathlib.Path, None] = {}
    for path in map(pathlib.Path, paths):
        if path.is_file():
            found[path] = None
        elif path.is_dir():
            found.update(dict.fromkeys(sorted(filter(_looks, path.rglob("*.json")))))
        else:
            raise errors.UserError(
                f"{path} does not exist. Name a receipt, or a folder that holds some."
            )
    if not found:
        raise errors.DataError(
            f"No receipts in {', '.join(map(str, paths))}. Run evaluate.py first."
        )
    return list(found)


def is_receipt(value: Any) -> bool:
    """Returns whether a JSON value claims to be a receipt.

    Args:
        value: anything that JSON gives.

    Returns:
        True for what `build` returned, of any format.
    """
    return (
        isinstance(value, dict) and value.get("kind") == "receipt" and "format" in value
    )


def content(receipt: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the part of a receipt that does not depend on where and when.

    Args:
        receipt: from `build` or `read`.

    Returns:
        Scores, weights, data and protocol: equal for equal evaluations.
    """
    return {k: v for k, v in receipt.items() if k not in _CIRCUMSTANCES}


def _looks(path: pathlib.Path) -> bool:
    # Folders of runs hold other JSON too, some of it large or half-written.
    try:
        with path.open() as file:
            return '"kind": "receipt"' in file.read(4096)
    except (OSError, ValueError):
        return False


def _text(receipt: Mapping[str, Any]) -> str:
    """JSON that people can read: one line for each row of the table."""
    lines = []
    for key, value in receipt.items():
        text = json.dumps(value, allow_nan=False)
        if key == "rows":
            rows = ",\n    ".join(json.dumps(row, allow_nan=False) for row in value)
            text = f"[\n    {rows}\n  ]"
        elif isinstance(value, dict):
            text = json.dumps(value, indent=2, allow_nan=False).replace("\n", "\n  ")
        lines.append(f"  {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _checksum(receipt: Mapping[str, Any]) -> str:
    text = json.dumps(receipt, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Arrays as lists, and what JSON has no number for as text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    return _NOT_FINITE.get(value, value) if isinstance(value, str) else value
