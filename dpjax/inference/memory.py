"""What a device can take at once, a window or examples, from a network's shapes alone.

The bytes that a network holds at once are found by walking its traced program and
adding up the arrays that are still needed at each step.  Nothing is compiled or run, so
the answer is the same on every machine and known before the first pixel.
"""

import math
import os
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dpjax import errors
from dpjax.ops import tiles

# Part of a device's memory that one call of the network may take.  Of all memory, not
# of what is free just now: the same run must choose the same windows every time.
_DEVICE_SHARE = 0.5
# A host is shared with the user's other programs.
_HOST_SHARE = 0.25
_HOST_BYTES = 4 << 30
# What XLA needs beyond the live arrays: workspace of convolutions, fragmentation.
_OVERHEAD = 1.25


def bytes_per_pixel(
    module: nn.Module,
    variables: Any,
    channels: int,
    *,
    dtype: Any = jnp.float32,
    stride: int = 1,
    side: int = 64,
) -> float:
    """Returns the most bytes that a call of the network holds for each input pixel.

    Args:
        module: the network.
        variables: its parameters and statistics; only shapes are read.
        channels: channels of the image.
        dtype: type of the image.
        stride: sides of the image are multiples of it.
        side: of the image, at least, pixels; a network for one size sees that.

    Returns:
        Bytes for one pixel: input, output and live feature maps, with the workspace of
        the compiler; without the parameters.
    """
    side = tiles.round_up(max(side, module.smallest_side), stride)
    height, width = getattr(module, "image_size", None) or (side, side)
    image = jax.ShapeDtypeStruct((1, height, width, channels), dtype)
    return bytes_of_call(module, variables, image) / (height * width)


def bytes_of_call(module: nn.Module, variables: Any, inputs: Any) -> float:
    """Returns the most bytes that a call of the network holds at once.

    Args:
        module: the network.
        variables: its parameters and statistics; only shapes are read.
        inputs: what it takes, an image or several arrays; only shapes are read.

    Returns:
        Bytes: input, output and live arrays between, with the workspace of the
        compiler; without the parameters.
    """
    variables, inputs = jax.tree.map(
        lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (variables, inputs)
    )
    traced = jax.make_jaxpr(lambda v, x: module.apply(v, x))(variables, inputs)
    given = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves(inputs))
    return _OVERHEAD * (_peak(traced.jaxpr) + given)


def available(device: jax.Device) -> int:
    """Returns the bytes that a call of a network may take on a device, unasked.

    Args:
        device: where the network runs.

    Returns:
        Half of an accelerator's memory; a quarter of a host's, at most 4 GiB.
    """
    stats = device.memory_stats() or {}
    if "bytes_limit" in stats:
        return int(_DEVICE_SHARE * stats["bytes_limit"])
    return min(int(_HOST_SHARE * _host("MemTotal", "SC_PHYS_PAGES")), _HOST_BYTES)


def free_on_host() -> int:
    """Returns the bytes of host memory that programs can still take.

    Returns:
        Bytes; 4 GiB where the system does not tell.
    """
    return _host("MemAvailable", "SC_AVPHYS_PAGES")


def _host(entry: str, pages: str) -> int:
    """Linux tells what it could free, other systems at least what is unused."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            table = dict(line.split(":", 1) for line in lines)
        return int(table[entry].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        pass
    try:
        return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return _HOST_BYTES


def largest_window(
    memory_bytes: int, pixel_bytes: float, *, largest: int, smallest: int, bucket: int
) -> int:
    """Returns the side of the largest square window that fits a memory budget.

    Args:
        memory_bytes: what one window may take.
        pixel_bytes: what one pixel takes, from `bytes_per_pixel`.
        largest: side that is never exceeded, a multiple of `bucket`.
        smallest: side below which the network cannot be tiled.
        bucket: the side is a multiple of it.

    Returns:
        Pixels.

    Raises:
        UserError: not even the smallest window fits.
    """
    side = int(math.sqrt(memory_bytes / pixel_bytes)) // bucket * bucket
    if side < smallest:
        needed = pixel_bytes * smallest**2
        raise errors.UserError(
            f"This network needs windows of at least {smallest} x {smallest} pixels, "
            f"which take {needed / 1e9:.3g} GB; the budget for them is "
            f"{memory_bytes / 1e9:.3g} GB. Allow more memory or take a smaller model."
        )
    return max(min(side, largest), smallest)


def largest_batch(memory_bytes: int, example_bytes: float, *, largest: int) -> int:
    """Returns how many examples fit a memory budget at once.

    Args:
        memory_bytes: what they may take.
        example_bytes: what one takes, from `bytes_of_call`.
        largest: number that is never exceeded.

    Returns:
        From 1 to `largest`.

    Raises:
        UserError: not even one fits.
    """
    if memory_bytes < example_bytes:
        raise errors.UserError(
            "This network sees an image as a whole, which takes about "
            f"{example_bytes / 1e9:.3g} GB for one of this size; the budget for it is "
            f"{memory_bytes / 1e9:.3g} GB. Allow more memory, shrink the image, or "
            "take a smaller model."
        )
    return min(int(memory_bytes / example_bytes), largest)


def _peak(program: Any) -> int:
    """Returns the bytes of all intermediate arrays alive at the worst moment."""
    last_use = {}
    for i, step in enumerate(program.eqns):
        last_use.update({v: i for v in step.invars if not hasattr(v, "val")})
    last_use.update({v: math.inf for v in program.outvars if not hasattr(v, "val")})
    sizes, live, peak = {}, 0, 0
    for i, step in enumerate(program.eqns):
        inner = max((_peak(p) for p in _inner_programs(step)), default=0)
        # A broadcast is read where it is used and never stored.
        if step.primitive.name != "broadcast_in_dim":
            sizes.update({v: v.aval.size * v.aval.dtype.itemsize for v in step.outvars})
        peak = max(peak, live + max(inner, sum(sizes.get(v, 0) for v in step.outvars)))
        live += sum(sizes.get(v, 0) for v in step.outvars)
        done = {v for v in (*step.invars, *step.outvars) if not hasattr(v, "val")}
        live -= sum(sizes.pop(v, 0) for v in done if last_use.get(v, -1) <= i)
    return peak


def _inner_programs(step: Any) -> list[Any]:
    values = [p for v in step.params.values() for p in jax.tree.leaves(v, is_leaf=_has)]
    return [getattr(p, "jaxpr", p) for p in values if _has(p)]


def _has(value: Any) -> bool:
    return hasattr(getattr(value, "jaxpr", value), "eqns")
