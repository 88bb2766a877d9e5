"""How right the order of depths is that stereo pairs become: records against truth.

    DPJAX_DATA=FOLDER python -m benchmarks.relative_from_stereo

Pairs become records as `prepare stereo_folder` makes them, with its defaults; the pair
that ships with scikit-image, and those of FOLDER/stereo if there is one.  Scored is
WHDR, how often two points that truth has in an order come in the other one, of points
drawn from truth: all of them, and those whose disparity passed the checks.  "rows" is
what knowing nothing but that lower is nearer would get.
"""

import argparse
import csv
import os
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import measure
from dpjax.cli import startup
from dpjax.data.stereo import frames, letterbox, vertical
from dpjax.tasks import ordinal_protocols


def main() -> None:
    """Measures, prints a table and writes a record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", nargs="*", help="of pairs; all without it")
    parser.add_argument("--cost", choices=frames.METHODS, default="census")
    options = parser.parse_args()
    startup.open_backend(1)
    pairs = (p for p in _pairs() if not options.names or p[0].name in options.names)
    settings = frames.Settings(method=frames.METHODS[options.cost])
    rows = [_row(*pair, settings) for pair in pairs]
    used = [row for row in rows if "whdr" in row]
    scores = [name for name in used[0] if name not in ("pair", "from", "to")]
    means = {name: statistics.mean(row[name] for row in used) for name in scores}
    rows.append({"pair": f"mean of {len(used)}", **means})
    # The record of the default has the plain name.
    name = "" if options.cost == "census" else f"_{options.cost}"
    measure.record(f"relative_from_stereo{name}", vars(options), rows)


def _pairs() -> Iterator[tuple[frames.Pair, np.ndarray]]:
    """Each pair with the true disparities of its left view, 0 where unknown."""
    from skimage import data

    left, right, truth = data.stereo_motorcycle()
    known = np.isfinite(truth)
    yield (
        frames.Pair("motorcycle", left, right, "motorcycle"),
        np.where(known, truth, 0),
    )
    table = Path(os.environ.get("DPJAX_DATA", "."), "stereo", "scales.csv")
    if not table.is_file():
        print("DPJAX_DATA names no folder with stereo/scales.csv: one pair measured.")
        return
    with open(table) as file:
        for row in csv.DictReader(file):
            yield _read(table.parent / row["name"], row)


def _read(folder: Path, row: dict[str, str]) -> tuple[frames.Pair, np.ndarray]:
    import cv2

    def read(name):
        return cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED)

    views = (cv2.cvtColor(read(side), cv2.COLOR_BGR2RGB) for side in ("left", "right"))
    truth = read("disp_left") / float(row["disparity_scale"])
    return frames.Pair(row["name"], *views, row["name"]), truth


def _row(
    pair: frames.Pair, truth: np.ndarray, settings: frames.Settings
) -> dict[str, Any]:
    (found,) = frames.process([pair], settings)
    if isinstance(found, frames.Rejection):
        return {"pair": pair.name, "left out": found.reason}
    low, high = found.disparities
    row = {"pair": pair.name, "from": low, "to": high}
    # The record lacks what was cut off its views: bars, and rows that one view has.
    bars = letterbox.find(pair.left).common(letterbox.find(pair.right))
    truth, _ = vertical.aligned(bars.of(truth), bars.of(truth), found.rows)
    known, passed = truth > 0, found.confidence > 0
    lower = np.repeat(np.arange(len(truth))[:, None], truth.shape[1], 1).astype(float)
    return {
        **row,
        "confident": found.confident,
        "whdr": _whdr(-found.disparity, truth, known),
        "whdr confident": _whdr(-found.disparity, truth, known & passed),
        "whdr rows": _whdr(-lower, truth, known),
    }


def _whdr(farther: np.ndarray, truth: np.ndarray, valid: np.ndarray) -> float:
    found = ordinal_protocols.dense(farther, truth, valid, is_disparity=True)
    return ordinal_protocols.own(found)["whdr"]


if __name__ == "__main__":
    main()
