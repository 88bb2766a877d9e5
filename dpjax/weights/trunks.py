"""One trunk's weights for networks that see an image at several sizes.

Such a network has a trunk for each size, with weights of its own that begin alike:
RefineNet's (Lin et al., CVPR 2017) with those of the same classifier.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from dpjax.models import scales

_TRUNK = "backbone"


def of_each_size(variables: Mapping[str, Any], module: nn.Module) -> Mapping[str, Any]:
    """Returns weights of one trunk as weights of each trunk of a network.

    The arrays backbone/* become backbone/backbones_0/*, backbone/backbones_1/* and so
    on; all others stay.

    Args:
        variables: collections of the network that the weights come from, arrays.
        module: the network that shall use them.

    Returns:
        Variables, the trunks with arrays of their own; `variables` itself if the
        network has one trunk, or the weights have several, or none.
    """
    wanted = names(module)
    given = [tree[_TRUNK] for tree in variables.values() if _TRUNK in tree]
    if not wanted or not given or any(n in tree for tree in given for n in wanted):
        return variables
    return {kind: _spread(tree, wanted) for kind, tree in variables.items()}


def names(module: nn.Module) -> tuple[str, ...]:
    """Returns what the trunks of a network are called.

    Args:
        module: any network.

    Returns:
        Folders below backbone, in the order of the sizes; none for a single trunk.
    """
    if isinstance(module, scales.Scales):
        return tuple(f"backbones_{i}" for i in range(len(module.backbones)))
    # A network below a CRF, or below a head for superpixels, keeps its paths.
    fields = (f.name for f in dataclasses.fields(module) if f.name != "parent")
    parts = (getattr(module, name) for name in fields)
    found = (names(part) for part in parts if isinstance(part, nn.Module))
    return next(filter(None, found), ())


def _spread(tree: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
    if _TRUNK not in tree:
        return dict(tree)
    # Copies, because updates may be written into the memory of what they change.
    each = {name: jax.tree.map(np.copy, tree[_TRUNK]) for name in wanted}
    return {**tree, _TRUNK: each}
