"""VGG16 (Simonyan & Zisserman, ICLR 2015), as backbone and as a head of scores.

The head is made of convolutions, so that weights for images of 224 pixels score larger
ones at every place (their section 3.2), and a segmentation network can read its maps.
"""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers

DROPOUT = 0.5  # paper, section 3.1
_CONVOLUTIONS = (2, 2, 3, 3, 3)
_STRIDES = (1, 2, 4, 8, 16, 32)
_WINDOW = 7  # of fc6, on a map of stride 32


class VGG16(nn.Module):
    """The feature pyramid of VGG16.

    Attributes:
        widths: channels of the five stages.
        has_norm: every convolution is normalised, as in the later vgg16_bn.
        output_stride: of the deepest map; pools that would go beyond it keep the size.
        has_holes: behind each pool that keeps the size the dilation of convolutions
            doubles, as in DeepLab; pools have no holes there.
        pool_window: side of the pools, 2 pixels as published or 3 (DeepLab).
        ceil_pools: a pool also keeps the last, incomplete window (Caffe, FCN).
        first_padding: zeros around the image; 100 in FCN, whose fc6 so fits any image.
        input_style: how the weights want images; see `layers.standardise`.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        dtype: compute type; parameters and statistics are float32.
    """

    widths: Sequence[int] = (64, 128, 256, 512, 512)
    has_norm: bool = False
    output_stride: int = 32
    has_holes: bool = False
    pool_window: int = 2
    ceil_pools: bool = False
    first_padding: int = 1
    input_style: layers.InputStyle = "imagenet"
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if len(self.widths) != len(_CONVOLUTIONS) or not all(
            isinstance(width, int) and width > 0 for width in self.widths
        ):
            raise errors.UserError(
                "VGG16 wants the channels of five stages, such as (64, 128, 256, 512, "
                f"512), got {self.widths!r}."
            )
        if self.output_stride not in _STRIDES:
            raise errors.UserError(
                f"The output stride of VGG16 is one of {_STRIDES}, got "
                f"{self.output_stride}."
            )
        if self.pool_window not in (2, 3):
            raise errors.UserError(
                f"The pools of VGG16 have sides of 2 or 3 pixels, got pool_window="
                f"{self.pool_window!r}."
            )

    @property
    def smallest_side(self) -> int:
        """The shortest side of an image that leaves a pixel on every map."""
        if self.ceil_pools or self.pool_window == 3:  # padded on every side
            return 1
        return max(1, self.output_stride - 2 * (self.first_padding - 1))

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3]; any sides from
                `smallest_side`.
            train: whether batch statistics are taken.

        Returns:
            For strides 1 (64 channels), 2 (128), 4 (256), 8 (512) and 16 (512) the last
            rectified map of the stage, [b, h', w', c]; for 32 pool5, that of stride 16
            halved once more.  With a smaller output stride the deepest map is pool5,
            too.

        Raises:
            UserError: images of another rank or channel count.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        pyramid, reached, dilation = {}, 1, 1
        for stage, (width, count) in enumerate(
            zip(self.widths, _CONVOLUTIONS, strict=True)
        ):
            for i in range(count):
                place = f"{stage + 1}_{i + 1}"
                x = layers.conv(
                    width,
                    3,
                    dilation=dilation,
                    padding=self.first_padding if stage == i == 0 else None,
                    bias=True,
                    dtype=self.dtype,
                    name=f"conv{place}",
                )(x)
                if self.has_norm:
                    x = layers.norm(
                        self.norm, train, dtype=self.dtype, name=f"bn{place}"
                    )(x)
                x = nn.relu(x)
            pyramid[reached] = x
            step = 2 if reached < self.output_stride else 1
            pad = "ceil" if self.ceil_pools else (self.pool_window - 1) // 2
            pad = pad if step == 2 else "symmetric"
            x = layers.max_pool(x, self.pool_window, step, pad=pad)
            if self.has_holes and step == 1:
                dilation *= 2
            reached *= step
        return {**pyramid, reached: x}


class VGGHead(nn.Module):
    """fc6, fc7 and fc8 as convolutions.

    Attributes:
        num_classes: scores it gives.
        dropout: share of the features that training leaves out behind fc6 and fc7.
        width: channels of fc6 and fc7.
        dtype: compute type; the scores are float32.
    """

    num_classes: int
    dropout: float = 0.0
    width: int = 4096
    dtype: jnp.dtype = jnp.float32

    smallest_side = 32 * _WINDOW

    def setup(self) -> None:
        """Names the three layers."""

        def layer(features, kernel):
            # torchvision's deviation for matrices; also the paper's (section 3.1).
            init = nn.initializers.normal(0.01)
            return layers.conv(
                features,
                kernel,
                padding=0,
                bias=True,
                dtype=self.dtype,
                kernel_init=init,
            )

        self.fc6 = layer(self.width, _WINDOW)
        self.fc7 = layer(self.width, 1)
        self.fc8 = layer(self.num_classes, 1)
        self.leave_out = nn.Dropout(self.dropout)

    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """Returns scores, the mean over all places of the map.

        Args:
            features: pool5, [b, h, w, c].
            train: whether dropout is on.

        Returns:
            float32 [b, num_classes].

        Raises:
            UserError: a map of fewer than 7x7 pixels.
        """
        return jnp.mean(self.score_map(features, train), axis=(1, 2))

    def score_map(self, features: jax.Array, train: bool = False) -> jax.Array:
        """Returns the scores of each window of 7x7 pixels.

        Args:
            features: pool5, [b, h, w, c].
            train: whether dropout is on.

        Returns:
            float32 [b, h - 6, w - 6, num_classes].

        Raises:
            UserError: a map of fewer than 7x7 pixels.
        """
        scores = self.fc8(self.dense_features(features, train))
        return scores.astype(jnp.promote_types(scores.dtype, jnp.float32))

    def dense_features(self, features: jax.Array, train: bool = False) -> jax.Array:
        """Returns the rectified fc7 of each window of 7x7 pixels.

        Args:
            features: pool5, [b, h, w, c].
            train: whether dropout is on.

        Returns:
            [b, h - 6, w - 6, width].

        Raises:
            UserError: a map of fewer than 7x7 pixels.
        """
        height, width = features.shape[1:3]
        if min(height, width) < _WINDOW:
            raise errors.UserError(
                f"VGG16 scores images of at least {self.smallest_side} pixels on each "
                f"side, {_WINDOW}x{_WINDOW} on its last map; got a map of "
                f"{height}x{width}. Enlarge the images."
            )
        x = features
        for layer in (self.fc6, self.fc7):
            x = self.leave_out(nn.relu(layer(x)), deterministic=not train)
        return x


def head(trunk: VGG16, num_classes: int, dropout: float) -> VGGHead:
    """Returns the head that belongs to a backbone.

    Args:
        trunk: the backbone.
        num_classes: scores it gives.
        dropout: share of the features that training leaves out behind fc6 and fc7.

    Returns:
        The Linen module.
    """
    return VGGHead(num_classes, dropout, dtype=trunk.dtype)
