"""A backbone with a head that names what an image shows.

A backbone is a module that gives its feature pyramid, `{stride: map}`; whatever stands
on it, a classifier here, a segmentation decoder elsewhere, finds its parameters under
"backbone", so weights move between them.
"""

import jax
from flax import linen as nn
from jax import numpy as jnp


class LinearHead(nn.Module):
    """Average over the map, dropout, one matrix.

    Matrix and bias start within 1/sqrt(channels) of 0, evenly spread, as in Torch and
    in "Wider or Deeper".

    Attributes:
        num_classes: scores it gives.
        dropout: share of the averaged features that training leaves out.
        dtype: compute type; the average and the scores are float32.
    """

    num_classes: int
    dropout: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """Returns scores.

        Args:
            features: the last map of a backbone, [b, h, w, c].
            train: whether dropout is on.

        Returns:
            float32 [b, num_classes].
        """
        kind = jnp.promote_types(features.dtype, jnp.float32)
        pooled = jnp.mean(features, axis=(1, 2), dtype=kind)
        pooled = nn.Dropout(self.dropout, deterministic=not train)(pooled)
        reach = features.shape[-1] ** -0.5
        scores = nn.Dense(
            self.num_classes,
            dtype=self.dtype,
            kernel_init=_evenly(reach),
            bias_init=_evenly(reach),
            name="fc",
        )(pooled)
        return scores.astype(kind)


def _evenly(reach: float) -> nn.initializers.Initializer:
    def init(key, shape, dtype=jnp.float32):
        return jax.random.uniform(key, shape, dtype, -reach, reach)

    return init


def linear_head(trunk: nn.Module, num_classes: int, dropout: float) -> LinearHead:
    """Returns the head of most backbones.

    Args:
        trunk: the backbone.
        num_classes: scores it gives.
        dropout: share of the averaged features that training leaves out.

    Returns:
        The Linen module.
    """
    return LinearHead(num_classes, dropout, dtype=trunk.dtype)


class Classifier(nn.Module):
    """Scores of classes for whole images.

    Attributes:
        backbone: gives the feature pyramid; see `dpjax.models.zoo`.
        head: turns its last map into scores.
        smallest_side: the shortest side of an image that it accepts, pixels.
    """

    backbone: nn.Module
    head: nn.Module
    smallest_side: int = 32

    # What runs a network asks these: see `zoo`.
    channels = 3
    stride = 1
    halo = None
    is_dense = False

    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Returns one score for each class, before the softmax.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3], or grey ones [b, h, w, 1]; any
                sides from `smallest_side`.
            train: whether dropout is on and batch statistics are taken.

        Returns:
            float32 [b, num_classes].

        Raises:
            UserError: images of another rank or channel count.
        """
        pyramid = self.backbone(images, train=train)
        return self.head(pyramid[max(pyramid)], train=train)
