"""ResNet-50, 101 and 152 with bottlenecks (He et al., CVPR 2016).

v1, the paper's and Caffe's, puts the stride of a stage on the first 1x1 convolution;
v1.5, torchvision's, on the 3x3.  The parameters have the same shapes, so weights of one
load into the other without a word and lose accuracy.
"""

from collections.abc import Sequence
from typing import Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers

_STAGES = ("layer1", "layer2", "layer3", "layer4")
_EXPANSION = 4


class ResNet(nn.Module):
    """The feature pyramid of a ResNet.

    A stage that would exceed `output_stride` is dilated instead (à trous): the
    convolution that loses its stride keeps its dilation and all after it double theirs,
    so that the features of the plain network are among those of the dilated one.

    Attributes:
        blocks: units of the four stages.
        variant: "v1.5" or "v1", the place of the stride.
        output_stride: 8, 16 or 32 pixels between the last features.
        pool_pad: "symmetric" (PyTorch), "same" (Caffe's ResNet) or "ceil" (DeepLab);
            see `layers.max_pool`.
        input_style: how the weights want images; see `layers.standardise`.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        zero_init: each unit starts as the identity (Goyal et al., 2017); the paper's do
            not.
        remat: compute each unit again in the backward pass, to save memory.
        dtype: compute type; parameters and statistics are float32.
    """

    blocks: Sequence[int] = (3, 4, 6, 3)
    variant: Literal["v1", "v1.5"] = "v1.5"
    output_stride: int = 32
    pool_pad: layers.PoolPad = "symmetric"
    input_style: layers.InputStyle = "imagenet"
    norm: layers.NormMode = "sync"
    zero_init: bool = True
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        layers.check_blocks("ResNet", self.blocks, len(_STAGES))
        if self.output_stride not in (8, 16, 32):
            raise errors.UserError(
                f"ResNet wants output_stride 8, 16 or 32, got {self.output_stride}."
            )
        if self.variant not in ("v1", "v1.5"):
            raise errors.unknown_name("variant of ResNet", self.variant, ("v1", "v1.5"))

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: whether batch statistics are taken.

        Returns:
            For strides 2 (64 channels), 4 (256), 8 (512), 16 (1024), 32 (2048) the map
            [b, h', w', c]; strides beyond `output_stride` are missing, and its own map
            is that of the last stage.

        Raises:
            UserError: images of another rank or channel count.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        x = layers.conv(64, 7, stride=2, dtype=self.dtype, name="conv1")(x)
        x = nn.relu(layers.norm(self.norm, train, dtype=self.dtype, name="bn1")(x))
        pyramid = {2: x}
        x = layers.max_pool(x, pad=self.pool_pad)
        stride, dilation = 4, 1
        is_v1 = self.variant == "v1"
        unit = nn.remat(Bottleneck, static_argnums=(2,)) if self.remat else Bottleneck
        for stage, (name, count) in enumerate(zip(_STAGES, self.blocks, strict=True)):
            step, before = (1 if stage == 0 else 2), dilation
            if stride * step > self.output_stride:
                step, dilation = 1, dilation * 2
            stride *= step
            for i in range(count):
                is_first = i == 0
                # What comes before the lost stride keeps the dilation, as it does.
                is_before = is_first and not is_v1
                x = unit(
                    64 * 2**stage,
                    stride=step if is_first else 1,
                    dilation=before if is_before else dilation,
                    has_projection=is_first,
                    stride_on_1x1=is_v1,
                    norm=self.norm,
                    zero_init=self.zero_init,
                    dtype=self.dtype,
                    name=f"{name}_{i}",
                )(x, train)
            pyramid[stride] = x
        return pyramid


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions, each normalised, and the shortcut.

    Attributes:
        width: channels inside; four times as many come out.
        stride: step of the unit.
        dilation: of the 3x3 convolution.
        has_projection: the shortcut is a normalised 1x1 convolution.
        stride_on_1x1: the first convolution takes the step instead of the second.
        norm: see `layers.norm`.
        zero_init: the unit starts as the identity.
        dtype: compute type.
    """

    width: int
    stride: int
    dilation: int
    has_projection: bool
    stride_on_1x1: bool
    norm: layers.NormMode
    zero_init: bool
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the unit's output.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken.

        Returns:
            [b, h', w', 4 * width].
        """

        def convolve(y, features, kernel, i, stride=1, dilation=1):
            return layers.conv(
                features,
                kernel,
                stride=stride,
                dilation=dilation,
                dtype=self.dtype,
                name=f"conv{i}",
            )(y)

        def normalise(y, name, **options):
            return layers.norm(
                self.norm, train, dtype=self.dtype, name=name, **options
            )(y)

        on_1x1, on_3x3 = (self.stride, 1) if self.stride_on_1x1 else (1, self.stride)
        y = convolve(x, self.width, 1, 1, stride=on_1x1)
        y = nn.relu(normalise(y, "bn1"))
        y = convolve(y, self.width, 3, 2, stride=on_3x3, dilation=self.dilation)
        y = nn.relu(normalise(y, "bn2"))
        y = convolve(y, self.width * _EXPANSION, 1, 3)
        inits = nn.initializers
        scale_init = inits.zeros if self.zero_init else inits.ones
        y = normalise(y, "bn3", scale_init=scale_init)
        if self.has_projection:
            x = convolve(x, self.width * _EXPANSION, 1, "_proj", stride=self.stride)
            x = normalise(x, "bn_proj")
        return nn.relu(x + y)
