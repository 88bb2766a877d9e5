"""What both Inception networks are made of (Szegedy et al., AAAI 2017).

A block is written as a table: branches side by side, each a sequence of steps, whose
results are concatenated in the order written.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers

SMALLEST_SIDE = 75  # the last map of both networks is one pixel then
DROPOUT = 0.2  # the paper's figures 9 and 15 keep 0.8
_EPSILON = 1e-3  # of the authors' batch normalisation


@dataclasses.dataclass(frozen=True)
class Conv:
    """A convolution, normalised and activated.

    Attributes:
        features: channels it gives.
        kernel: rows and columns, or one number for both.
        stride: step in both directions.
        is_valid: without padding ("V" in the paper's figures); else the size is kept.
    """

    features: int
    kernel: int | tuple[int, int]
    stride: int = 1
    is_valid: bool = False


@dataclasses.dataclass(frozen=True)
class Fork:
    """Two convolutions of the same map, concatenated.

    Attributes:
        first: gives the first channels.
        second: gives those after them.
    """

    first: Conv
    second: Conv


# Poolings see 3x3 pixels: "max" moves by two without padding, "average" by one, over
# the pixels that exist.
Step = Conv | Fork | Literal["max", "average"]
Branches = Sequence[Sequence[Step]]


class ConvUnit(nn.Module):
    """Convolution, batch normalisation, ReLU.

    Attributes:
        step: what the convolution is.
        norm: see `layers.norm`.
        dtype: compute type.
    """

    step: Conv
    norm: layers.NormMode
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the activated map.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken.

        Returns:
            [b, h', w', features].
        """
        x = layers.conv(
            self.step.features,
            self.step.kernel,
            stride=self.step.stride,
            padding=0 if self.step.is_valid else None,
            dtype=self.dtype,
            name="conv",
        )(x)
        normalise = layers.norm(
            self.norm, train, epsilon=_EPSILON, dtype=self.dtype, name="bn"
        )
        return nn.relu(normalise(x))


class Mixed(nn.Module):
    """Branches side by side.

    Attributes:
        branches: the steps of each.
        norm: see `layers.norm`.
        dtype: compute type.
    """

    branches: Branches
    norm: layers.NormMode
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the concatenated results.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken.

        Returns:
            [b, h', w', c'].
        """

        def convolve(y, step, name):
            return ConvUnit(step, self.norm, self.dtype, name=name)(y, train)

        return side_by_side(x, self.branches, convolve)


def side_by_side(
    x: jax.Array,
    branches: Branches,
    convolve: Callable[[jax.Array, Conv, str], jax.Array],
) -> jax.Array:
    """Returns the results of all branches, concatenated in the order written.

    Args:
        x: what every branch sees, [b, h, w, c].
        branches: the steps of each.
        convolve: applies a convolution; its name is "branch2_1" for the second step of
            the third branch, followed by "a" or "b" in a fork.

    Returns:
        [b, h', w', c'].
    """
    results = []
    for b, steps in enumerate(branches):
        y = x
        for i, step in enumerate(steps):
            name = f"branch{b}_{i}"
            if step == "max":
                y = layers.max_pool(y, pad=0)
            elif step == "average":
                y = layers.average_pool(y, 3, padding=1)
            elif isinstance(step, Fork):
                parts = ((step.first, "a"), (step.second, "b"))
                y = _join([convolve(y, part, name + letter) for part, letter in parts])
            else:
                y = convolve(y, step, name)
        results.append(y)
    return _join(results)


def _join(maps: Sequence[jax.Array]) -> jax.Array:
    return jnp.concatenate(maps, axis=-1)


def check_images(network: str, images: jax.Array) -> None:
    """Refuses images of which no pixel would be left.

    Args:
        network: its name, for the message.
        images: [b, h, w, 3].

    Raises:
        UserError: a side below `SMALLEST_SIDE`.
    """
    height, width = images.shape[1:3]
    if min(height, width) < SMALLEST_SIDE:
        raise errors.UserError(
            f"{network} wants images of at least {SMALLEST_SIDE} x {SMALLEST_SIDE} "
            f"pixels, got {height} x {width}. Enlarge them first."
        )
