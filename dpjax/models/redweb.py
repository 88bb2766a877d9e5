"""The decoder of ReDWeb (Xian et al., CVPR 2018) for relative and metric depth.

The coarsest map is enlarged level by level; each level of the backbone is adapted by a
residual block, added, and adapted again.  Layers and widths are those of the first
author's later release (KexianHust/Structure-Guided-Ranking-Loss, CVPR 2020).  Only the
last layer says whether the network gives an order, a number or bins of depth, so that
one is trained from the weights of the other by skipping "decoder/head".
"""

from collections.abc import Mapping, Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers, pyramids
from dpjax.ops import enlarge

_FINEST_STRIDE = 4
_INIT = nn.initializers.normal(0.01)  # the release


class FusionDecoder(nn.Module):
    """Numbers for every pixel of the image, from all levels of stride 4 and more.

    The release doubles every map; here maps get the size of the next level, then half
    of the image and all of it, which is the same for sides that are multiples of 32.

    Attributes:
        num_classes: numbers it gives for each pixel: 1, or bins of depth.
        up_widths: channels of the coarsest level, and of all others.
        last_stride: 1, or 2 to leave out the last enlargement, which follows the last
            layer: many bins fill memory, and `losses.depth_bins.enlarged` does it.
        rectifies_shortcut: whether the shortcut of an adaptation is rectified, unlike
            that of a plain residual unit.  In the release it is, since the first ReLU
            of the branch works in place.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        dtype: compute type.
    """

    num_classes: int
    up_widths: Sequence[int] = (512, 256)
    last_stride: int = 1
    rectifies_shortcut: bool = True
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    align_corners = True

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if self.last_stride not in (1, 2):
            raise errors.UserError(
                f"FusionDecoder wants last_stride 1 or 2, got {self.last_stride!r}."
            )
        widths = self.up_widths
        if not isinstance(widths, Sequence) or len(widths) != 2 or min(widths) < 2:
            raise errors.UserError(
                "FusionDecoder wants two up_widths from 2, of the coarsest level and "
                f"of the others, got {widths!r}."
            )

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns the numbers.

        Args:
            pyramid: of a backbone.
            size: rows and columns of the image.
            train: whether batch statistics are taken.

        Returns:
            [b, *size, num_classes], or half of the size, rounded up; at least float32.

        Raises:
            UserError: a backbone without maps of stride 4 or more.
        """
        strides = pyramids.at_least(pyramid, _FINEST_STRIDE, "FusionDecoder")
        half = tuple(-(-side // 2) for side in size)
        sizes = [pyramid[stride].shape[1:3] for stride in strides[1:]] + [half]
        first, width = self.up_widths

        def adapt(x, features, name):
            return Adaptation(
                features, self.rectifies_shortcut, self.norm, self.dtype, name=name
            )(x, train)

        x = adapt(pyramid[strides[0]], first, "adapt_coarsest")
        x = _conv(width, self.dtype, "reduce")(x)
        x = enlarge.to_size(x, sizes[0])
        for stride, after in zip(strides[1:], sizes[1:], strict=True):
            x = x + adapt(pyramid[stride], width, f"adapt_stride{stride}")
            x = enlarge.to_size(adapt(x, width, f"fuse_stride{stride}"), after)
        x = _conv(width // 2, self.dtype, "conv_out")(x)
        x = nn.relu(layers.norm(self.norm, train, dtype=self.dtype, name="bn_out")(x))
        single = jnp.promote_types(self.dtype, jnp.float32)  # see `fixed_size`
        x = _conv(self.num_classes, single, "head")(x)
        return x if self.last_stride == 2 else enlarge.to_size(x, size)


class Adaptation(nn.Module):
    """A 3x3 convolution and a residual unit, rectified: "feature transfer block".

    Attributes:
        features: channels it gives.
        rectifies_shortcut: see `FusionDecoder`.
        norm: see `layers.norm`.
        dtype: compute type.
    """

    features: int
    rectifies_shortcut: bool
    norm: layers.NormMode
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the adapted map.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken.

        Returns:
            [b, h, w, features].
        """
        x = _conv(self.features, self.dtype, "conv1")(x)
        y = _conv(self.features, self.dtype, "conv2")(nn.relu(x))
        y = nn.relu(layers.norm(self.norm, train, dtype=self.dtype, name="bn")(y))
        y = _conv(self.features, self.dtype, "conv3")(y)
        return nn.relu((nn.relu(x) if self.rectifies_shortcut else x) + y)


def _conv(features: int, dtype: jnp.dtype, name: str) -> nn.Conv:
    return layers.conv(
        features, 3, bias=True, dtype=dtype, kernel_init=_INIT, name=name
    )
