"""Whether weights fit a network, and what to do where they do not."""

import dataclasses
import fnmatch
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax import traverse_util

from dpjax import errors
from dpjax.models import zoo

_SHOWN = 12  # lines of the two trees; hundreds would hide the first
_MOST_FOLDERS = 3  # of new layers; what differs in more is another network


@dataclasses.dataclass(frozen=True)
class Difference:
    """Where the arrays of weights and of a network differ.

    Attributes:
        given: shapes in the file by path, None where an array is missing.
        wanted: shapes in the network, likewise, of the same paths.
        folders: patterns of all of them, such as "head/*", if new layers explain the
            difference; empty if it is another network.
    """

    given: Mapping[str, tuple[int, ...] | None]
    wanted: Mapping[str, tuple[int, ...] | None]
    folders: tuple[str, ...]


def advise(difference: Difference) -> str:
    """Returns what a program that builds networks can do about a difference.

    Args:
        difference: between weights and network.

    Returns:
        One or two sentences.
    """
    text = "Build the network with the name and options the weights were made for."
    if difference.folders:
        text += f" To leave out layers of them: skip={difference.folders!r}."
    return text


def check_matches(
    variables: Mapping[str, Any],
    module: nn.Module,
    *,
    skip: Sequence[str] = (),
    name: str = "the weights",
    network: str | None = None,
    advice: Callable[[Difference], str] = advise,
) -> None:
    """Raises if arrays of the weights and of the network differ in path or shape.

    Args:
        variables: what `store.load` returned.
        module: the network that shall use them.
        skip: patterns of paths that may differ, such as "head/*".
        name: of the weights, for the message.
        network: what the message calls the network; None takes `describe`'s name.
        advice: says what the caller's user can do about it.

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
    folders = tuple(sorted({_short(p).rsplit("/", 1)[0] + "/*" for p in wrong}))
    is_other = len(folders) > _MOST_FOLDERS or len(wrong) == len(paths)
    difference = Difference(
        {p: given.get(p) for p in wrong},
        {p: wanted.get(p) for p in wrong},
        () if is_other else folders,
    )
    raise errors.UserError(
        f"Cannot load {name} into {network or describe(module)}: {len(wrong)} of "
        f"{len(paths)} arrays differ:\n"
        f"  {'path':<{width}}  {'in the file':<20}  in the model\n"
        + "\n".join(lines)
        + f"\n{advice(difference)}"
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
        skip: patterns of paths that keep their fresh values, or of the weights that the
            network has no place for, such as "head/*".

    Returns:
        Variables with exactly the paths of `fresh`.

    Raises:
        UserError: a pattern that fits no path of either, probably misspelt.
    """
    loaded = traverse_util.flatten_dict(variables, sep="/")
    start = traverse_util.flatten_dict(fresh, sep="/")
    for pattern in skip:
        known = {**start, **loaded}
        if not any(is_skipped(path, (pattern,)) for path in known):
            folders = {_short(path).rsplit("/", 1)[0] + "/*" for path in known}
            raise errors.unknown_name("pattern of arrays to skip", pattern, folders)
    return traverse_util.unflatten_dict(
        {p: v if is_skipped(p, skip) else loaded[p] for p, v in start.items()},
        sep="/",
    )


def skipped(variables: Mapping[str, Any], skip: Sequence[str]) -> list[str]:
    """Returns the paths of the arrays that patterns leave out.

    Args:
        variables: collections of a network.
        skip: patterns of paths, such as "head/*".

    Returns:
        Paths, those of parameters without the collection: "head/fc/kernel".
    """
    flat = traverse_util.flatten_dict(variables, sep="/")
    return [_short(path) for path in flat if is_skipped(path, skip)]


def describe(module: nn.Module) -> str:
    """Returns a network as its class and the options that are not the defaults.

    Args:
        module: a network of the zoo.

    Returns:
        For example "RedNet(depth=20, channels=3)", on one line whatever it is made of.
    """
    changed = [
        f"{f.name}={_value(getattr(module, f.name))}"
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


def _value(value: Any) -> str:
    return describe(value) if isinstance(value, nn.Module) else repr(value)


def _shapes(variables: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    flat = traverse_util.flatten_dict(variables, sep="/")
    return {path: tuple(np.shape(value)) for path, value in flat.items()}


def _short(path: str) -> str:
    """Paths of parameters are shown as people write them, without the collection."""
    return path.removeprefix("params/")


def _text(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else str(list(shape))
