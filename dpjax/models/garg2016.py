"""Disparity of one view without depth: Garg, Kumar, Carneiro & Reid, ECCV 2016.

The network is the one that the authors released (Ravi-Garg/
Unsupervised_Depth_Estimation): a ResNet-50 of half the width whose steps are pools, and
the sum of what each level says, joined from coarse to fine as in FCN and in their
paper.  The paper's own network began with the convolutions of AlexNet.
"""

from collections.abc import Mapping, Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers, pyramids
from dpjax.ops import enlarge

_FINEST_STRIDE = 2
_EXPANSION = 4
# What a level is multiplied by at first, from fine to coarse: strides 2, 4, 8, 16.
_SCALES = (1e-6, 1e-5, 1e-4, 1e-2)
_INIT = nn.initializers.xavier_uniform()


class PooledResNet(nn.Module):
    """A feature pyramid of bottlenecks, between which pools of 2x2 pixels halve maps.

    Convolutions have a bias though a normalisation follows, as the release has it.

    Attributes:
        blocks: units of the four stages.
        width: channels of the first convolution; the second has twice as many, and the
            stages 2, 4, 8 and 16 times.
        input_style: how the weights want images; see `layers.standardise`.  The
            release's means are those of FCN, rounded.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        dtype: compute type; parameters and statistics are float32.
    """

    blocks: Sequence[int] = (3, 4, 6, 3)
    width: int = 64
    input_style: layers.InputStyle = "caffe_fcn"
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        layers.check_blocks("PooledResNet", self.blocks, 4)
        if self.width < 2 or self.width % 2:
            raise errors.UserError(
                f"PooledResNet wants an even width from 2, got {self.width!r}."
            )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: whether batch statistics are taken.

        Returns:
            For strides 2, 4, 8, 16 and 32 the map [b, h', w', c].

        Raises:
            UserError: images of another rank or channel count.
        """

        def convolve(x, features, kernel, i):
            x = _conv(features, kernel, self.dtype, f"conv{i}")(x)
            norm = layers.norm(self.norm, train, dtype=self.dtype, name=f"bn{i}")
            return nn.relu(norm(x))

        x = layers.standardise(images, self.input_style).astype(self.dtype)
        x = _halved(convolve(x, self.width, 7, 0))
        x = convolve(x, 2 * self.width, 3, 1)
        pyramid = {2: x}
        for stage, count in enumerate(self.blocks):
            x = _halved(x)
            for i in range(count):
                x = _Unit(
                    self.width // 2 * 2**stage,
                    i == 0,
                    self.norm,
                    self.dtype,
                    name=f"layer{stage + 1}_{i}",
                )(x, train)
            pyramid[2 ** (stage + 2)] = x
        return pyramid


class _Unit(nn.Module):
    """A bottleneck of stride 1."""

    features: int
    has_projection: bool
    norm: layers.NormMode
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        def convolve(x, features, kernel, i):
            x = _conv(features, kernel, self.dtype, f"conv{i}")(x)
            return layers.norm(self.norm, train, dtype=self.dtype, name=f"bn{i}")(x)

        wide = _EXPANSION * self.features
        y = nn.relu(convolve(x, self.features, 1, 1))
        y = nn.relu(convolve(y, self.features, 3, 2))
        y = convolve(y, wide, 1, 3)
        if self.has_projection:
            x = convolve(x, wide, 1, "_proj")
        return nn.relu(x + y)


class DisparitySum(nn.Module):
    """The disparity of the left view: what each level says, added from coarse to fine.

    A map is doubled along with its numbers, which are pixels of its level, by bilinear
    transposed convolutions, which fade at the border.  The release gives the negative,
    where to look in the right view, and so would the negative of all layers "score" and
    "head".  These begin with 0.

    Attributes:
        dtype: compute type; disparities are float32 at least.
    """

    dtype: jnp.dtype = jnp.float32

    align_corners = False
    views = 1

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns the disparity.

        Args:
            pyramid: of a backbone.
            size: rows and columns of the image.
            train: changes nothing.

        Returns:
            Pixels of the image, which may be below 0, [b, *size, 1].

        Raises:
            UserError: a pyramid with other strides.
        """
        strides = pyramids.at_least(pyramid, _FINEST_STRIDE, "DisparitySum")
        wanted = [2**i for i in range(len(_SCALES) + 1, 0, -1)]
        pyramids.check_strides(
            pyramid, wanted, "DisparitySum", "Take the backbone of garg2016_resnet50."
        )
        single = jnp.promote_types(self.dtype, jnp.float32)

        def score(x, name):
            zeros = nn.initializers.zeros
            return layers.conv(
                1, 1, bias=True, dtype=single, kernel_init=zeros, name=name
            )(x)

        total = score(pyramid[strides[0]], "head")
        for stride, factor in zip(wanted[1:], reversed(_SCALES), strict=True):
            x = pyramid[stride]
            init = nn.initializers.constant(factor)
            factors = self.param(f"scale_stride{stride}", init, (x.shape[-1],))
            own = score(x * factors.astype(x.dtype), f"score_stride{stride}")
            total = _doubled(total, x.shape[1:3]) + own
        return _doubled(total, size)


def _doubled(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Twice as many pixels of twice the number, as far as the size goes.

    A transposed convolution of 4x4 and stride 2 knows zeros around the map.
    """
    x = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    double = tuple(2 * side for side in x.shape[1:3])
    x = enlarge.to_size(x, double, "half_pixel")
    return 2 * x[:, 2 : 2 + size[0], 2 : 2 + size[1]]


def _halved(x: jax.Array) -> jax.Array:
    # Caffe keeps the last, incomplete window.
    return layers.max_pool(x, 2, pad="same")


def _conv(features: int, kernel: int, dtype: jnp.dtype, name: str) -> nn.Conv:
    return layers.conv(
        features, kernel, bias=True, dtype=dtype, kernel_init=_INIT, name=name
    )
