"""Cost against the area of an image and against the number of devices.

    python -m benchmarks.scaling

Area: one image through the inference engine, which pads it to a bucket or cuts tiles.
Devices: the same batch on 1, 2, 4 and 8.  Processor cores pretend to be eight devices,
so with fewer cores than devices no gain is to be expected, only little loss.
"""

import argparse
import os

# Before JAX starts; an accelerator brings its own devices.
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")

import jax
import numpy as np

from benchmarks import measure
from dpjax import config
from dpjax.cli import startup
from dpjax.inference import windows
from dpjax.models import zoo
from dpjax.training import speed


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="rednet10")
    parser.add_argument(
        "--sides", type=int, nargs="+", default=[64, 128, 256, 512, 1024, 1536]
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    measure.warn_if_busy()
    startup.use_compilation_cache()
    rows = _area_rows(options) + _device_rows(options)
    measure.record("scaling", vars(options), rows)


def _area_rows(options):
    module, variables = zoo.create_model(options.model)
    engine = windows.Engine(module, variables, devices=jax.devices()[:1])
    rng = np.random.default_rng(0)
    images = {
        side: rng.random((side, side, module.channels), np.float32)
        for side in options.sides
    }
    times = speed.in_turns(
        {
            str(side): speed.Candidate(lambda image=image: engine(image))
            for side, image in images.items()
        },
        repeats=options.repeats,
    )
    rows = []
    for side in options.sides:
        seconds = sorted(times[str(side)])
        middle = seconds[len(seconds) // 2]
        rows.append(
            {
                "what": f"predict {side} x {side}, 1 device",
                "ms": 1e3 * middle,
                "ms/megapixel": 1e3 * middle / (side * side / 1e6),
                "s": seconds,
            }
        )
    return rows


def _device_rows(options):
    counts = [n for n in (1, 2, 4, 8) if n <= jax.device_count()]
    candidates = {}
    for count in counts:
        run = measure.experiment(
            config.Model(options.model),
            crop=(options.size, options.size),
            batch_size=options.batch,
        )
        module = zoo.create_module(options.model)
        update = measure.Updates(run, module, jax.devices()[:count])
        candidates[str(count)] = speed.Candidate(update)
    times = speed.in_turns(candidates, repeats=options.repeats)
    rows = []
    for count in counts:
        found = measure.ratio(times[str(counts[0])], times[str(count)])
        seconds = sorted(times[str(count)])
        rows.append(
            {
                "what": f"train batch {options.batch}, {count} devices",
                "ms": 1e3 * seconds[len(seconds) // 2],
                "speed-up": found["median"],
                "s": times[str(count)],
            }
        )
    return rows


if __name__ == "__main__":
    main()
