"""DeconvNet (Noh, Hong & Han, ICCV 2015): VGG16 and its mirror image.

Where the encoder pools, the decoder unpools to the pixels that the pool took, so the
backbone needs no other output than its pyramid, whose maps are what the pools read.
"""

from collections.abc import Mapping

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import layers, pyramids
from dpjax.ops import unpooling

_STRIDES = (16, 8, 4, 2, 1)  # of the maps that pool5 to pool1 read
_COARSEST = 32  # of the map that pool5 gives
_ADVICE = "Take vgg16_bn, as published, vgg16, or wide_resnet_a."
_CONVOLUTIONS = (3, 3, 3, 2, 2)
_FC6_WINDOW = 7


class DeconvNet(nn.Module):
    """Scores for every pixel of an image, on VGG16 with batch normalisation.

    A transposed convolution of stride 1 is a convolution with the kernel turned by half
    a turn, and is one here.

    Attributes:
        num_classes: scores it gives.
        fc_width: channels of fc6 and fc7.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        dtype: compute type.
    """

    num_classes: int
    fc_width: int = 4096
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    align_corners = False
    smallest_side = 32 * _FC6_WINDOW

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns scores as large as the image.

        Args:
            pyramid: of VGG16, or of another backbone of strides 1 to 32.
            size: rows and columns of the image.
            train: whether batch statistics are taken.

        Returns:
            [b, *size, num_classes].

        Raises:
            UserError: the pyramid lacks a stride.
        """
        pyramids.check_strides(pyramid, (*_STRIDES, _COARSEST), "DeconvNet", _ADVICE)

        def convolve(x, features, kernel, padding, name):
            x = layers.conv(
                features,
                kernel,
                padding=padding,
                bias=True,
                dtype=self.dtype,
                name=name,
            )(x)
            norm = layers.norm(self.norm, train, dtype=self.dtype, name=f"bn_{name}")
            return nn.relu(norm(x))

        x = pyramid[_COARSEST]
        channels = [pyramid[stride].shape[-1] for stride in _STRIDES]
        reach = _FC6_WINDOW - 1
        x = convolve(x, self.fc_width, _FC6_WINDOW, 0, "fc6")
        x = convolve(x, self.fc_width, 1, 0, "fc7")
        x = convolve(x, channels[0], _FC6_WINDOW, reach, "deconv6")
        stages = zip(
            _STRIDES,
            _CONVOLUTIONS,
            channels,
            [*channels[1:], channels[-1]],  # what the pool of the next stage gave
            strict=True,
        )
        for stage, (stride, count, width, last) in enumerate(stages):
            read = pyramid[stride]
            x = unpooling.unpool(x, unpooling.switches(read), read.shape[1:3])
            for i in range(1, count + 1):
                features = last if i == count else width
                x = convolve(x, features, 3, 1, f"deconv{5 - stage}_{i}")
        return layers.conv(
            self.num_classes, 1, bias=True, dtype=self.dtype, name="head"
        )(x)
