"""A backbone with a decoder that names every pixel.

The backbone gives its feature pyramid, `{stride: map}`; the decoder turns it into
scores of classes on a grid of its own.  Whoever needs them at the size of the image
enlarges them: the scores here are what the published networks give.

A level of the pyramid may be a tuple of maps, of several stages or scales, for a
decoder whose `joins_maps` is true.

In training a network may give a tuple of maps of scores, to learn from each; the last
is the one that it gives otherwise.
"""

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import scales


class Segmenter(nn.Module):
    """Scores of classes for every pixel, or for every few.

    Attributes:
        backbone: gives the feature pyramid; see `dpjax.models.zoo`.
        decoder: (pyramid, (height, width) of the image, train) to scores [b, h', w',
            k]; its `align_corners` says how they are enlarged to the image, and its
            last layer is called "head".
        smallest_side: the shortest side of an image that it accepts, pixels.
        input_scale: factor by which images are enlarged first.
    """

    backbone: nn.Module
    decoder: nn.Module
    smallest_side: int = 32
    input_scale: float = 1.0

    # What runs a network asks these: see `zoo`.
    channels = 3
    stride = 1
    halo = None
    is_dense = True

    @property
    def align_corners(self) -> bool:
        """Whether the outer scores lie on the outer pixels, not half a step inside."""
        return self.decoder.align_corners

    def __call__(
        self, images: jax.Array, train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """Returns one score for each class and place, before the softmax.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3], or grey ones [b, h, w, 1]; any
                sides from `smallest_side`.
            train: whether dropout is on and batch statistics are taken.

        Returns:
            float32 [b, h', w', k], as large as the decoder gives it; in training a
            tuple of such maps where the decoder gives one.

        Raises:
            UserError: images of another rank or channel count, or several maps of a
                stride for a decoder of one.
        """
        images = scales.scaled(images, self.input_scale)
        pyramid = self.backbone(images, train=train)
        has_tuples = any(isinstance(maps, tuple) for maps in pyramid.values())
        if has_tuples and not getattr(self.decoder, "joins_maps", False):
            raise errors.UserError(
                f"{type(self.decoder).__name__} reads one map of each stride, this "
                "backbone gives several. Choose one scale, and one stage of a stride."
            )
        scores = self.decoder(pyramid, images.shape[1:3], train=train)
        return jax.tree.map(
            lambda x: x.astype(jnp.promote_types(x.dtype, jnp.float32)), scores
        )
