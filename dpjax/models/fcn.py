"""Fully convolutional networks (Long, Shelhamer & Darrell, CVPR 2015; PAMI 2017).

FCN-32s, 16s and 8s score a map of stride 32 and, for the finer two, those of 16 and 8,
and sum the scores from coarse to fine.  `FCN` is the published one for VGG16;
`PyramidFCN` puts the same idea on any backbone.
"""

from collections.abc import Mapping, Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers, pyramids
from dpjax.ops import bilinear, enlarge

_COARSEST = 32
_STRIDES = (32, 16, 8)
_FC6_WINDOW = 7
_PADDING = 100
# Where the image, or the coarser scores, begin on the padded maps: the published crops.
_IMAGE_OFFSETS = {32: 19, 16: 27, 8: 31}
_SKIP_OFFSETS = {16: 5, 8: 9}
_SCORE = {"bias": True, "kernel_init": nn.initializers.zeros}  # as published


class FCN(nn.Module):
    """Scores for every pixel of an image, on VGG16 as published.

    The backbone has `first_padding=100` and `ceil_pools`, which makes fc6 fit images of
    any size; fixed crops undo it.

    Attributes:
        num_classes: scores it gives.
        finest: stride of the finest map that is scored: 32, 16 or 8.
        skip_scales: factors on the maps of stride 16 and 8; (0.01, 0.0001) in the
            network that learns all its scores at once.
        dropout: share of the features that training leaves out behind fc6 and fc7.
        fc_width: channels of fc6 and fc7.
        dtype: compute type; the scores are float32.
    """

    num_classes: int
    finest: int = 8
    skip_scales: Sequence[float] = (1.0, 1.0)
    dropout: float = 0.5
    fc_width: int = 4096
    dtype: jnp.dtype = jnp.float32

    align_corners = False
    smallest_side = 1

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        _check_stride(self.finest)
        if len(self.skip_scales) != len(_SKIP_OFFSETS):
            raise errors.UserError(
                "FCN wants skip_scales for the maps of stride 16 and 8, as in (1, 1), "
                f"got {self.skip_scales!r}."
            )

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns scores as large as the image.

        Args:
            pyramid: of VGG16; the maps of stride 32, and 8 and 4 for the skips.
            size: rows and columns of the image.
            train: whether dropout is on.

        Returns:
            float32 [b, *size, num_classes].

        Raises:
            UserError: maps of another backbone.
        """
        # The map of the stride before is what the backbone's pool reads.
        skips = {s: s // 2 for s in _SKIP_OFFSETS if s >= self.finest}
        pyramids.check_strides(
            pyramid,
            (_COARSEST, *skips.values()),
            f"FCN-{self.finest}s",
            "Take vgg16 or vgg16_bn; the network fcn8s_resnet50 is an FCN that reads "
            "other backbones.",
        )
        _check_padding(pyramid[_COARSEST], size)

        def score(features, name):
            return layers.conv(
                self.num_classes, 1, dtype=self.dtype, name=name, **_SCORE
            )(features)

        x = pyramid[_COARSEST]
        for name, window in (("fc6", _FC6_WINDOW), ("fc7", 1)):
            x = layers.conv(
                self.fc_width,
                window,
                padding=0,
                bias=True,
                dtype=self.dtype,
                kernel_init=nn.initializers.normal(0.01),
                name=name,
            )(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
        scores = score(x, "head")
        # Those that come after `finest` have a factor, but are not read.
        for stride, scale in zip(skips, self.skip_scales, strict=False):
            scores = bilinear.transposed_convolution(scores, 2)
            pooled = layers.max_pool(pyramid[skips[stride]], 2, pad="same")
            pooled = _window(pooled, _SKIP_OFFSETS[stride], scores.shape[1:3])
            scores = scores + score(pooled * scale, f"head_{stride}")
        return bilinear.transposed_convolution(
            scores, self.finest, offset=_IMAGE_OFFSETS[self.finest], size=size
        )


class PyramidFCN(nn.Module):
    """Scores on any backbone that reaches `finest`: a 1x1 convolution a map, summed.

    Coarser scores are enlarged bilinearly with aligned corners: maps of convolutions
    padded alike on both sides lie on every second pixel of the next finer ones.

    Attributes:
        num_classes: scores it gives.
        finest: stride of the finest map that is scored: 32, 16 or 8.
        dtype: compute type; the scores are float32.
    """

    num_classes: int
    finest: int = 8
    dtype: jnp.dtype = jnp.float32

    align_corners = True

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        _check_stride(self.finest)

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns scores as large as the finest map that is scored.

        Args:
            pyramid: of any backbone with a stride of `finest` or more.
            size: rows and columns of the image; the scores do not depend on it.
            train: changes nothing.

        Returns:
            float32 [b, h, w, num_classes].

        Raises:
            UserError: no level has the stride `finest` or more.
        """
        total = None
        for stride in pyramids.at_least(pyramid, self.finest, "PyramidFCN"):
            name = "head" if total is None else f"head_{stride}"
            scores = layers.conv(
                self.num_classes, 1, dtype=self.dtype, name=name, **_SCORE
            )(pyramid[stride])
            scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
            if total is not None:
                total = enlarge.to_size(total, scores.shape[1:3])
                scores = scores + total
            total = scores
        return total


def _check_stride(finest: int) -> None:
    if finest not in _STRIDES:
        raise errors.UserError(
            f"FCN scores maps down to a stride of 32, 16 or 8, got finest={finest!r}."
        )


def _check_padding(features: jax.Array, size: tuple[int, int]) -> None:
    # conv1_1 adds 2 * 100 pixels and takes 2; five pools round up.
    wanted = tuple(-(-(n + 2 * _PADDING - 2) // _COARSEST) for n in size)
    if features.shape[1:3] != wanted:
        raise errors.UserError(
            f"FCN reads VGG16 with first_padding={_PADDING} and ceil_pools=True, whose "
            f"last map is {wanted[0]}x{wanted[1]} for an image of {size[0]}x{size[1]}; "
            f"got {features.shape[1]}x{features.shape[2]}. PyramidFCN reads others."
        )


def _window(x: jax.Array, offset: int, size: tuple[int, int]) -> jax.Array:
    return x[:, offset : offset + size[0], offset : offset + size[1]]
