"""Inception-v4 (Szegedy et al., AAAI 2017, section 3.1)."""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import inception, layers

Conv = inception.Conv
Fork = inception.Fork

# Figure 3, in three parts between which the first maps of a stride lie.
_STEM = (
    Conv(32, 3, stride=2, is_valid=True),
    Conv(32, 3, is_valid=True),
    Conv(64, 3),
)
_MIXED_3A = (
    ("max",),
    (Conv(96, 3, stride=2, is_valid=True),),
)
_MIXED_4A = (
    (Conv(64, 1), Conv(96, 3, is_valid=True)),
    (Conv(64, 1), Conv(64, (1, 7)), Conv(64, (7, 1)), Conv(96, 3, is_valid=True)),
)
_MIXED_5A = (
    (Conv(192, 3, stride=2, is_valid=True),),
    ("max",),
)
_A = (  # figure 4
    (Conv(96, 1),),
    (Conv(64, 1), Conv(96, 3)),
    (Conv(64, 1), Conv(96, 3), Conv(96, 3)),
    ("average", Conv(96, 1)),
)
_REDUCTION_A = (  # figure 7
    (Conv(384, 3, stride=2, is_valid=True),),
    (Conv(192, 1), Conv(224, 3), Conv(256, 3, stride=2, is_valid=True)),
    ("max",),
)
# Figure 5; as in the published weights, whose two-convolution branch ends in 7x1.
_B = (
    (Conv(384, 1),),
    (Conv(192, 1), Conv(224, (1, 7)), Conv(256, (7, 1))),
    (
        Conv(192, 1),
        Conv(192, (7, 1)),
        Conv(224, (1, 7)),
        Conv(224, (7, 1)),
        Conv(256, (1, 7)),
    ),
    ("average", Conv(128, 1)),
)
_REDUCTION_B = (  # figure 8
    (Conv(192, 1), Conv(192, 3, stride=2, is_valid=True)),
    (
        Conv(256, 1),
        Conv(256, (1, 7)),
        Conv(320, (7, 1)),
        Conv(320, 3, stride=2, is_valid=True),
    ),
    ("max",),
)
_FORK = Fork(Conv(256, (1, 3)), Conv(256, (3, 1)))
_C = (  # figure 6
    (Conv(256, 1),),
    (Conv(384, 1), _FORK),
    (Conv(384, 1), Conv(448, (3, 1)), Conv(512, (1, 3)), _FORK),
    ("average", Conv(256, 1)),
)


class InceptionV4(nn.Module):
    """The feature pyramid of Inception-v4.

    Attributes:
        blocks: how often the blocks A, B and C are repeated.
        input_style: how the weights want images; see `layers.standardise`.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        remat: compute each block again in the backward pass, to save memory.
        dtype: compute type; parameters and statistics are float32.
    """

    blocks: Sequence[int] = (4, 7, 3)
    input_style: layers.InputStyle = "half"
    norm: layers.NormMode = "sync"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    smallest_side = inception.SMALLEST_SIDE

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        layers.check_blocks("InceptionV4", self.blocks, 3)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Layers without padding cost every map some pixels: 299 x 299 images give sides
        of 147, 71, 35, 17 and 8.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3]; sides from 75.
            train: whether batch statistics are taken.

        Returns:
            For strides 2 (64 channels), 4 (192), 8 (384), 16 (1024), 32 (1536) the
            deepest map [b, h', w', c].

        Raises:
            UserError: images of another rank or channel count, or too small.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        inception.check_images("InceptionV4", images)
        mixed = inception.Mixed
        if self.remat:
            mixed = nn.remat(mixed, static_argnums=(2,))
        a, b, c = self.blocks
        stages = {
            2: _STEM,
            4: (_MIXED_3A, _MIXED_4A),
            8: (_MIXED_5A, *[_A] * a),
            16: (_REDUCTION_A, *[_B] * b),
            32: (_REDUCTION_B, *[_C] * c),
        }
        pyramid, i = {}, 0
        for stride, steps in stages.items():
            for step in steps:
                unit = inception.ConvUnit if isinstance(step, Conv) else mixed
                x = unit(step, self.norm, self.dtype, name=f"features_{i}")(x, train)
                i += 1
            pyramid[stride] = x
        return pyramid
