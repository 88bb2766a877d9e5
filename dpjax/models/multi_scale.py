"""One network on several sizes of an image, as DeepLab-v2 does: the largest score wins.

In training it gives the scores of every size too, so that each is learned for itself
(Chen et al., PAMI 2018).  The weights are those of the network on one size, so either
loads the other's.

Images and scores are sampled on the grid that the decoder names for its scores, on
which the loss meets the labels too: with corners on corners, as the authors' Caffe
layers do (321 pixels are 241 and 161), or by the centres of pixels, as the public
PyTorch port does (240 and 160).
"""

from collections.abc import Sequence

import jax
from jax import numpy as jnp

from dpjax.models import segmenter
from dpjax.ops import enlarge


class MultiScale(segmenter.Segmenter):
    """The largest of the scores that a network gives to several sizes of an image.

    Attributes:
        scales: sizes in parts of the image's; the scores are as large as of the first.
    """

    scales: Sequence[float] = (1.0, 0.75, 0.5)

    def __call__(
        self, images: jax.Array, train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """Returns the largest score for each class and place; in training, all scores.

        Args:
            images: as `Segmenter`.
            train: whether dropout is on, batch statistics are taken, and the scores of
                each size are given.

        Returns:
            float32 [b, h', w', k], as large as the network gives it for the first size;
            in training a tuple that ends in it, after those of each size.

        Raises:
            UserError: images of another rank or channel count.
        """
        grid = "align_corners" if self.align_corners else "half_pixel"
        each = [
            super(MultiScale, self).__call__(_scaled(images, scale, grid), train)
            for scale in self.scales
        ]
        size = each[0].shape[1:3]
        alike = [enlarge.to_size(scores, size, grid) for scores in each]
        largest = jnp.max(jnp.stack(alike), axis=0)
        return (*each, largest) if train else largest


def _scaled(images: jax.Array, scale: float, grid: enlarge.Mode) -> jax.Array:
    sides = images.shape[1:3]
    if grid == "align_corners":  # the steps between pixels are scaled
        size = tuple(int((side - 1) * scale) + 1 for side in sides)
        return enlarge.to_size(images, size, grid)
    # Whole pixels only, but no stretching to their number: PyTorch's scale_factor.
    size = tuple(int(side * scale) for side in sides)
    return enlarge.to_size(images, size, grid, scale=scale)
