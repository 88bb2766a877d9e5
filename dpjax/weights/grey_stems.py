"""Weights of networks that see one grey channel, for networks that see three.

Our networks take a grey image as three equal channels, each standardised by its own
mean and deviation: x_c = a_c g + b_c.  The grey network saw (g - mean) / deviation.
Its first kernel K becomes w_c K for channel c, where

    sum_c w_c (a_c g + b_c) = (g - mean) / deviation    for every g,

two equations for three numbers.  Both networks pad with zeros behind the
standardisation, so their outputs are equal at the border too.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from flax import traverse_util

from dpjax import errors
from dpjax.models import layers, zoo

_CLOSE = 1e-6  # of the equations; float32 kernels keep no more


def spread(
    variables: Mapping[str, Any], module: nn.Module, mean: float, deviation: float
) -> dict[str, Any]:
    """Returns variables whose first convolution reads three channels instead of one.

    Of all weights that give the grey network's output on grey images these are nearest
    to three equal shares, so that colours count alike.

    Args:
        variables: of the grey network, under our names; see `renaming.read`.
        module: the network that takes RGB images.
        mean: what the grey network subtracted from images in [0, 1].
        deviation: what it divided them by.

    Returns:
        Variables of the shapes of `module`.

    Raises:
        UserError: no such convolution, a deviation that is none, or a mean that three
            equally standardised channels cannot have.
    """
    if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
        raise errors.UserError(
            "A grey network wants its mean and its deviation, above 0, of images in "
            f"[0, 1], such as 0.449 0.226; got {mean} {deviation}."
        )
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    wanted = traverse_util.flatten_dict(shapes)
    flat = traverse_util.flatten_dict(variables)
    stems = [
        path
        for path, leaf in flat.items()
        if path in wanted
        and wanted[path].ndim == np.ndim(leaf) == 4
        and (leaf.shape[2], wanted[path].shape[2]) == (1, module.channels)
    ]
    style = getattr(getattr(module, "backbone", None), "input_style", None)
    if len(stems) != 1 or style is None:
        raise errors.UserError(
            "Weights of a grey network have one convolution of one channel where the "
            f"network has {module.channels}, these have {len(stems)}. Leave out the "
            "request for grey."
        )
    (stem,) = stems
    shares = _shares(style, mean, deviation)
    kernel = np.asarray(flat[stem], np.float64) * shares[:, None]
    return traverse_util.unflatten_dict({**flat, stem: kernel.astype(np.float32)})


def _shares(style: layers.InputStyle, mean: float, deviation: float) -> np.ndarray:
    """The numbers w_c, [3]."""
    black, white = (
        np.broadcast_to(layers.standardise(np.full((1, 1, 1, 1), g), style)[0, 0, 0], 3)
        for g in (0.0, 1.0)
    )
    slopes, offsets = np.float64(white) - np.float64(black), np.float64(black)
    equations = np.stack([slopes, offsets])
    goal = np.array([1 / deviation, -mean / deviation])
    equal = goal[0] / (3 * slopes)
    shares = equal + np.linalg.pinv(equations) @ (goal - equations @ equal)
    if not np.allclose(equations @ shares, goal, rtol=_CLOSE, atol=_CLOSE):
        raise errors.UserError(
            f'Images of style "{style}" have the same mean in all channels, '
            f"{-offsets[0] / slopes[0]:g}; no weights of theirs have {mean:g}. Choose "
            'another input_style, such as "imagenet".'
        )
    return shares
