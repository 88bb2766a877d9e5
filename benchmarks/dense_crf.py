"""Dense CRFs against the public library, pydensecrf, in turns, on a photograph.

    python -m benchmarks.dense_crf

Scores of 21 classes follow the colours of the photograph, with noise; both sides get
the same ones and do everything that a new image needs.  A ratio above 1 means that
dpjax is faster.

pydensecrf is not needed by anything else.  Its release does not build any more; so
build it from its repository, outside this environment:

    git clone https://github.com/lucasb-eyer/pydensecrf && cd pydensecrf
    pip install --target ../cython cython setuptools
    PYTHONPATH=../cython python setup.py build_ext --inplace

and name the clone: PYTHONPATH=path/to/pydensecrf python -m benchmarks.dense_crf
"""

import argparse
import functools
import statistics
import sys

import jax
import numpy as np

from benchmarks import measure
from dpjax.cli import startup
from dpjax.ops.meanfield import dense_crf
from dpjax.training import speed

_NOISE = 1.0  # deviation, beside scores of about the same spread
_PEER = "pydensecrf"


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["120x160", "320x480"])
    parser.add_argument("--kernels", nargs="+", default=["deeplab_v2_resnet101"])
    parser.add_argument(
        "--methods", nargs="+", default=["lattice", "exact"], help="and window"
    )
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--exact-up-to", type=int, default=30_000, help="pixels")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    library = _library()
    measure.warn_if_busy()
    startup.open_backend(1)
    rows = [
        row
        for kernels in options.kernels
        for size in options.sizes
        for row in _rows(kernels, size, options, library)
    ]
    measure.record("dense_crf", vars(options), rows)


def _library():
    try:
        from pydensecrf import densecrf
    except ImportError:
        sys.exit(
            "This benchmark compares with pydensecrf, which is not installed.\n"
            + __doc__[__doc__.index("pydensecrf is not needed") :].rstrip()
        )
    return densecrf


def _rows(name, size, options, library):
    """One row for each method, all measured in turns with the library."""
    height, width = (int(n) for n in size.split("x"))
    image, scores = _problem(height, width, options.classes)
    kernels = dense_crf.PUBLISHED[name]
    calls = {_PEER: functools.partial(_infer_there, library, scores, image, kernels)}
    for method in options.methods:
        if method == "exact" and height * width > options.exact_up_to:
            continue
        infer = functools.partial(
            dense_crf.infer,
            kernels=kernels,
            iterations=options.iterations,
            method=method,
        )
        given = jax.device_put((scores[None], image[None]))
        calls[method] = functools.partial(jax.jit(infer), *given)
    calls[_PEER] = functools.partial(calls[_PEER], options.iterations)
    found = {method: np.asarray(call()) for method, call in calls.items()}
    times = speed.in_turns(
        {method: speed.Candidate(call) for method, call in calls.items()},
        repeats=options.repeats,
    )
    theirs = found.pop(_PEER)
    for method, (ours,) in found.items():
        share = measure.ratio(times[_PEER], times[method])
        equal = ours.argmax(-1) == theirs.argmax(-1)
        yield {
            "kernels": name,
            "size": size,
            "method": method,
            "ms": 1e3 * statistics.median(times[method]),
            f"{_PEER} ms": 1e3 * statistics.median(times[_PEER]),
            f"vs {_PEER}": share["median"],
            "range": [share["lowest"], share["highest"]],
            "equal labels": float(equal.mean()),
            "mean |dQ|": float(np.abs(ours - theirs).mean()),
            "s": times[method],
            f"{_PEER} s": times[_PEER],
        }


def _problem(height, width, classes):
    """Part of a photograph, uint8, and scores that its colours suggest."""
    from skimage import data

    rng = np.random.default_rng(0)
    image = np.ascontiguousarray(data.astronaut()[:height, :width])
    if image.shape[:2] != (height, width):
        sys.exit(f"The photograph has 512x512 pixels; {height}x{width} are too many.")
    colours = (image - image.mean((0, 1))) / image.std((0, 1))
    scores = colours @ rng.normal(size=(3, classes))
    scores += _NOISE * rng.normal(size=scores.shape)
    return image, scores.astype(np.float32)


def _infer_there(library, scores, image, kernels, iterations):
    """Q of the public library, [h, w, k]."""
    height, width, classes = scores.shape
    crf = library.DenseCRF2D(width, height, classes)
    crf.setUnaryEnergy(np.ascontiguousarray(-scores.reshape(-1, classes).T))
    crf.addPairwiseGaussian(sxy=kernels.theta_gamma, compat=kernels.spatial_weight)
    crf.addPairwiseBilateral(
        sxy=kernels.theta_alpha,
        srgb=kernels.theta_beta,
        rgbim=image,
        compat=kernels.bilateral_weight,
    )
    q = np.array(crf.inference(iterations))
    return q.reshape(classes, height, width).transpose(1, 2, 0)


if __name__ == "__main__":
    main()
