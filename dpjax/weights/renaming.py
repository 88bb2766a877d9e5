"""Weights of public checkpoints under our names and in our layout of axes.

A layout says how another code base calls the modules of a network, as rules: a regular
expression for the whole name of a module there, and what it expands to here.  Leaves
need no rules: `weight` is a kernel or a scale, by what the network has at that place.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax import traverse_util

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import matching

_SHOWN = 8
# What wrappers put before every name.
_PREFIXES = ("module.", "model.", "state_dict.")
# A leaf there is the first of these that the network has at that place.
_LEAVES = {
    "weight": ("params/{}/kernel", "params/{}/scale"),
    "bias": ("params/{}/bias",),
    "running_mean": ("batch_stats/{}/mean",),
    "running_var": ("batch_stats/{}/var",),
    # MXNet's
    "gamma": ("params/{}/scale",),
    "beta": ("params/{}/bias",),
    "moving_mean": ("batch_stats/{}/mean",),
    "moving_var": ("batch_stats/{}/var",),
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How one code base names the modules of a network.

    Attributes:
        rules: regular expression of a module's name there, to the path here; the first
            that fits the whole name is taken.
        ignored: regular expressions of names that say nothing about the network.
        name: regular expression of a whole name; its groups are module and leaf.
        options: values of the network's options that this code base implies.
        refused: why weights of this code base are for no network here, None if they
            are for ours.
        constants: regular expressions of names of arrays that the network has written
            into it, to what gives them for a shape; a file with others is refused.
    """

    rules: Mapping[str, str]
    ignored: tuple[str, ...] = (r".*\.num_batches_tracked",)
    name: str = r"(.*)\.(.*)"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    refused: str | None = None
    constants: Mapping[str, Callable[[Sequence[int]], np.ndarray]] = dataclasses.field(
        default_factory=dict
    )

    def path(self, module: str) -> str | None:
        """Returns where a module is here.

        Args:
            module: its name there, such as "layer1.0.conv1".

        Returns:
            A path such as "backbone/layer1_0/conv1", None if no rule fits.
        """
        for pattern, target in self.rules.items():
            match = re.fullmatch(pattern, module)
            if match:
                return match.expand(target)
        return None


def variables(
    arrays: Mapping[str, np.ndarray],
    module: nn.Module,
    layouts: Mapping[str, Layout],
    *,
    skip: Sequence[str] = (),
) -> dict[str, Any]:
    """Returns a network's variables from the arrays of a public checkpoint.

    Args:
        arrays: as for `read`.
        module: as for `read`.
        layouts: as for `read`.
        skip: as for `read`.

    Returns:
        {"params": ..., "batch_stats": ...}, float32, without what is skipped.

    Raises:
        DataError: as `read`.
    """
    return read(arrays, module, layouts, skip=skip)[1]


def read(
    arrays: Mapping[str, np.ndarray],
    module: nn.Module,
    layouts: Mapping[str, Layout],
    *,
    skip: Sequence[str] = (),
    name: str = "the weights",
    network: str | None = None,
) -> tuple[str, dict[str, Any]]:
    """Returns whose names the arrays of a public checkpoint have, and the variables.

    Kernels (out, in, h, w) become (h, w, in, out), matrices are transposed; a 1x1
    convolution may stand for a matrix, a matrix of flattened maps for a convolution.

    Args:
        arrays: by the names of the checkpoint; a common prefix such as "module." is
            taken away.
        module: the network they are for; its shapes are not checked here.
        layouts: what the names may follow, by the name of the layout.
        skip: patterns of our paths that the checkpoint may have or lack, such as
            "head/*"; `matching.merge` fills them with fresh values.
        name: of the weights, for the message.
        network: what the message calls the network; None takes the name of its class.

    Returns:
        The name of the layout, and {"params": ..., "batch_stats": ...}, float32,
        without what is skipped.

    Raises:
        DataError: names that no layout explains, arrays that are missing, weights of
            another function, or others than the network's where it has constants.
    """
    arrays = _without_prefix(arrays)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    wanted = traverse_util.flatten_dict(shapes, sep="/")
    attempts = {
        name: _places(arrays, wanted, layout, skip) for name, layout in layouts.items()
    }
    nearest, (places, unknown, missing) = min(
        attempts.items(), key=lambda item: len(item[1][1]) + len(item[1][2])
    )
    if unknown or missing:
        lines = _lines("not part of the network", unknown)
        lines += _lines("missing in the file", missing)
        raise errors.DataError(
            f"The arrays of {name} are not those of "
            f"{network or matching.describe(module)} as {' or '.join(layouts)} names "
            f"them; nearest is {nearest}:\n"
            + "\n".join(lines)
            + "\nName the network that the file was made for, with its options"
            + _folders(missing if not unknown else ())
        )
    if layouts[nearest].refused is not None:
        raise errors.DataError(f"{name} cannot be used: {layouts[nearest].refused}")
    _check_constants(arrays, layouts[nearest])
    flat = {
        target: _convert(arrays[source], target, wanted[target].shape)
        for target, source in places.items()
    }
    return nearest, traverse_util.unflatten_dict(flat, sep="/")


def _without_prefix(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = dict(arrays)
    while True:
        prefix = next(
            (p for p in _PREFIXES if arrays and all(n.startswith(p) for n in arrays)),
            None,
        )
        if prefix is None:
            return arrays
        arrays = {name.removeprefix(prefix): value for name, value in arrays.items()}


def _places(
    arrays: Mapping[str, np.ndarray],
    wanted: Mapping[str, Any],
    layout: Layout,
    skip: Sequence[str],
) -> tuple[dict[str, str], list[str], list[str]]:
    """Where each array belongs, the names that are not understood, and the gaps."""
    places, unknown = {}, []
    for name in arrays:
        if any(re.fullmatch(p, name) for p in (*layout.ignored, *layout.constants)):
            continue
        parts = re.fullmatch(layout.name, name)
        path = layout.path(parts[1]) if parts else None
        choices = [t.format(path) for t in _LEAVES.get(parts[2], ())] if path else []
        if any(matching.is_skipped(choice, skip) for choice in choices):
            continue
        target = next((c for c in choices if c in wanted), None)
        if target is None or target in places:
            unknown.append(name)
        else:
            places[target] = name
    missing = [
        path
        for path in wanted
        if path not in places and not matching.is_skipped(path, skip)
    ]
    return places, unknown, missing


def _check_constants(arrays: Mapping[str, np.ndarray], layout: Layout) -> None:
    for name, array in arrays.items():
        for pattern, make in layout.constants.items():
            if re.fullmatch(pattern, name) and not np.allclose(
                array, make(array.shape), atol=1e-6
            ):
                raise errors.DataError(
                    f"The network has no array for {name} because it is constant in "
                    "the published weights; in this file it has other values, so it "
                    "was trained, and the network would not be the same."
                )


def _convert(array: np.ndarray, target: str, shape: Sequence[int]) -> np.ndarray:
    array = np.asarray(array, np.float32)
    if target.endswith("/kernel"):
        if array.ndim == 4:
            array = array.transpose(2, 3, 1, 0)
            if len(shape) == 2 and array.shape[:2] == (1, 1):
                array = array[0, 0]
        elif array.ndim == 2 and len(shape) == 4 and array.size == np.prod(shape):
            # A matrix that reads a flattened map is a convolution as large as that.
            rows, columns, given, wanted = shape
            array = array.reshape(wanted, given, rows, columns).transpose(2, 3, 1, 0)
        elif array.ndim == 2:
            array = array.T
    return np.asarray(array, order="C")


def _folders(missing: Sequence[str]) -> str:
    """The end of the sentence: what may be skipped, if little is missing."""
    folders = sorted({path.split("/")[1] + "/*" for path in missing})
    if len(folders) != 1 or folders == ["backbone/*"]:
        return "."
    return f'; or skip "{folders[0]}" to give it fresh arrays there.'


def _lines(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return [f"  {len(names)} {what}: {shown}"]
