"""The Gaussian CRF on pixels against SciPy's sparse elimination, in turns.

    python -m benchmarks.crf_grid

One side of a stereo pair is smoothed along its edges: A mu = z, for weights
beta exp(-gamma |I_p - I_q|) and z the image's disparity with noise.  A ratio above 1
means that dpjax is faster.  SciPy factorises and solves once, in float64, with the
ordering of columns that it takes by default and with the one for symmetric matrices;
dpjax does everything that a new image needs in float32, to the tolerance.
"""

import argparse
import functools
import statistics

import jax
import numpy as np
from jax import numpy as jnp

from benchmarks import measure
from dpjax.cli import startup
from dpjax.ops.crf import grid_precision, grid_weights
from dpjax.training import speed

_NOISE = 0.05  # deviation, beside values of 0 to 1
_ORDERINGS = {"scipy": "COLAMD", "scipy symmetric": "MMD_AT_PLUS_A"}


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--sizes", nargs="+", default=["60x80", "120x160", "240x320", "480x640"]
    )
    parser.add_argument("--betas", nargs="+", type=float, default=[1, 10, 100, 1000])
    parser.add_argument("--gammas", nargs="+", type=float, default=[10, 50])
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    measure.warn_if_busy()
    startup.open_backend(1)
    rows = [
        _row(size, beta, gamma, options)
        for size in options.sizes
        for beta in options.betas
        for gamma in options.gammas
    ]
    measure.record("crf_grid", vars(options), rows)


def _row(size, beta, gamma, options):
    height, width = (int(n) for n in size.split("x"))
    image, z = _problem(height, width)
    right, down = jax.device_put(grid_weights.from_images(image, beta, gamma))
    z = jax.device_put(z)

    @jax.jit
    def solve(right, down, z):
        precision = grid_precision.from_weights(right, down)
        return precision.solve_and_count(z, tolerance=options.tolerance)

    ours, iterations = solve(right, down, z)
    calls = {
        name: functools.partial(_solve_there, right, down, z, order)
        for name, order in _ORDERINGS.items()
    }
    theirs = calls["scipy"]()
    calls["dpjax"] = functools.partial(solve, right, down, z)
    times = speed.in_turns(
        {name: speed.Candidate(call) for name, call in calls.items()},
        repeats=options.repeats,
    )
    ratios = {name: measure.ratio(times[name], times["dpjax"]) for name in _ORDERINGS}
    return {
        "size": size,
        "beta": beta,
        "gamma": gamma,
        "iterations": int(iterations),
        **{f"{name} ms": 1e3 * statistics.median(s) for name, s in times.items()},
        **{f"vs {name}": ratio["median"] for name, ratio in ratios.items()},
        "largest difference": float(np.abs(ours - theirs).max()),
        "ranges": [[r["lowest"], r["highest"]] for r in ratios.values()],
        **{f"{name} s": s for name, s in times.items()},
    }


def _problem(height, width):
    """A photograph, float32 in [0, 1], and its disparity in [0, 1] with noise."""
    from skimage import data, transform

    left, _, disparity = data.stereo_motorcycle()
    disparity = np.where(np.isfinite(disparity), disparity, 0.0)
    whole = np.concatenate([left / 255, disparity[..., None] / disparity.max()], -1)
    whole = whole[:480, :640]
    whole = transform.resize(whole, (height, width), anti_aliasing=height < 480)
    noise = np.random.default_rng(0).normal(0, _NOISE, (height, width))
    image, z = whole[..., :3], whole[..., 3] + noise
    return jnp.asarray(image, jnp.float32), z.astype(np.float32)


def _solve_there(right, down, z, order):
    """mu, float64 [h, w], from the matrix on."""
    from scipy import sparse
    from scipy.sparse import linalg

    place = np.arange(z.size).reshape(z.shape)
    first = np.concatenate([place[:, :-1].ravel(), place[:-1].ravel()])
    second = np.concatenate([place[:, 1:].ravel(), place[1:].ravel()])
    each = np.concatenate([np.ravel(right), np.ravel(down)]).astype(np.float64)
    pairs = np.concatenate([first, second]), np.concatenate([second, first])
    beside = sparse.coo_matrix((np.tile(each, 2), pairs), (z.size, z.size)).tocsc()
    own = 1 + np.asarray(beside.sum(1)).ravel()
    matrix = sparse.diags(own).tocsc() - beside
    b = np.ravel(z).astype(np.float64)
    return linalg.spsolve(matrix, b, permc_spec=order).reshape(z.shape)


if __name__ == "__main__":
    main()
