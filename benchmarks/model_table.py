"""Every network of the zoo: parameters, work, memory and speed, in one table.

    python -m benchmarks.model_table
    python -m benchmarks.model_table --models "resnet*" --work forward training

GMAC are multiplications with an addition for one image; the memory is what the largest
moment of a forward pass holds for one image, without the parameters.  The deviation is
what bfloat16 changes in the result, relative to its largest value, for random weights.
"""

import argparse
import itertools

import jax
import numpy as np

from benchmarks import measure
from dpjax.cli import startup
from dpjax.inference import memory
from dpjax.models import zoo
from dpjax.training import flops, speed

# Sides of the images of each network's paper, by pattern; the first that fits.
_SIZES = {
    "inception*": 299,
    "wide_resnet_[cde]": 112,
    "wide_resnet_f": 56,
    "rednet*": 128,
    "*": 224,
}


def main() -> None:
    """Measures, prints the table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["*"], metavar="PATTERN")
    parser.add_argument("--batch", type=int, help="images; default one a device")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--work",
        nargs="*",
        default=["forward"],
        choices=["forward", "training"],
        help="what is timed; nothing after it: only counts",
    )
    parser.add_argument(
        "--deviation", action="store_true", help="of bfloat16; minutes on a processor"
    )
    options = parser.parse_args()
    if options.work:
        measure.warn_if_busy()
    startup.open_backend(options.batch or startup.usable_cpus())
    found = dict.fromkeys(
        itertools.chain.from_iterable(map(zoo.list_models, options.models))
    )
    rows = []
    for name in found:
        rows.append(_row(name, options))
        print(measure.table(rows[-1:]), flush=True)
    measure.record("model_table", vars(options), rows)


def _row(name, options):
    side = next(s for p, s in _SIZES.items() if name in zoo.list_models(p))
    module = zoo.create_module(name, compute_dtype=options.dtype)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    height, width = getattr(module, "image_size", (side, side))
    image = jax.ShapeDtypeStruct((1, height, width, module.channels), "float32")
    pixel_bytes = memory.bytes_per_pixel(
        module, shapes, module.channels, stride=module.stride, side=side
    )
    row = {
        "model": name,
        "size": side if height == width else f"{height}x{width}",
        "parameters": sum(x.size for x in jax.tree.leaves(shapes["params"])),
        "GMAC": flops.count(module.apply, shapes, image) / 2e9,
        "MiB/image": pixel_bytes * height * width / 2**20,
    }
    if options.deviation:
        row["bfloat16 deviation"] = _deviation(name)
    if not options.work:
        return row
    batch = options.batch or jax.device_count()
    speeds = speed.measure_model(
        name,
        size=(height, width),
        batch_size=batch,
        compute_dtype=options.dtype,
        repeats=options.repeats,
        kinds=options.work,
    )
    for kind, found in speeds.items():
        row[f"{kind} images/s"] = found.images_per_s
        row[f"{kind} s"] = list(found.seconds)
    return row


def _deviation(name):
    """Of two images of the smallest size."""
    module = zoo.create_module(name)
    variables = measure.random_variables(module)
    shape = (2, *zoo.example_input(module).shape[1:])
    images = np.random.default_rng(1).random(shape, np.float32)
    exact, rounded = (
        np.asarray(
            jax.jit(zoo.create_module(name, compute_dtype=dtype).apply)(
                variables, images
            )
        )
        for dtype in ("float32", "bfloat16")
    )
    return float(np.abs(rounded - exact).max() / np.abs(exact).max())


if __name__ == "__main__":
    main()
