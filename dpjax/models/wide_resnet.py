"""The wide residual networks of "Wider or Deeper" (Wu, Shen & van den Hengel, 2016).

Few, wide, pre-activated units: Models A to F of the paper, A1 and A2 of its
segmentation networks, and the unnamed one of 16 layers.  The paper names a network by
the side of its training images and the units of its levels B1 to B7, as in
224-0-3-3-6-3-1-1.
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers

Halving = Literal["pool", "conv", "mixed"]

_STEM = 64
# Channels that the convolutions of a unit give, for each level.
_WIDTHS = (
    (64, 64),
    (128, 128),
    (256, 256),
    (512, 512),
    (512, 1024),
    (512, 1024, 2048),
    (1024, 2048, 4096),
)
_KERNELS = {2: (3, 3), 3: (1, 3, 1)}  # by the number of convolutions
_SIDES = {224: 5, 112: 4, 56: 3}  # of training images, to halvings: all end on 7x7
_POOLED_IF_MIXED = (2, 3)
_DROPOUT_LEVELS = (6, 7)


def parse(name: str) -> dict[str, Any]:
    """Returns what the paper's name of a network says.

    Args:
        name: side of the training images and the units of seven levels, joined by
            hyphens: "224-0-3-3-6-3-1-1".

    Returns:
        `units` and `halvings`, the fields of `WideResNet`.

    Raises:
        UserError: a name of another form, or of six levels, as some tables print it.
    """
    if not re.fullmatch(r"\d+(-\d+)+", name) or int(name.split("-")[0]) not in _SIDES:
        raise errors.UserError(
            "A name of a wide ResNet is the side of its training images, 224, 112 or "
            f"56, and its units on seven levels, as in 224-0-3-3-6-3-1-1; got {name!r}."
        )
    side, *units = map(int, name.split("-"))
    _check_units(units)
    return {"units": tuple(units), "halvings": _SIDES[side]}


class WideResNet(nn.Module):
    """The feature pyramid of a wide ResNet.

    A level that would exceed `output_stride` is dilated instead (à trous): what loses
    its stride, a pool or a convolution, keeps its dilation and all after it double
    theirs, so that the features of the plain network are among those of the dilated
    one.  All ways of halving have the same parameters.

    Attributes:
        units: residual units of the levels B1 to B7; B1 may have none.
        halvings: how many levels from B2 on halve the map; the paper has 5, 4 and 3
            for images of 224, 112 and 56 pixels.
        halving: "pool", a 3x3 pool before the level (Model A); "conv", the stride of
            its first convolution (A1); "mixed", pools before B2 and B3, then
            convolutions (A2).
        pool_pad: "same" (the released Model A) or "symmetric" (the PyTorch ports).
        output_stride: 8, 16 or 32 pixels between the last features; None for what the
            halvings give.
        dilate_first: also dilate the convolution that lost its stride, as the ports of
            inplace_abn and NVIDIA do; only for weights that were trained so.
        unit_dropout: share that training leaves out before the last convolution of the
            units of B6 and B7; (0.3, 0.5) in the paper's segmentation networks.
        width: factor on all channels; 64 times it is a whole number.
        input_style: how the weights want images; see `layers.standardise`.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        remat: compute each unit again in the backward pass, to save memory.
        dtype: compute type; parameters and statistics are float32.
    """

    units: Sequence[int] = (0, 3, 3, 6, 3, 1, 1)
    halvings: int = 5
    halving: Halving = "pool"
    pool_pad: layers.PoolPad = "same"
    output_stride: int | None = None
    dilate_first: bool = False
    unit_dropout: Sequence[float] = (0.0, 0.0)
    width: float = 1.0
    input_style: layers.InputStyle = "imagenet"
    norm: layers.NormMode = "sync"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        _check_units(self.units)
        if self.halvings not in _SIDES.values():
            raise errors.UserError(
                f"WideResNet wants 3, 4 or 5 halvings, got {self.halvings!r}."
            )
        strides = [s for s in (8, 16, 32) if s <= 2**self.halvings]
        if self.output_stride not in (None, *strides):
            raise errors.UserError(
                f"WideResNet with {self.halvings} halvings wants output_stride "
                f"{' or '.join(map(str, strides))}, got {self.output_stride!r}."
            )
        if self.halving not in Halving.__args__:
            raise errors.unknown_name("halving", self.halving, Halving.__args__)
        if self.pool_pad not in layers.PoolPad.__args__:
            raise errors.unknown_name(
                "pool padding", self.pool_pad, layers.PoolPad.__args__
            )
        if len(self.unit_dropout) != len(_DROPOUT_LEVELS) or not all(
            0 <= share < 1 for share in self.unit_dropout
        ):
            raise errors.UserError(
                "WideResNet wants unit_dropout for B6 and for B7, two shares from 0 to "
                f"below 1, got {self.unit_dropout!r}."
            )
        if self.width <= 0 or self.width * _STEM % 1:
            raise errors.UserError(
                f"WideResNet wants a width of which {_STEM} times is a whole number, "
                f"such as 1, 0.5 or 0.125, got {self.width!r}."
            )

    @property
    def depth(self) -> int:
        """Layers as the paper counts them: convolutions and the matrix of the head."""
        convolutions = zip(self.units, map(len, _WIDTHS), strict=True)
        return 1 + sum(count * each for count, each in convolutions) + 1

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: whether batch statistics are taken and dropout is on.

        Returns:
            For strides 1, 2, 4, 8, 16, 32 up to that of the last level the deepest map
            [b, h', w', c] of that stride.  The last map, of 4096 channels, is
            normalised and rectified; the others are bare sums of residual units.

        Raises:
            UserError: images of another rank or channel count.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        x = _conv(self._scaled(_STEM), 3, dtype=self.dtype, name="conv1a")(x)
        pyramid, stride, dilation = {}, 1, 1
        limit = self.output_stride or 2**self.halvings
        dropout = dict(zip(_DROPOUT_LEVELS, self.unit_dropout, strict=True))
        unit = nn.remat(Unit, static_argnums=(2,)) if self.remat else Unit
        for level, count in enumerate(self.units, 1):
            pyramid[stride] = x
            is_halved = 2 <= level <= self.halvings + 1
            step, before = (2 if is_halved else 1), dilation
            if stride * step > limit:
                step, dilation = 1, dilation * 2
            stride *= step
            if is_halved and self._pools_before(level):
                x = layers.max_pool(x, stride=step, dilation=before, pad=self.pool_pad)
                step, before = 1, dilation
            elif self.dilate_first:
                before = dilation
            for i in range(count):
                is_first = i == 0
                x = unit(
                    tuple(map(self._scaled, _WIDTHS[level - 1])),
                    stride=step if is_first else 1,
                    # What comes before the lost stride keeps the dilation, as it does.
                    dilations=(before if is_first else dilation, dilation),
                    has_projection=is_first and level > 1,
                    dropout=dropout.get(level, 0.0),
                    norm=self.norm,
                    dtype=self.dtype,
                    name=f"b{level}_{i}",
                )(x, train)
        x = layers.norm(self.norm, train, dtype=self.dtype, name="bn_out")(x)
        return {**pyramid, stride: nn.relu(x)}

    def _pools_before(self, level: int) -> bool:
        if self.halving == "mixed":
            return level in _POOLED_IF_MIXED
        return self.halving == "pool"

    def _scaled(self, channels: int) -> int:
        return int(channels * self.width)


class Unit(nn.Module):
    """Normalisation, rectification and convolution, two or three times, and a shortcut.

    Attributes:
        widths: channels that the convolutions give: two of 3x3, or 1x1, 3x3 and 1x1.
        stride: step of the first convolution and of the projection.
        dilations: of the first convolution, and of those after it.
        has_projection: the shortcut is a 1x1 convolution of the rectified input.
        dropout: share left out before the last convolution.
        norm: see `layers.norm`.
        dtype: compute type.
    """

    widths: Sequence[int]
    stride: int = 1
    dilations: Sequence[int] = (1, 1)
    has_projection: bool = False
    dropout: float = 0.0
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the unit's output.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken and dropout is on.

        Returns:
            [b, h', w', widths[-1]].
        """
        shortcut = y = x
        last = len(self.widths) - 1
        kernels = _KERNELS[len(self.widths)]
        for i, (width, kernel) in enumerate(zip(self.widths, kernels, strict=True)):
            letter = "abc"[i]
            y = layers.norm(self.norm, train, dtype=self.dtype, name=f"bn_{letter}")(y)
            y = nn.relu(y)
            stride = self.stride if i == 0 else 1
            if i == 0 and self.has_projection:
                shortcut = _conv(
                    self.widths[-1], 1, stride=stride, dtype=self.dtype, name="proj"
                )(y)
            if i == last:
                y = nn.Dropout(self.dropout, deterministic=not train)(y)
            y = _conv(
                width,
                kernel,
                stride=stride,
                dilation=self.dilations[min(i, 1)],
                dtype=self.dtype,
                name=f"conv_{letter}",
            )(y)
        return shortcut + y


def _conv(features: int, kernel: int, **options: Any) -> nn.Conv:
    # The authors' code draws from N(0, 2 / fan-in), projections included.
    init = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
    return layers.conv(features, kernel, kernel_init=init, **options)


def _check_units(units: Sequence[int]) -> None:
    if len(units) == len(_WIDTHS) - 1:
        # Some tables of the paper lost a 1 behind the first count; ports have no B1.
        meant = [(units[0], 1, *units[1:]), (0, *units)][: 2 if units[0] else 1]
        raise errors.UserError(
            "A wide ResNet has seven levels, got six counts of units. Did you mean "
            + " or ".join("-".join(map(str, counts)) for counts in meant)
            + "?"
        )
    is_right = len(units) == len(_WIDTHS) and all(isinstance(n, int) for n in units)
    if not is_right or units[0] < 0 or min(units[1:]) < 1:
        raise errors.UserError(
            "A wide ResNet has seven levels, of which the first may be empty, such as "
            f"(0, 3, 3, 6, 3, 1, 1); got {units!r}."
        )
