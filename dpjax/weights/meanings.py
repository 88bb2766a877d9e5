"""Options that say what arrays mean, which their shapes do not show.

Arrays of one ResNet load into another whose strides sit in other convolutions, or that
reads images of another scale and order of channels.  Nothing fails then but the scores.
Options that networks are deliberately begun with other values of are not among them:
output strides and holes (à-trous algorithm), VGG16's pools and paddings (DeepLab, FCN),
and where a wide ResNet halves its maps (Model A1 is trained from Model A).
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flax import linen as nn

_EVERY = ""  # of the folders: all arrays
# Options to the folder of the arrays that mean something else with another value.
_FOLDERS = {
    "input_style": "backbone",
    "variant": "backbone",
    "stem": "backbone",
    "pool_pad": "backbone",
    "pooling_order": "decoder",
    "activation": "decoder",
    "interleaving": "decoder",
    "rectifies_shortcut": "decoder",
    "pairwise": "crf",
    "skip_every": _EVERY,
    "global_residual": _EVERY,
    "relu_before_sum": _EVERY,
    "relu_after_sum": _EVERY,
}
# Only an incomplete last window is new; the others are where they were.
_ALIKE = {("pool_pad", "ceil"): "symmetric"}


def differences(
    given: nn.Module, wanted: nn.Module, taken: Iterable[str]
) -> dict[str, tuple[Any, Any]]:
    """Returns the options by which arrays mean different things in two networks.

    Args:
        given: the network that the arrays come from.
        wanted: the network that shall use them.
        taken: paths of the arrays that it takes, such as "params/head/fc/kernel".

    Returns:
        Option to its values in `given` and in `wanted`, for those that both networks
        have and that concern arrays which are taken; empty if the arrays mean the same.
    """
    folders = {part for path in taken for part in (_EVERY, *path.split("/")[1:-1])}
    theirs, ours = _options(given), _options(wanted)
    return {
        name: (theirs[name], ours[name])
        for name, folder in _FOLDERS.items()
        if folder in folders
        and name in theirs
        and name in ours
        and _sense(name, theirs) != _sense(name, ours)
    }


def _options(module: nn.Module) -> dict[str, Any]:
    """Values of the options, also of those that parts of a network have."""
    return {
        field.name: getattr(part, field.name)
        for part in _parts(module)
        for field in dataclasses.fields(part)
        if field.name in _FOLDERS
    }


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    yield module
    for field in dataclasses.fields(module):
        value = getattr(module, field.name)
        if field.name == "parent":
            continue
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, nn.Module):
                yield from _parts(part)


def _sense(name: str, options: Mapping[str, Any]) -> Any:
    return _ALIKE.get((name, options[name]), options[name])
