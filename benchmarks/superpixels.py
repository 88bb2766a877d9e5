"""The superpixel front-end, stage by stage, beside scikit-image's SLIC, in turns.

    python -m benchmarks.superpixels

One thread, one photograph, everything that a new image needs; "whole" is what the cache
saves.  Scikit-image's `slic` makes other regions (`dpjax/data/superpixels/slic.py` says
why) and is there for its speed: RGB as it is, no clean-up, some numbers of rounds.
"""

import argparse
import functools
import statistics

import numpy as np

from benchmarks import measure
from dpjax.cli import startup
from dpjax.data.superpixels import (
    back_projection,
    features,
    front_end,
    graph,
    slic,
    targets,
)
from dpjax.training import speed

_ROUNDS = (10, 50)  # their default; about what our rule takes, 45 to 83 on NYU


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-size", default="480x640")
    parser.add_argument("--size", type=int, default=20, help="of superpixels, pixels")
    parser.add_argument("--back-projection", action="store_true", help="as well")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    measure.warn_if_busy()
    startup.open_backend(1)
    image = _photograph(*(int(n) for n in options.image_size.split("x")))
    settings = front_end.Settings(size=options.size)
    count = len(front_end.compute(image, settings)["region_sizes"])
    calls = _stages(image, settings) | _peers(image, settings)
    if options.back_projection:
        calls |= _ways_back(image, settings)
    times = speed.in_turns(
        {name: speed.Candidate(call) for name, call in calls.items()},
        repeats=options.repeats,
    )
    rows = [_row(name, seconds, count) for name, seconds in times.items()]
    measure.record("superpixels", vars(options) | {"superpixels": count}, rows)


def _photograph(height, width):
    import cv2
    from skimage import data

    return cv2.resize(data.coffee(), (width, height), interpolation=cv2.INTER_AREA)


def _stages(image, settings):
    """The front-end and its parts, by name."""
    regions = slic.segment(image, settings.size)
    geometry, edges = graph.geometry(regions), graph.adjacency(regions)
    depth = np.full(regions.shape, 2.0)
    log_depths = functools.partial(
        targets.log_depths, depth, depth > 0, regions, geometry
    )
    similar = functools.partial(
        features.similarities, image, regions, geometry.box_centres, edges
    )
    return {
        "whole": functools.partial(front_end.compute, image, settings),
        "SLIC": functools.partial(slic.segment, image, settings.size),
        "neighbours": functools.partial(graph.adjacency, regions),
        "places": functools.partial(graph.geometry, regions),
        "similarities": similar,
        "- texture": functools.partial(features.texture, image, geometry.box_centres),
        "- histogram": functools.partial(features.histogram, image, regions),
        "- colour": functools.partial(features.mean_luv, image, regions),
        "depths, centroid": functools.partial(log_depths, "centroid"),
        "depths, median": functools.partial(log_depths, "median"),
    }


def _peers(image, settings):
    try:
        from skimage import segmentation
    except ImportError:
        return {}
    seeds = slic.grid(image.shape[:2], settings.size)
    cut = functools.partial(
        segmentation.slic,
        image,
        n_segments=int(np.prod(seeds)),
        compactness=settings.regulariser**0.5,  # the same weight of place and colour
        convert2lab=False,
        enforce_connectivity=False,
    )
    return {
        f"scikit-image, {rounds} rounds": functools.partial(cut, max_num_iter=rounds)
        for rounds in _ROUNDS
    }


def _ways_back(image, settings):
    regions = slic.segment(image, settings.size)
    values = np.linspace(1, 5, regions.max() + 1)
    return {
        f"back to pixels, {mode}": functools.partial(
            back_projection.to_pixels, values, regions, image, mode
        )
        for mode in back_projection.Mode.__args__
    }


def _row(name, seconds, count):
    middle = statistics.median(seconds)
    return {
        "stage": name,
        "ms": 1e3 * middle,
        "images/s": 1 / middle,
        "superpixels/s": count / middle,
        "s": seconds,
    }


if __name__ == "__main__":
    main()
