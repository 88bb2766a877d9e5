"""One convolution and its two gradients, in XLA and in PyTorch, in turns.

    python -m benchmarks.convolutions

Explains `train_and_infer_vs_pytorch` and `classifiers_vs_pytorch`: nearly all of the
work of a RED-Net is the one of 3 x 3 pixels, most layers of a ResNet are of one.  That
one is measured as a matrix product, too, which dpjax takes on processors.  A ratio
above 1 means that XLA is faster.
"""

import argparse
import os

# Both frameworks share one GPU; JAX would otherwise take most of its memory at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import functools
import itertools
import statistics

import jax
import numpy as np
import torch
from jax import lax

from benchmarks import measure, torch_turns
from dpjax.ops import convolution
from dpjax.training import speed

_NHWC = ("NHWC", "HWIO", "NHWC")


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", type=int, nargs="+", default=[3, 1])
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    measure.warn_if_busy()
    device = torch_turns.open_both(options.batch)
    rows = []
    for side, channels in itertools.product(options.kernels, options.channels):
        for kind, peers in _candidates(side, channels, options, device).items():
            times = speed.in_turns(peers, repeats=options.repeats)
            work = 2 * side**2 * channels**2 * options.batch * options.size**2
            for name in list(times)[:-1]:
                share = measure.ratio(times["torch"], times[name])
                row = {"kernel": side, "channels": channels, "result": kind}
                row |= {"as": name, "vs torch": share["median"]}
                for who, seconds in (("XLA", times[name]), ("torch", times["torch"])):
                    row[f"{who} GFLOP/s"] = work / statistics.median(seconds) / 1e9
                    row[f"{who} s"] = seconds
                rows.append(row)
    measure.record("convolutions", vars(options), rows)


def _candidates(side, channels, options, device):
    rng = np.random.default_rng(0)
    shape = (options.batch, options.size, options.size, channels)
    x, slope = (rng.standard_normal(shape, np.float32) for _ in range(2))
    kernel = rng.standard_normal((side, side, channels, channels), np.float32)

    # As in a train step: the batch is spread over the devices, kernels are everywhere.
    mesh = jax.make_mesh((jax.device_count(),), ("batch",))
    spread, everywhere = (
        jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
        for axes in (("batch",), ())
    )
    ours = jax.device_put((x, kernel, slope), (spread, everywhere, spread))

    def convolve(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, (1, 1), [(side // 2,) * 2] * 2, dimension_numbers=_NHWC
        )

    def multiply(x, kernel):
        return convolution.pointwise(x, kernel, (1, 1))

    forms = {"convolution": convolve, "matrix product": multiply}
    if side > 1:
        del forms["matrix product"]

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
        ones, none, pads = [1, 1], [0, 0], [side // 2] * 2
        return torch.ops.aten.convolution_backward(
            slope, x, kernel, None, ones, pads, ones, False, none, 1, mask
        )

    def of_input(form, x, kernel, slope):
        return jax.vjp(lambda x: form(x, kernel), x)[1](slope)

    def of_kernel(form, x, kernel, slope):
        return jax.vjp(lambda kernel: form(x, kernel), kernel)[1](slope)

    def all_of(function, given, call):
        found = {}
        for name, form in forms.items():
            compiled = jax.jit(functools.partial(function, form))
            call_it = functools.partial(compiled, *given)
            # Processor devices that exchange sums come to a halt when too much is
            # under way.
            if device == "cpu":
                call_it = functools.partial(_wait_for, call_it)
            found[name] = speed.Candidate(call_it)
        return {**found, "torch": speed.Candidate(call, lambda _: wait())}

    there = functools.partial(
        torch.nn.functional.conv2d, *theirs[:2], padding=side // 2
    )
    return {
        "output": all_of(lambda form, x, kernel: form(x, kernel), ours[:2], there),
        "gradient of the input": all_of(
            of_input, ours, lambda: gradient([True, False, False])
        ),
        "gradient of the kernel": all_of(
            of_kernel, ours, lambda: gradient([False, True, False])
        ),
    }


def _wait_for(call):
    return jax.block_until_ready(call())


if __name__ == "__main__":
    main()
