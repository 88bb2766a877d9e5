"""Semi-global matching against OpenCV's: speed in turns, and errors on real pairs.

    python -m benchmarks.stereo

Speed is for one frame after the other, everything from photographs to checked
disparities, on the pair that ships with scikit-image, resized; a ratio above 1 means
that dpjax is faster.  OpenCV computes StereoSGBM in its mode with eight paths, with the
same penalties, box, uniqueness, check and speckles; its costs are those of Birchfield &
Tomasi, and its left border, as wide as the range, is empty.

With DPJAX_DATA, errors on the pairs of Middlebury that are there: percent of the pixels
with a known disparity that are off by more than 1 and 2 pixels, without an answer
counting as wrong; `visible` leaves out what the right view does not show.
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
from dpjax.ops.stereo import checks, filling, matching, medians
from dpjax.training import speed

_OURS = {
    "absolute": matching.ABSOLUTE,
    "absolute, own right view": dataclasses.replace(
        matching.ABSOLUTE, right_view="own"
    ),
    "census": matching.CENSUS,
    "census, own right view": dataclasses.replace(matching.CENSUS, right_view="own"),
}
_STEP = 16  # OpenCV's ranges are multiples of it


def main() -> None:
    """Measures, prints tables and writes records."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="*", default=["240x320", "480x640"])
    parser.add_argument("--disparities", type=int, default=64)
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
    views = jax.device_put((left[None], right[None]))
    calls = {"opencv": functools.partial(_opencv, left, right, options.disparities)}
    for name, settings in _OURS.items():
        settings = dataclasses.replace(settings, disparities=options.disparities)
        calls[name] = functools.partial(matching.match, *views, settings)
    times = speed.in_turns(
        {name: speed.Candidate(call) for name, call in calls.items()},
        repeats=options.repeats,
    )
    ratios = {name: measure.ratio(times["opencv"], times[name]) for name in _OURS}
    return {
        "size": size,
        "disparities": options.disparities,
        "opencv threads": cv2.getNumThreads(),
        **{f"{name} ms": 1e3 * statistics.median(s) for name, s in times.items()},
        **{f"{name} vs opencv": ratio["median"] for name, ratio in ratios.items()},
        "ranges": [[r["lowest"], r["highest"]] for r in ratios.values()],
        **{f"{name} s": s for name, s in times.items()},
    }


def _opencv(left, right, count, settings=matching.ABSOLUTE):
    """Disparities, float32 [h, w]; NaN where there are none."""
    import cv2

    scale = left.shape[-1] * settings.box**2
    matcher = cv2.StereoSGBM.create(
        numDisparities=count,
        blockSize=settings.box,
        P1=scale * settings.p1,
        P2=scale * settings.p2,
        disp12MaxDiff=settings.tolerance,
        uniquenessRatio=100 - settings.uniqueness,
        speckleWindowSize=settings.speckle_size,
        speckleRange=round(settings.speckle_difference),
        mode=cv2.STEREO_SGBM_MODE_HH,
    )
    found = matcher.compute(left, right).astype(np.float32) / 16
    return np.where(found < 0, np.nan, found)


def _errors(names):
    root = os.environ.get("DPJAX_DATA")
    table = Path(root or ".", "stereo", "scales.csv")
    if not table.is_file():
        print("DPJAX_DATA names no folder with stereo/scales.csv: no errors measured.")
        return []
    with open(table) as file:
        pairs = [r for r in csv.DictReader(file) if not names or r["name"] in names]
    return [row for pair in pairs for row in _errors_of(table.parent, pair)]


def _errors_of(folder, pair):
    left, right, truth, known, visible = _read(folder / pair["name"], pair)
    count = _STEP * -(-int(float(pair["max_disparity_px"]) + 2) // _STEP)
    found = {"opencv": _opencv(left, right, count)}
    for name, settings in _OURS.items():
        changed = dataclasses.replace(settings, disparities=count)
        result = matching.match(left[None], right[None], changed)
        masks = result.valid, result.occluded
        near = filling.from_directions(result.disparity, *masks)
        guided = medians.fill(near, result.valid, left[None])
        found[name] = np.asarray(result.disparity[0])
        found[f"{name}, filled from directions"] = np.asarray(near[0])
        found[f"{name}, filled by colour"] = np.asarray(guided[0])
    for name, disparity in found.items():
        missed = ~(np.abs(disparity - truth) <= np.array([1, 2])[:, None, None])
        answered = known & np.isfinite(disparity)
        yield {
            "pair": pair["name"],
            "disparities": count,
            "method": name,
            "visible >1": 100 * missed[0][visible].mean(),
            "visible >2": 100 * missed[1][visible].mean(),
            "all >1": 100 * missed[0][known].mean(),
            "all >2": 100 * missed[1][known].mean(),
            "answered": 100 * answered.sum() / known.sum(),
            "answered >1": 100 * missed[0][answered].mean(),
            "answered >2": 100 * missed[1][answered].mean(),
        }


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
