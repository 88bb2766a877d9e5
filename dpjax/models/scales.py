"""One image at several sizes, each seen by a backbone of its own."""

import math
from collections.abc import Sequence
from typing import Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import resize

Pairing = Literal["level", "resolution"]

_FINEST_STRIDE = 4  # decoders read nothing finer of several sizes


class Scales(nn.Module):
    """The feature pyramids of an image at several sizes, as one.

    Attributes:
        backbones: one for each size, with weights of its own.
        factors: sizes of what they see, relative to the image.
        pairing: which maps share a level: those of the same "level" of their backbones
            (official RefineNet), or those of the nearest "resolution", level by level
            of the largest size.
    """

    backbones: Sequence[nn.Module]
    factors: Sequence[float]
    pairing: Pairing = "level"

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if len(self.backbones) != len(self.factors) or min(self.factors) <= 0:
            raise errors.UserError(
                "Scales wants a positive factor for each backbone, got "
                f"{tuple(self.factors)} for {len(self.backbones)}."
            )
        if self.pairing not in Pairing.__args__:
            raise errors.unknown_name("pairing", self.pairing, Pairing.__args__)

    def __call__(
        self, images: jax.Array, train: bool = False
    ) -> dict[int, tuple[jax.Array, ...]]:
        """Returns the maps of all backbones.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: whether batch statistics are taken.

        Returns:
            For each stride from 4 on the maps [b, h', w', c], in the order of the
            backbones; it is the stride in what the backbone saw, or with "resolution"
            in the largest size.
        """
        found = [
            (stride, factor, maps if isinstance(maps, tuple) else (maps,))
            for backbone, factor in zip(self.backbones, self.factors, strict=True)
            for stride, maps in backbone(scaled(images, factor), train=train).items()
            if stride >= _FINEST_STRIDE
        ]
        largest = max(self.factors)
        strides = [stride for stride, factor, _ in found if factor == largest]
        joined = {}
        for stride, factor, maps in found:
            if self.pairing == "resolution":
                stride = _nearest(stride * largest / factor, strides)
            joined[stride] = (*joined.get(stride, ()), *maps)
        return joined


def scaled(images: jax.Array, factor: float) -> jax.Array:
    """Returns images of another size, resampled as MATLAB does.

    Args:
        images: float [b, h, w, c].
        factor: size of the result, of which fractions of a pixel count as one.

    Returns:
        float32 [b, ceil(h * factor), ceil(w * factor), c]; `images` if `factor` is 1.
    """
    if factor == 1:
        return images
    return resize.imresize(jnp.asarray(images), scale=factor)


def _nearest(stride: float, strides: Sequence[int]) -> int:
    return min(strides, key=lambda other: abs(math.log(stride / other)))
