"""Whether weights fit a network, and what to do where they do not."""

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax import traverse_util

from dpjax import errors
from dpjax.models import zoo

_SHOWN = 12  # lines of the two trees; hundreds would hide the first


def check_matches(
    variables: Mapping[str, Any],
    module: nn.Module,
    *,
    skip: Sequence[str] = (),
    name: str = "the weights",
) -> None:
    """Raises if arrays of the weights and of the network differ in path or shape.

    Args:
        variables: what `store.load` returned.
        module: the network that shall use them.
        skip: patterns of paths that may differ, such as "head/*".
        name: of the weights, for the message.

    Raises:
        UserError: both trees, where they differ, and the way out.
    """
    given = _shapes(variables)
    wanted = _shapes(
        jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    )
    paths = [p for p in {**wanted, **given} if not is_skipped(p, skip)]
    wrong = [p for p in paths if given.get(p) != wanted.get(p)]
    if not wrong:
        return
    width = max(len(_short(p)) for p in wrong[:_SHOWN])
    lines = [
        f"  {_short(p):<{width}}  {_text(given.get(p)):<20}  {_text(wanted.get(p))}"
        for p in wrong[:_SHOWN]
    ]
    if len(wrong) > _SHOWN:
        lines.append(f"  ... and {len(wrong) - _SHOWN} more")
    folders = sorted({_short(p).rsplit("/", 1)[0] + "/*" for p in wrong})
    raise errors.UserError(
        f"Cannot load {name} into {describe(module)}: {len(wrong)} of {len(paths)} "
        f"arrays differ:\n  {'path':<{width}}  {'in the file':<20}  in the model\n"
        + "\n".join(lines)
        + "\nBuild the model with the name and options the weights were trained with "
        "(their card has them)"
        + (
            f". To train new layers on top of them: init_skip={tuple(folders)!r}."
            if len(folders) <= 3 and len(wrong) < len(paths)
            else "."
        )
    )


def merge(
    variables: Mapping[str, Any],
    fresh: Mapping[str, Any],
    *,
    skip: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns loaded weights, with fresh ones where a network got new layers.

    Args:
        variables: what `store.load` returned, checked with the same `skip`.
        fresh: initial variables of the network.
        skip: patterns of paths that keep their fresh values, such as "head/*".

    Returns:
        Variables with exactly the paths of `fresh`.

    Raises:
        UserError: a pattern that fits no path of `fresh`, probably misspelt.
    """
    loaded = traverse_util.flatten_dict(variables, sep="/")
    start = traverse_util.flatten_dict(fresh, sep="/")
    for pattern in skip:
        if not any(is_skipped(path, (pattern,)) for path in start):
            folders = {_short(path).rsplit("/", 1)[0] + "/*" for path in start}
            raise errors.unknown_name("pattern of arrays to skip", pattern, folders)
    return traverse_util.unflatten_dict(
        {p: v if is_skipped(p, skip) else loaded[p] for p, v in start.items()},
        sep="/",
    )


def describe(module: nn.Module) -> str:
    """Returns a network as its class and the options that are not the defaults.

    Args:
        module: a network of the zoo.

    Returns:
        For example "RedNet(depth=20, channels=3)".
    """
    changed = [
        f"{f.name}={getattr(module, f.name)!r}"
        for f in dataclasses.fields(module)
        if f.name not in ("parent", "name", "dtype")
        and getattr(module, f.name) != f.default
    ]
    return f"{type(module).__name__}({', '.join(changed)})"


def is_skipped(path: str, skip: Sequence[str]) -> bool:
    """Returns whether patterns leave out an array.

    Args:
        path: of the array, such as "params/head/fc/kernel".
        skip: patterns, with or without the collection: "head/*".

    Returns:
        True if one of them fits.
    """
    return any(fnmatch.fnmatch(p, s) for s in skip for p in (path, _short(path)))


def _shapes(variables: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    flat = traverse_util.flatten_dict(variables, sep="/")
    return {path: tuple(np.shape(value)) for path, value in flat.items()}


def _short(path: str) -> str:
    """Paths of parameters are shown as people write them, without the collection."""
    return path.removeprefix("params/")


def _text(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else str(list(shape))
