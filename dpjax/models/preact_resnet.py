"""Pre-activation ResNets of 50 to 200 layers (He et al., "Identity Mappings", 2016).

Normalisation and rectification stand before each convolution, and nothing behind the
sum.  The stride of a stage is that of the 3x3 convolution, as in fb.resnet.torch and
timm, which differ in the stem.
"""

from collections.abc import Sequence
from typing import Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers

Stem = Literal["plain", "activated"]

_STAGES = ("layer1", "layer2", "layer3", "layer4")
_STEM = 64
_EXPANSION = 4


class PreActResNet(nn.Module):
    """The feature pyramid of a pre-activation ResNet.

    A stage that would exceed `output_stride` is dilated instead (à trous): the
    convolution that loses its stride keeps its dilation and all after it double theirs,
    so that the features of the plain network are among those of the dilated one.

    Attributes:
        blocks: units of the four stages.
        stem: "plain", convolution and pooling (timm); or "activated", the paper's and
            fb.resnet.torch's: also normalised and rectified before the pooling, which
            the first unit then reads as it is.
        width: factor on all channels; 64 times it is a whole number.
        output_stride: 8, 16 or 32 pixels between the last features.
        input_style: how the weights want images; see `layers.standardise`.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        remat: compute each unit again in the backward pass, to save memory.
        dtype: compute type; parameters and statistics are float32.
    """

    blocks: Sequence[int] = (3, 4, 6, 3)
    stem: Stem = "activated"
    width: float = 1.0
    output_stride: int = 32
    input_style: layers.InputStyle = "imagenet"
    norm: layers.NormMode = "sync"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        layers.check_blocks("PreActResNet", self.blocks, len(_STAGES))
        if self.output_stride not in (8, 16, 32):
            raise errors.UserError(
                "PreActResNet wants output_stride 8, 16 or 32, got "
                f"{self.output_stride!r}."
            )
        if self.stem not in Stem.__args__:
            raise errors.unknown_name("stem", self.stem, Stem.__args__)
        if self.width <= 0 or self.width * _STEM % 1:
            raise errors.UserError(
                f"PreActResNet wants a width of which {_STEM} times is a whole number, "
                f"such as 1, 0.5 or 0.125, got {self.width!r}."
            )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: whether batch statistics are taken.

        Returns:
            For strides 2 (64 channels), 4 (256), 8 (512), 16 (1024), 32 (2048) the map
            [b, h', w', c]; strides beyond `output_stride` are missing.  The last map is
            normalised and rectified; those of the stages before are bare sums, and that
            of stride 2 is what the stem pools.

        Raises:
            UserError: images of another rank or channel count.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        stem = int(_STEM * self.width)
        x = layers.conv(stem, 7, stride=2, dtype=self.dtype, name="conv1")(x)
        is_activated = self.stem == "activated"
        if is_activated:
            x = nn.relu(layers.norm(self.norm, train, dtype=self.dtype, name="bn1")(x))
        pyramid = {2: x}
        x = layers.max_pool(x)
        stride, dilation = 4, 1
        unit = nn.remat(Unit, static_argnums=(2,)) if self.remat else Unit
        for stage, (name, count) in enumerate(zip(_STAGES, self.blocks, strict=True)):
            step, before = (1 if stage == 0 else 2), dilation
            if stride * step > self.output_stride:
                step, dilation = 1, dilation * 2
            stride *= step
            for i in range(count):
                is_first = i == 0
                x = unit(
                    stem * 2**stage,
                    stride=step if is_first else 1,
                    # What comes before the lost stride keeps the dilation, as it does.
                    dilation=before if is_first else dilation,
                    has_projection=is_first,
                    activates_input=not (is_activated and is_first and stage == 0),
                    norm=self.norm,
                    dtype=self.dtype,
                    name=f"{name}_{i}",
                )(x, train)
            pyramid[stride] = x
        x = layers.norm(self.norm, train, dtype=self.dtype, name="bn_out")(x)
        return {**pyramid, stride: nn.relu(x)}


class Unit(nn.Module):
    """1x1, 3x3, 1x1 convolutions of activated maps, and the shortcut.

    Attributes:
        width: channels inside; four times as many come out.
        stride: step of the 3x3 convolution and of the projection.
        dilation: of the 3x3 convolution.
        has_projection: the shortcut is a 1x1 convolution of the activated input.
        activates_input: the input is normalised and rectified first.
        norm: see `layers.norm`.
        dtype: compute type.
    """

    width: int
    stride: int = 1
    dilation: int = 1
    has_projection: bool = False
    activates_input: bool = True
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the unit's output, a bare sum.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken.

        Returns:
            [b, h', w', 4 * width].
        """

        def activate(y, i):
            normalise = layers.norm(self.norm, train, dtype=self.dtype, name=f"bn{i}")
            return nn.relu(normalise(y))

        def convolve(y, features, kernel, name, **options):
            return layers.conv(
                features, kernel, dtype=self.dtype, name=f"conv{name}", **options
            )(y)

        shortcut = x
        if self.activates_input:
            x = activate(x, 1)
        y = convolve(x, self.width, 1, 1)
        y = convolve(
            activate(y, 2), self.width, 3, 2, stride=self.stride, dilation=self.dilation
        )
        y = convolve(activate(y, 3), self.width * _EXPANSION, 1, 3)
        if self.has_projection:
            shortcut = convolve(
                x, self.width * _EXPANSION, 1, "_proj", stride=self.stride
            )
        return shortcut + y
