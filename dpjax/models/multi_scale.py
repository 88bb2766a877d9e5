"""One network on several sizes of an image, as DeepLab-v2 does: the largest score wins.

The weights are those of the network on one size, so either loads the other's.
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

    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Returns the largest score for each class and place.

        Args:
            images: as `Segmenter`.
            train: whether dropout is on and batch statistics are taken.

        Returns:
            float32 [b, h', w', k], as large as the network gives it for the first size.

        Raises:
            UserError: images of another rank or channel count.
        """
        return self.all_scores(images, train)[-1]

    def all_scores(self, images: jax.Array, train: bool = False) -> list[jax.Array]:
        """Returns the scores of each size, and their maximum, to learn from all.

        Args:
            images: as `Segmenter`.
            train: whether dropout is on and batch statistics are taken.

        Returns:
            For each scale float32 [b, h', w', k], and last the maximum.

        Raises:
            UserError: images of another rank or channel count.
        """
        scores = [
            super(MultiScale, self).__call__(_scaled(images, scale), train)
            for scale in self.scales
        ]
        size = scores[0].shape[1:3]
        alike = [enlarge.to_size(score, size, "half_pixel") for score in scores]
        return [*scores, jnp.max(jnp.stack(alike), axis=0)]


def _scaled(images: jax.Array, scale: float) -> jax.Array:
    # Whole pixels only, but no stretching to their number: PyTorch's scale_factor.
    size = tuple(int(side * scale) for side in images.shape[1:3])
    return enlarge.to_size(images, size, "half_pixel", scale=scale)
