"""Disparities of both views from the left one: Godard, Mac Aodha & Brostow, CVPR 2017.

Two encoders and their decoder, after the authors' code (mrharicot/monodepth).  Neither
normalises batches, all convolutions have a bias, and what they give is activated by
ELU.  Enlarged maps are cut to the size of the level that they join, which changes
nothing where the sides of an image are multiples of the coarsest stride.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers

_VGG_KERNELS = (7, 5)  # of the first two levels; 3 behind
_EXPANSION = 4
_LARGEST = 0.3  # disparity, share of the width
_SCALES = (8, 4, 2, 1)  # strides of the disparities
_VIEWS = 2
_INIT = nn.initializers.xavier_uniform()  # of TF-Slim


class VGGLike(nn.Module):
    """A feature pyramid of pairs of convolutions, the second of stride 2.

    Attributes:
        widths: channels of each level.
        input_style: how the weights want images; see `layers.standardise`.
        dtype: compute type; parameters are float32.
    """

    widths: Sequence[int] = (32, 64, 128, 256, 512, 512, 512)
    input_style: layers.InputStyle = "unit"
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        _check_widths("VGGLike", "widths", self.widths, len(_SCALES))

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: changes nothing.

        Returns:
            For strides 2, 4, ..., 128 the map [b, h', w', c].

        Raises:
            UserError: images of another rank or channel count.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        pyramid = {}
        kernels = itertools.chain(_VGG_KERNELS, itertools.repeat(3))
        for i, (width, kernel) in enumerate(zip(self.widths, kernels, strict=False), 1):
            x = nn.elu(_conv(width, kernel, self.dtype, f"conv{i}a")(x))
            x = nn.elu(_conv(width, kernel, self.dtype, f"conv{i}b", stride=2)(x))
            pyramid[2**i] = x
        return pyramid


class ResNetLike(nn.Module):
    """A feature pyramid of bottlenecks, where the last of a stage has the stride.

    The shortcut of every unit is a convolution: a comparison in the authors' code that
    was to leave out those between equal counts of channels always holds.

    Attributes:
        blocks: units of the four stages.
        width: channels of the first convolution; those of a stage are 4, 8, 16 and 32
            times as many.
        input_style: how the weights want images; see `layers.standardise`.
        dtype: compute type; parameters are float32.
    """

    blocks: Sequence[int] = (3, 4, 6, 3)
    width: int = 64
    input_style: layers.InputStyle = "unit"
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        layers.check_blocks("ResNetLike", self.blocks, 4)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: changes nothing.

        Returns:
            For strides 2, 4, ..., 64 the map [b, h', w', c].

        Raises:
            UserError: images of another rank or channel count.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        x = nn.elu(_conv(self.width, 7, self.dtype, "conv1", stride=2)(x))
        pyramid = {2: x}
        # ELU gives less than 0, and the authors' padding is 0: it may win.
        x = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        pyramid[4] = x = layers.max_pool(x, pad=0)
        for stage, count in enumerate(self.blocks):
            for i in range(count):
                x = _Unit(
                    self.width * 2**stage,
                    2 if i == count - 1 else 1,
                    self.dtype,
                    name=f"layer{stage + 1}_{i}",
                )(x)
            pyramid[2 ** (stage + 3)] = x
        return pyramid


class _Unit(nn.Module):
    """Three convolutions beside one."""

    features: int
    stride: int
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        wide = _EXPANSION * self.features
        y = nn.elu(_conv(self.features, 1, self.dtype, "conv1")(x))
        y = _conv(self.features, 3, self.dtype, "conv2", stride=self.stride)(y)
        y = _conv(wide, 1, self.dtype, "conv3")(nn.elu(y))
        shortcut = _conv(wide, 1, self.dtype, "shortcut", stride=self.stride)(x)
        return nn.elu(y + shortcut)


class DisparityDecoder(nn.Module):
    """Disparities of four scales, from all levels of a pyramid.

    A map is doubled by repeating pixels and joined with the next level, and from the
    second scale on with the disparities of the scale before.

    Attributes:
        up_widths: channels at strides 1, 2, 4 and so on, up to half of the coarsest.
        dtype: compute type; disparities are float32 at least.
    """

    up_widths: Sequence[int] = (16, 32, 64, 128, 256, 512, 512)
    dtype: jnp.dtype = jnp.float32

    align_corners = False
    views = _VIEWS

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        _check_widths("DisparityDecoder", "up_widths", self.up_widths, len(_SCALES))

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array | tuple[jax.Array, ...]:
        """Returns the disparities; in training those of all scales.

        Args:
            pyramid: of an encoder: strides 2, 4 and so on.
            size: rows and columns of the image.
            train: whether all scales are given.

        Returns:
            Disparities of the left and of the right view, shares of the width from 0 to
            0.3, [b, *size, 2]; in training a tuple of [b, h', w', 2] of strides 8, 4, 2
            and 1.

        Raises:
            UserError: a pyramid with other strides, or more levels than widths.
        """
        levels = len(pyramid)
        wanted = [2**i for i in range(1, levels + 1)]
        least, most = len(_SCALES), len(self.up_widths)
        if sorted(pyramid) != wanted or not least <= levels <= most:
            raise errors.UserError(
                "DisparityDecoder wants features of strides 2, 4 and so on, from "
                f"{least} to {most} levels, got strides {sorted(pyramid)}. Take "
                "another backbone, or as many up_widths."
            )
        single = jnp.promote_types(self.dtype, jnp.float32)
        x = pyramid[2**levels]
        found = []
        for i in reversed(range(levels)):
            stride, width = 2**i, self.up_widths[i]
            within = size if stride == 1 else pyramid[stride].shape[1:3]
            x = _conv(width, 3, self.dtype, f"up_stride{stride}")(_doubled(x, within))
            parts = [nn.elu(x)]
            if stride > 1:
                parts.append(pyramid[stride])
            if found:
                parts.append(_doubled(found[-1], within).astype(self.dtype))
            x = jnp.concatenate(parts, -1)
            x = nn.elu(_conv(width, 3, self.dtype, f"join_stride{stride}")(x))
            if stride in _SCALES:
                name = "head" if stride == 1 else f"disparity_stride{stride}"
                numbers = _conv(_VIEWS, 3, single, name)(x)
                found.append(_LARGEST * nn.sigmoid(numbers))
        return tuple(found) if train else found[-1]


def _doubled(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Each pixel twice along both axes, as far as the size goes."""
    return x.repeat(2, axis=1)[:, : size[0]].repeat(2, axis=2)[:, :, : size[1]]


def _conv(
    features: int, kernel: int, dtype: jnp.dtype, name: str, *, stride: int = 1
) -> Callable[[jax.Array], jax.Array]:
    return layers.conv(
        features,
        kernel,
        stride=stride,
        bias=True,
        dtype=dtype,
        kernel_init=_INIT,
        name=name,
    )


def _check_widths(part: str, name: str, widths: Sequence[int], least: int) -> None:
    is_sequence = isinstance(widths, Sequence) and not isinstance(widths, str)
    if (
        not is_sequence
        or len(widths) < least
        or not all(type(width) is int and width > 0 for width in widths)
    ):
        raise errors.UserError(
            f"{part} wants positive {name} of {least} levels or more, got {widths!r}."
        )
