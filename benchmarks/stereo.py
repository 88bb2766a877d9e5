"""Semi-global matching against OpenCV's: speed in turns, and errors on real pairs.

    python -m benchmarks.stereo

Speed is of everything from photographs to checked disparities, on the pair that ships
with scikit-image, resized, `--frames` of it in a call; OpenCV takes them one after the
other.  A ratio above 1 means that dpjax is faster.  OpenCV computes StereoSGBM in its
mode with eight paths, with the same penalties, box, uniqueness, check and speckles; its
costs are those of Birchfield & Tomasi.

With DPJAX_DATA, errors on the pairs of Middlebury that are there, as
`metrics.disparity` has them; "visible" leaves out what the right view does not show,
and "theirs" are the visible pixels that OpenCV answers.
"""

import argparse
import csv
import dataclasses
import functools
import os
import statistics
from pathlib import Path

import jax
import numpy as np

from benchmarks import measure
from dpjax.cli import startup
from dpjax.inference.stereo import engines
from dpjax.metrics import disparity as scores
from dpjax.ops.stereo import checks, filling, matching
from dpjax.training import speed

_OURS = {
    "absolute": matching.ABSOLUTE,
    "absolute, own right view": dataclasses.replace(
        matching.ABSOLUTE, right_view="own"
    ),
    "census": matching.CENSUS,
    "census, own right view": dataclasses.replace(matching.CENSUS, right_view="own"),
    "census, fixed p2": dataclasses.replace(matching.CENSUS, is_adaptive=False),
}
_BEST = dataclasses.replace(matching.CENSUS, fill="guided")
_STEP = 16  # OpenCV's ranges are multiples of it


def main() -> None:
    """Measures, prints tables and writes records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", default=["240x320", "480x640"])
    parser.add_argument("--disparities", type=int, default=64)
    parser.add_argument("--frames", type=int, default=1, help="of a call")
    parser.add_argument("--names", nargs="*", help="of pairs; all without it")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    measure.warn_if_busy()
    startup.open_backend(1)
    _record("stereo_speed", options, [_speed(s, options) for s in options.sizes])
    _record("stereo_errors", options, _errors(options.names))


def _record(name, options, rows):
    if rows:
        measure.record(name, vars(options), rows)


def _speed(size, options):
    import cv2
    from skimage import data

    height, width = (int(n) for n in size.split("x"))
    left, right = (
        cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA)
        for view in data.stereo_motorcycle()[:2]
    )
    views = jax.device_put(
        tuple(np.repeat(view[None], options.frames, 0) for view in (left, right))
    )
    of = dataclasses.replace(matching.ABSOLUTE, disparities=options.disparities)

    def opencv():
        for _ in range(options.frames):
            found = engines.match(left, right, of, "opencv")
        return found.disparity

    calls = {"opencv": opencv}
    ours = {**_OURS, "census, filled: guided": _BEST}
    for name, settings in ours.items():
        settings = dataclasses.replace(settings, disparities=options.disparities)
        calls[name] = functools.partial(matching.match, *views, settings)
    times = speed.in_turns(
        {name: speed.Candidate(call) for name, call in calls.items()},
        repeats=options.repeats,
    )
    ratios = {name: measure.ratio(times["opencv"], times[name]) for name in ours}
    frame_ms = 1e3 / options.frames
    return {
        "size": size,
        "disparities": options.disparities,
        "frames": options.frames,
        "opencv threads": cv2.getNumThreads(),
        **{
            f"{name}, ms a frame": frame_ms * statistics.median(s)
            for name, s in times.items()
        },
        **{f"{name} vs opencv": ratio["median"] for name, ratio in ratios.items()},
        "ranges": [[r["lowest"], r["highest"]] for r in ratios.values()],
        **{f"{name} s": s for name, s in times.items()},
    }


def _errors(names):
    root = os.environ.get("DPJAX_DATA")
    table = Path(root or ".", "stereo", "scales.csv")
    if not table.is_file():
        print("DPJAX_DATA names no folder with stereo/scales.csv: no errors measured.")
        return []
    with open(table) as file:
        pairs = [r for r in csv.DictReader(file) if not names or r["name"] in names]
    rows = [row for pair in pairs for row in _errors_of(table.parent, pair)]
    print(measure.table(list(_means(rows))))
    return rows


def _errors_of(folder, pair):
    left, right, truth, known, visible = _read(folder / pair["name"], pair)
    count = _STEP * -(-int(float(pair["max_disparity_px"]) + 2) // _STEP)
    settings = {"opencv": matching.ABSOLUTE, **_OURS}
    for fill in ("directions", "guided"):
        for name, of in _OURS.items():
            settings[f"{name}, filled: {fill}"] = dataclasses.replace(of, fill=fill)
    for name, of in settings.items():
        of = dataclasses.replace(of, disparities=count)
        engine = "opencv" if name == "opencv" else "jax"
        found = engines.match(left, right, of, engine).disparity
        rows = {name: found}
        if engine == "opencv":
            theirs = visible & np.isfinite(found)
            rows["opencv, filled: directions"] = _filled(found)
        masks = {"visible": visible, "theirs": theirs, "all": known}
        for method, answers in rows.items():
            row = {"pair": pair["name"], "disparities": count, "method": method}
            for mask, pixels in masks.items():
                of_mask = scores.values(scores.sums(answers, truth, pixels))
                for score in ("bad_1", "bad_2", "answered", "answered_bad_2", "error"):
                    row[f"{mask} {score}"] = float(of_mask[score])
            yield row


def _filled(found):
    """OpenCV's map with holes that lie behind, since it does not tell which do."""
    is_known = np.isfinite(found)[None]
    values = np.nan_to_num(found)[None]
    return np.asarray(filling.from_directions(values, is_known, ~is_known))[0]


def _means(rows):
    """A row for each method: means over the pairs."""
    for name in dict.fromkeys(row["method"] for row in rows):
        same = [row for row in rows if row["method"] == name]
        means = {
            key: statistics.mean(row[key] for row in same)
            for key in same[0]
            if key.startswith(("visible", "theirs", "all"))
        }
        yield {"method": name, **means}


def _read(folder, pair):
    """Views, true disparities, where they are known, and where both views see."""
    import cv2

    def read(name):
        image = cv2.imread(str(folder / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        if name.startswith("disp"):
            return image / float(pair["disparity_scale"])
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    left, right, truth = (read(name) for name in ("left", "right", "disp_left"))
    known = truth > 0
    whole = np.rint(truth).astype(np.int32)[None]
    if (folder / "disp_right.png").is_file():
        other = np.rint(read("disp_right")).astype(np.int32)[None]
    else:
        other = _nearest_to_the_right(whole)
    visible = np.asarray(checks.is_consistent(whole, other))[0] & known
    return left, right, truth, known, visible


def _nearest_to_the_right(whole):
    """The right view's disparities where only the left ones are known: the largest."""
    found = np.zeros_like(whole)
    frames, rows, columns = np.nonzero(whole)
    values = whole[frames, rows, columns]
    inside = columns >= values
    places = tuple(x[inside] for x in (frames, rows, columns - values))
    np.maximum.at(found, places, values[inside])
    return found


if __name__ == "__main__":
    main()
