"""One 3 x 3 convolution and its two gradients, in XLA and in PyTorch, in turns.

    python -m benchmarks.convolutions

Explains `train_and_infer_vs_pytorch`: nearly all of the work of a RED-Net is this
layer.  A ratio above 1 means that XLA is faster.
"""

import argparse
import os

# Both frameworks share one GPU; JAX would otherwise take most of its memory at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import functools
import statistics

import jax
import numpy as np
import torch
from jax import lax

from benchmarks import measure, torch_turns
from dpjax.training import speed

_NHWC = ("NHWC", "HWIO", "NHWC")


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    measure.warn_if_busy()
    device = torch_turns.open_both(options.batch)
    rows = []
    for channels in options.channels:
        for kind, peers in _candidates(channels, options, device).items():
            times = speed.in_turns(peers, repeats=options.repeats)
            work = 2 * 9 * channels**2 * options.batch * options.size**2
            share = measure.ratio(times["torch"], times["XLA"])
            rows.append({"channels": channels, "result": kind})
            for name, seconds in times.items():
                rows[-1][f"{name} GFLOP/s"] = work / statistics.median(seconds) / 1e9
                rows[-1][f"{name} s"] = seconds
            rows[-1] |= {"vs torch": share["median"]}
    measure.record("convolutions", vars(options), rows)


def _candidates(channels, options, device):
    rng = np.random.default_rng(0)
    shape = (options.batch, options.size, options.size, channels)
    x, slope = (rng.standard_normal(shape, np.float32) for _ in range(2))
    kernel = rng.standard_normal((3, 3, channels, channels), np.float32)

    # As in a train step: the batch is spread over the devices, kernels are everywhere.
    mesh = jax.make_mesh((jax.device_count(),), ("batch",))
    spread, everywhere = (
        jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
        for axes in (("batch",), ())
    )
    ours = jax.device_put((x, kernel, slope), (spread, everywhere, spread))

    def convolve(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (1, 1), [(1, 1)] * 2, dimension_numbers=_NHWC
        )

    def of_input(x, kernel, slope):
        return jax.vjp(lambda x: convolve(x, kernel), x)[1](slope)

    def of_kernel(x, kernel, slope):
        return jax.vjp(lambda kernel: convolve(x, kernel), kernel)[1](slope)

    last = torch.channels_last
    theirs = [
        torch.from_numpy(array.transpose(axes).copy()).to(device, memory_format=last)
        for array, axes in (
            (x, (0, 3, 1, 2)),
            (kernel, (3, 2, 0, 1)),
            (slope, (0, 3, 1, 2)),
        )
    ]
    wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)

    def gradient(mask):
        x, kernel, slope = theirs
        ones, none = [1, 1], [0, 0]
        return torch.ops.aten.convolution_backward(
            slope, x, kernel, None, ones, ones, ones, False, none, 1, mask
        )

    def pair(function, given, call):
        compiled = jax.jit(function)
        return {
            "XLA": speed.Candidate(lambda: compiled(*given)),
            "torch": speed.Candidate(call, lambda _: wait()),
        }

    convolve_there = functools.partial(
        torch.nn.functional.conv2d, *theirs[:2], padding=1
    )
    return {
        "output": pair(convolve, ours[:2], convolve_there),
        "gradient of the input": pair(
            of_input, ours, lambda: gradient([True, False, False])
        ),
        "gradient of the kernel": pair(
            of_kernel, ours, lambda: gradient([False, True, False])
        ),
    }


if __name__ == "__main__":
    main()
