"""`python -m dpjax bench`: measures a model of the zoo on this machine."""

import argparse
import json
from collections.abc import Sequence


def main(arguments: Sequence[str]) -> int:
    """Prints how fast a model predicts and learns.

    Args:
        arguments: what was typed after `bench`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: unknown model or option, or a batch that does not divide.
    """
    parser = argparse.ArgumentParser(
        "python -m dpjax bench", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("model", help="a name that `python -m dpjax list` shows")
    parser.add_argument(
        "--size", nargs=2, type=int, default=(128, 128), metavar=("H", "W")
    )
    parser.add_argument(
        "--batch", type=int, help="images in a call; default 2 a device"
    )
    parser.add_argument(
        "--dtype", default="float32", help="float32 or bfloat16 activations"
    )
    parser.add_argument("--repeats", type=int, default=5, help="the median is shown")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)

    from dpjax import errors
    from dpjax.cli import startup
    from dpjax.models import zoo

    if min(*options.size, options.repeats, options.batch or 1) < 1:
        raise errors.UserError(
            "bench wants positive numbers, got "
            f"--size {options.size[0]} {options.size[1]} --batch {options.batch} "
            f"--repeats {options.repeats}."
        )
    zoo.create_module(options.model, compute_dtype=options.dtype)  # before a device
    startup.open_backend(options.batch or startup.usable_cpus())

    import jax

    from dpjax.training import speed

    batch_size = options.batch or 2 * jax.device_count()
    found = speed.measure_model(
        options.model,
        size=tuple(options.size),
        batch_size=batch_size,
        compute_dtype=options.dtype,
        repeats=options.repeats,
    )
    rows = {
        kind: {
            "images_per_s": result.images_per_s,
            "ms_per_call": 1e3 * result.median_s,
            "gflop_per_s": result.flops * result.images_per_s / batch_size / 1e9,
        }
        for kind, result in found.items()
    }
    device = f"{jax.device_count()} x {jax.devices()[0].device_kind}"
    if options.json:
        settings = {**vars(options), "batch": batch_size, "device": device}
        del settings["json"]
        print(json.dumps({**settings, **rows}, indent=2))
        return 0
    print(
        f"{options.model}, {batch_size} images of {options.size[0]} x "
        f"{options.size[1]} in a call, {options.dtype}, {device}"
    )
    print(f"{'':10}{'images/s':>12}{'ms/call':>12}{'GFLOP/s':>12}")
    for kind, row in rows.items():
        print(f"{kind:10}" + "".join(f"{value:12.4g}" for value in row.values()))
    return 0
