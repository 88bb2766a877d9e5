"""Every network by name: how it is listed, checked and built.

The tables are here for restoration, else in `backbones`, `segmenters`,
`depth_networks`, `disparity_networks` and `superpixel_networks`.

What runs a network asks four things of its module: `channels` of the image; `stride`,
of which the sides of an image are multiples; `halo`, the pixels around a window that
its result depends on, None if that is the whole image; and `is_dense`, whether it gives
a map [b, h, w, k] or one vector [b, k] for an image.  One that fits a single size of
images has an `image_size`, rows and columns.  A network that takes more than an image
says so by `example_inputs()`, and is never cut into windows.
"""

import fnmatch
import functools
import inspect
import math
import typing
from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import (
    backbones,
    depth_networks,
    disparity_networks,
    grid_crf,
    rednet,
    segmenters,
    superpixel_networks,
)

_WIDE20 = (128,) * 4 + (256,) * 3 + (512,) * 3
_WIDE30 = (128,) * 6 + (256,) * 6 + (512,) * 3

# The paper gives the 10-layer network no skips (Fig. 3b).
_RESTORATION: dict[str, Callable[..., nn.Module]] = {
    "rednet10": functools.partial(rednet.RedNet, depth=10, widths=64, skip_every=0),
    "rednet20": functools.partial(rednet.RedNet, depth=20, widths=64),
    "rednet30": functools.partial(rednet.RedNet, depth=30, widths=64),
    "rednet10_128": functools.partial(
        rednet.RedNet, depth=10, widths=128, skip_every=0
    ),
    "rednet20_128": functools.partial(rednet.RedNet, depth=20, widths=128),
    "rednet30_128": functools.partial(rednet.RedNet, depth=30, widths=128),
    "rednet20_wide": functools.partial(rednet.RedNet, depth=20, widths=_WIDE20),
    "rednet30_wide": functools.partial(rednet.RedNet, depth=30, widths=_WIDE30),
}

_MODELS = {
    **_RESTORATION,
    **backbones.CLASSIFIERS,
    **segmenters.BUILDERS,
    **depth_networks.BUILDERS,
    **disparity_networks.BUILDERS,
    **superpixel_networks.BUILDERS,
}

_DTYPES = ("float32", "bfloat16", "float64")  # float64 needs jax_enable_x64: tests
_NOT_OPTIONS = ("dtype", "name", "parent")
_SCALARS = {bool: (bool,), int: (int,), float: (int, float)}  # True is no int here
# What options of these names may be, wherever they are numbers.
_RULES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "num_classes": ("at least 1", lambda count: count >= 1),
    "dropout": ("a share from 0 to below 1", lambda share: 0 <= share < 1),
}


def list_models(pattern: str = "*") -> list[str]:
    """Returns the names of the networks, sorted.

    Args:
        pattern: shell-style pattern, such as "rednet*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(_MODELS, pattern))


def list_backbones(pattern: str = "*") -> list[str]:
    """Returns the names of the networks that give a feature pyramid, sorted.

    Args:
        pattern: shell-style pattern, such as "resnet*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(backbones.BUILDERS, pattern))


def list_segmenters(pattern: str = "*") -> list[str]:
    """Returns the names of the networks that score every pixel, sorted.

    Args:
        pattern: shell-style pattern, such as "refinenet*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(segmenters.BUILDERS, pattern))


def list_depth_networks(pattern: str = "*") -> list[str]:
    """Returns the names of the networks that give one number for every pixel, sorted.

    All have the option `num_classes`, the numbers for each pixel.  Of those that were
    published for depth it is 1 unless it is given; the segmenters among them want
    `num_classes=1`, and then differ from themselves in nothing else.

    Args:
        pattern: shell-style pattern, such as "fcrn*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(depth_networks.NAMES, pattern))


def list_disparity_networks(pattern: str = "*") -> list[str]:
    """Returns the names of the networks that learn disparity from pairs, sorted.

    Args:
        pattern: shell-style pattern, such as "monodepth*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(disparity_networks.BUILDERS, pattern))


def list_superpixel_networks(pattern: str = "*") -> list[str]:
    """Returns the names of the networks over superpixels, sorted.

    Args:
        pattern: shell-style pattern, such as "dcnf*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(superpixel_networks.BUILDERS, pattern))


def list_options(name: str) -> dict[str, Any]:
    """Returns what can be changed about a network, and its values.

    Args:
        name: a name of `list_models`.

    Returns:
        Option names to the values that the network of this name has.

    Raises:
        UserError: unknown name, with the nearest ones.
    """
    if name not in _MODELS:
        raise errors.unknown_name("model", name, _MODELS)
    return {p.name: p.default for p in _options(name, _MODELS[name])}


def list_choices(name: str) -> dict[str, tuple[str, ...]]:
    """Returns the options of a network that are one of a few words.

    Args:
        name: a name of `list_models`.

    Returns:
        Option names to the words.

    Raises:
        UserError: unknown name, with the nearest ones.
    """
    if name not in _MODELS:
        raise errors.unknown_name("model", name, _MODELS)
    return {
        p.name: p.annotation.__args__
        for p in _options(name, _MODELS[name])
        if typing.get_origin(p.annotation) is typing.Literal
    }


def published_side(name: str) -> int:
    """Returns the side of the images that a classifier was published with.

    Args:
        name: a name of `list_backbones`.

    Returns:
        Pixels; training crops of the paper, and what its scores are measured by.

    Raises:
        UserError: unknown name, with the nearest ones.
    """
    if name not in backbones.BUILDERS:
        raise errors.unknown_name("backbone", name, backbones.BUILDERS)
    return backbones.SIDES.get(name, backbones.USUAL_SIDE)


def create_module(
    name: str, *, compute_dtype: str = "float32", **options: Any
) -> nn.Module:
    """Returns a network without parameters.

    Args:
        name: a name of `list_models`.
        compute_dtype: type of the activations; parameters stay float32.
        **options: fields of the network that differ from the named preset, such as
            `channels=3`.

    Returns:
        The Linen module; `module.apply(variables, images)` runs it.

    Raises:
        UserError: unknown name or option, with the nearest ones, or a value that the
            network refuses.
    """
    if name not in _MODELS:
        raise errors.unknown_name("model", name, _MODELS)
    build = _MODELS[name]
    _check(name, _options(name, build, **options), compute_dtype, options)
    return build(dtype=jnp.dtype(compute_dtype), **options)


def create_backbone(
    name: str, *, compute_dtype: str = "float32", **options: Any
) -> nn.Module:
    """Returns a network that gives a feature pyramid, without parameters.

    Args:
        name: a name of `list_backbones`.
        compute_dtype: type of the activations; parameters stay float32.
        **options: fields of the network that differ from the named preset, such as
            `output_stride=8`.

    Returns:
        The Linen module; applied to images it gives `{stride: map [b, h, w, c]}`.

    Raises:
        UserError: as `create_module`.
    """
    if name not in backbones.BUILDERS:
        raise errors.unknown_name("backbone", name, backbones.BUILDERS)
    build = backbones.BUILDERS[name]
    _check(name, _parameters(build), compute_dtype, options)
    return build(dtype=jnp.dtype(compute_dtype), **options)


def _options(
    name: str, build: Callable[..., nn.Module], **chosen: Any
) -> list[inspect.Parameter]:
    """What can be changed of a network, and of the parts that it is made of."""
    found = _parameters(build)
    if name in backbones.BUILDERS:  # a classifier
        found += _parameters(backbones.BUILDERS[name])
    if name in depth_networks.FIXED_SIZE:
        for part in depth_networks.FIXED_SIZE[name]:
            found += _parameters(part)
    for part in disparity_networks.PARTS.get(name, ()):
        found += _parameters(part)
    if name in superpixel_networks.BUILDERS:
        for part in superpixel_networks.parts(name, **chosen):
            # The channels of a trunk are features there, not classes.
            found += [p for p in _parameters(part) if p.name != "num_classes"]
    decoders = {**segmenters.DECODERS, **depth_networks.DECODERS}
    if name in decoders:
        decoder, usual = decoders[name]
        backbone = chosen.get("backbone", usual)
        if backbone not in backbones.BUILDERS:
            raise errors.unknown_name(
                f"backbone of {name}", backbone, backbones.BUILDERS
            )
        found += _parameters(decoder) + _parameters(backbones.BUILDERS[backbone])
    if name in decoders or name in depth_networks.FIXED_SIZE:
        own = _parameters(grid_crf.GridCrf)
        found += [p for p in own if p.name in grid_crf.OPTIONS]
    preset = getattr(build, "keywords", {})
    first = {
        p.name: p.replace(default=preset.get(p.name, p.default))
        for p in reversed(found)
    }
    return list(reversed(first.values()))


def _parameters(build: Callable[..., nn.Module]) -> list[inspect.Parameter]:
    unnamed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        p
        for p in inspect.signature(build).parameters.values()
        if p.name not in _NOT_OPTIONS and p.kind not in unnamed
    ]


def _check(
    name: str,
    known: list[inspect.Parameter],
    compute_dtype: str,
    options: dict[str, Any],
) -> None:
    if compute_dtype not in _DTYPES:
        raise errors.unknown_name("compute_dtype", compute_dtype, _DTYPES)
    kinds = {p.name: p.annotation for p in known}
    for option, value in options.items():
        if option not in kinds:
            raise errors.unknown_name(f"option of {name}", option, kinds)
        _check_value(f"{option} of {name}", kinds[option], option, value)


def _check_value(what: str, kind: Any, option: str, value: Any) -> None:
    if typing.get_origin(kind) is typing.Literal and value not in kind.__args__:
        raise errors.unknown_name(what, str(value), kind.__args__)
    if kind not in _SCALARS:
        return
    if type(value) not in _SCALARS[kind]:
        raise errors.UserError(f"Option {what} wants {kind.__name__}, got {value!r}.")
    if kind is float and not math.isfinite(value):
        raise errors.UserError(f"Option {what} wants a finite number, got {value!r}.")
    wanted, holds = _RULES.get(option, ("", lambda value: True))
    if not holds(value):
        raise errors.UserError(f"Option {what} wants {wanted}, got {value!r}.")


def create_model(
    name: str, *, seed: int = 0, compute_dtype: str = "float32", **options: Any
) -> tuple[nn.Module, dict[str, Any]]:
    """Returns a network and fresh parameters.

    Args:
        name: a name of `list_models`.
        seed: of the initialisation.
        compute_dtype: type of the activations; parameters stay float32.
        **options: fields of the network that differ from the named preset.

    Returns:
        The Linen module and its variables, `{"params": ...}`, float32.

    Raises:
        UserError: as `create_module`.
    """
    module = create_module(name, compute_dtype=compute_dtype, **options)
    return module, fresh_variables(module, jax.random.key(seed))


def fresh_variables(module: nn.Module, key: jax.Array) -> dict[str, Any]:
    """Returns what a network begins with.

    Args:
        module: a network of `create_module`.
        key: of the draws.

    Returns:
        Its variables, `{"params": ...}`, float32.
    """
    # Under jit one program draws everything, and the forward pass is never computed.
    # Compiling takes longer than drawing: the lower level halves it, with equal bits.
    is_cpu = jax.default_backend() == "cpu"
    init = jax.jit(
        lambda key: module.init(key, blank_input(module)),
        compiler_options={"xla_backend_optimization_level": 1} if is_cpu else None,
    )
    return init(key)


def is_structured(module: nn.Module) -> bool:
    """Returns whether a network takes more than an image.

    Args:
        module: a network of `create_module`.

    Returns:
        True if it takes a dict of arrays, which its `example_inputs()` describes.
    """
    return hasattr(module, "example_inputs")


def blank_input(module: nn.Module) -> jax.Array | dict[str, jax.Array]:
    """Returns an input of zeros, to initialise a network with.

    Args:
        module: a network of `create_module`.

    Returns:
        Arrays of the shapes and types of `example_input`.
    """
    return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), example_input(module))


def example_input(
    module: nn.Module,
) -> jax.ShapeDtypeStruct | dict[str, jax.ShapeDtypeStruct]:
    """Returns shape and type of the smallest input that a network accepts.

    Args:
        module: a network of `create_module`.

    Returns:
        One image, float32 [1, height, width, channels], or what `example_inputs()`
        says.
    """
    if is_structured(module):
        return module.example_inputs()
    size = getattr(module, "image_size", None) or (module.smallest_side,) * 2
    return jax.ShapeDtypeStruct((1, *size, module.channels), jnp.float32)
