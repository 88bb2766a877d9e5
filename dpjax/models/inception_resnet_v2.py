"""Inception-ResNet-v2 (Szegedy et al., AAAI 2017, section 3.2).

Stem and widths are those of the published weights, not those of the paper's figures.
"""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import inception, layers

Conv = inception.Conv

_STEM = {
    "conv2d_1a": Conv(32, 3, stride=2, is_valid=True),
    "conv2d_2a": Conv(32, 3, is_valid=True),
    "conv2d_2b": Conv(64, 3),
}
_STEM_AFTER_POOL = {
    "conv2d_3b": Conv(80, 1),
    "conv2d_4a": Conv(192, 3, is_valid=True),
}
_MIXED_5B = (
    (Conv(96, 1),),
    (Conv(48, 1), Conv(64, 5)),
    (Conv(64, 1), Conv(96, 3), Conv(96, 3)),
    ("average", Conv(64, 1)),
)
_BLOCK35 = (
    (Conv(32, 1),),
    (Conv(32, 1), Conv(32, 3)),
    (Conv(32, 1), Conv(48, 3), Conv(64, 3)),
)
_MIXED_6A = (
    (Conv(384, 3, stride=2, is_valid=True),),
    (Conv(256, 1), Conv(256, 3), Conv(384, 3, stride=2, is_valid=True)),
    ("max",),
)
_BLOCK17 = (
    (Conv(192, 1),),
    (Conv(128, 1), Conv(160, (1, 7)), Conv(192, (7, 1))),
)
_MIXED_7A = (
    (Conv(256, 1), Conv(384, 3, stride=2, is_valid=True)),
    (Conv(256, 1), Conv(288, 3, stride=2, is_valid=True)),
    (Conv(256, 1), Conv(288, 3), Conv(320, 3, stride=2, is_valid=True)),
    ("max",),
)
_BLOCK8 = (
    (Conv(192, 1),),
    (Conv(192, 1), Conv(224, (1, 3)), Conv(256, (3, 1))),
)
_LAST = Conv(1536, 1)


class InceptionResNetV2(nn.Module):
    """The feature pyramid of Inception-ResNet-v2.

    Attributes:
        blocks: how often the blocks of 35, 17 and 8 pixels are repeated; one more of 8
            ends the network.
        input_style: how the weights want images; see `layers.standardise`.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        remat: compute each block again in the backward pass, to save memory.
        dtype: compute type; parameters and statistics are float32.
    """

    blocks: Sequence[int] = (10, 20, 9)
    input_style: layers.InputStyle = "half"
    norm: layers.NormMode = "sync"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    smallest_side = inception.SMALLEST_SIDE

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        layers.check_blocks("InceptionResNetV2", self.blocks, 3)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Layers without padding cost every map some pixels: 299 x 299 images give sides
        of 147, 71, 35, 17 and 8.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3]; sides from 75.
            train: whether batch statistics are taken.

        Returns:
            For strides 2 (64 channels), 4 (192), 8 (320), 16 (1088), 32 (1536) the
            deepest map [b, h', w', c].

        Raises:
            UserError: images of another rank or channel count, or too small.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        inception.check_images("InceptionResNetV2", images)

        def run(unit, x, *fields, **options):
            if self.remat and unit is not inception.ConvUnit:
                unit = nn.remat(unit, static_argnums=(2,))
            return unit(*fields, norm=self.norm, dtype=self.dtype, **options)(x, train)

        many_35, many_17, many_8 = self.blocks
        for name, conv in _STEM.items():
            x = run(inception.ConvUnit, x, conv, name=name)
        pyramid = {2: x}
        x = layers.max_pool(x, pad=0)
        for name, conv in _STEM_AFTER_POOL.items():
            x = run(inception.ConvUnit, x, conv, name=name)
        pyramid[4] = x
        x = layers.max_pool(x, pad=0)
        x = run(inception.Mixed, x, _MIXED_5B, name="mixed_5b")
        for i in range(many_35):
            x = run(Residual, x, _BLOCK35, 0.17, name=f"block35_{i}")
        pyramid[8] = x
        x = run(inception.Mixed, x, _MIXED_6A, name="mixed_6a")
        for i in range(many_17):
            x = run(Residual, x, _BLOCK17, 0.1, name=f"block17_{i}")
        pyramid[16] = x
        x = run(inception.Mixed, x, _MIXED_7A, name="mixed_7a")
        for i in range(many_8):
            x = run(Residual, x, _BLOCK8, 0.2, name=f"block8_{i}")
        x = run(Residual, x, _BLOCK8, 1.0, is_activated=False, name="block8_last")
        pyramid[32] = run(inception.ConvUnit, x, _LAST, name="conv2d_7b")
        return pyramid


class Residual(nn.Module):
    """The input plus what branches side by side make of it.

    Attributes:
        branches: the steps of each.
        scale: factor of what is added; small ones keep training stable (section 3.3).
        is_activated: whether the sum passes a ReLU.
        norm: see `layers.norm`.
        dtype: compute type.
    """

    branches: inception.Branches
    scale: float
    is_activated: bool = True
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the block's output.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken.

        Returns:
            [b, h, w, c].
        """

        def convolve(y, step, name):
            return inception.ConvUnit(step, self.norm, self.dtype, name=name)(y, train)

        y = inception.side_by_side(x, self.branches, convolve)
        # This convolution has a bias and is not normalised.
        up = layers.conv(x.shape[-1], 1, bias=True, dtype=self.dtype, name="conv_up")
        x = x + self.scale * up(y)
        return nn.relu(x) if self.is_activated else x
