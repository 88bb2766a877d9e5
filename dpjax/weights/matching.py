"""Whether weights fit a network, and what to do where they do not."""

import dataclasses
import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax import traverse_util

from dpjax import errors
from dpjax.models import zoo

_SHOWN = 12  # lines of the two trees; hundreds would hide the first
_MOST_FOLDERS = 3  # of new layers; what differs in more is another network
_BACKBONE = "backbone/*"  # without it there is nothing to start from


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
    layers = {_layer(p) for p in wrong}
    fitting = {p for p in paths if _layer(p) not in layers}
    folders = patterns_of(set(paths) - fitting, fitting)
    is_other = len(folders) > _MOST_FOLDERS or len(wrong) == len(paths)
    is_other |= _BACKBONE in folders
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
        UserError: a pattern that fits no path of either, probably misspelt, or patterns
            that leave nothing of the weights.
    """
    loaded = traverse_util.flatten_dict(variables, sep="/")
    start = traverse_util.flatten_dict(fresh, sep="/")
    for pattern in skip:
        known = {**start, **loaded}
        if not any(is_skipped(path, (pattern,)) for path in known):
            near = {_layer(path) for path in known} | {_top(path) for path in known}
            raise errors.unknown_name("pattern of arrays to skip", pattern, near)
    if loaded and not any(p in loaded and not is_skipped(p, skip) for p in start):
        raise errors.UserError(
            f"Skipping {' '.join(skip)} leaves nothing of the weights that the network "
            "has a place for. Skip less, or do without these weights."
        )
    return traverse_util.unflatten_dict(
        {p: v if is_skipped(p, skip) else loaded[p] for p, v in start.items()},
        sep="/",
    )


def report(
    variables: Mapping[str, Any],
    fresh: Mapping[str, Any],
    *,
    skip: Sequence[str] = (),
) -> str:
    """Returns what `merge` takes of weights and what it does not, as a line.

    Args:
        variables: as for `merge`.
        fresh: as for `merge`; shapes are enough.
        skip: as for `merge`.

    Returns:
        "26 arrays of backbone/*; fresh: crf/*, head/*; not used: head/*".
    """
    given, wanted = (
        set(traverse_util.flatten_dict(v, sep="/")) for v in (variables, fresh)
    )
    taken = {p for p in given & wanted if not is_skipped(p, skip)}
    text = f"{len(taken)} arrays of {', '.join(patterns_of(taken, wanted - taken))}"
    for name, rest in (("fresh", wanted - taken), ("not used", given - taken)):
        if rest:
            text += f"; {name}: {', '.join(patterns_of(rest, taken))}"
    return text


def patterns_of(some: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """Returns the highest folders of arrays in which there are no others.

    Args:
        some: paths of arrays, such as "params/head/fc/kernel".
        others: paths that no pattern may fit.

    Returns:
        Patterns that together fit all of `some`, such as "head/*", sorted; an array
        that shares its folder with others, or has none, stands for itself.
    """
    kept = {
        "/".join(parts[:depth])
        for parts in (_bare(path).split("/") for path in others)
        for depth in range(1, len(parts))
    }
    found = set()
    for path in some:
        *folder, name = _bare(path).split("/")
        above = ("/".join(folder[:depth]) for depth in range(1, len(folder) + 1))
        free = (prefix + "/*" for prefix in above if prefix not in kept)
        found.add(next(free, "/".join((*folder, name))))
    return tuple(sorted(found))


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
        skip: patterns, with or without the collection: "head/*" fits the array of every
            collection, so statistics go with the parameters of their layer.

    Returns:
        True if one of them fits.
    """
    return any(fnmatch.fnmatch(p, s) for s in skip for p in (path, _bare(path)))


def _value(value: Any) -> str:
    return describe(value) if isinstance(value, nn.Module) else repr(value)


def _shapes(variables: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    flat = traverse_util.flatten_dict(variables, sep="/")
    return {path: tuple(np.shape(value)) for path, value in flat.items()}


def _short(path: str) -> str:
    """Paths of parameters are shown as people write them, without the collection."""
    return path.removeprefix("params/")


def _bare(path: str) -> str:
    """A path without its collection, as patterns have it."""
    return path.partition("/")[2]


def _layer(path: str) -> str:
    """The pattern of the arrays beside one, or the array itself where it has none."""
    folder, slash, name = _bare(path).rpartition("/")
    return f"{folder}/*" if slash else name


def _top(path: str) -> str:
    """The pattern of the part of a network that an array belongs to."""
    folder, slash, _ = _bare(path).partition("/")
    return f"{folder}/*" if slash else folder


def _text(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else str(list(shape))
