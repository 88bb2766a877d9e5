"""Depth as classification (Cao, Wu & Shen, TCSVT 2018): a ResNet that scores bins.

The ResNet loses its pooling and its matrix and convolutions take their place.  The
resolution of an eighth, by dilated convolutions, and kernels, widths and dropout of the
head are this library's choice.
"""

from collections.abc import Mapping

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import layers


class BinHead(nn.Module):
    """Scores from the last map of a backbone: 3x3 convolution, dropout, 1x1.

    Attributes:
        num_classes: scores it gives: bins of depth, or 1 for a number.
        hidden: channels between the convolutions.
        dropout: share of these that training leaves out.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        dtype: compute type.
    """

    num_classes: int
    hidden: int = 512
    dropout: float = 0.5
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    align_corners = False

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns scores as large as the last map.

        Args:
            pyramid: of a backbone, best with output stride 8.
            size: rows and columns of the image; the scores do not depend on it.
            train: whether dropout is on and batch statistics are taken.

        Returns:
            [b, h, w, num_classes], at least float32.
        """
        x = pyramid[max(pyramid)]
        x = layers.conv(self.hidden, 3, dtype=self.dtype, name="conv")(x)
        x = nn.relu(layers.norm(self.norm, train, dtype=self.dtype, name="bn")(x))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return layers.conv(
            self.num_classes,
            1,
            bias=True,
            dtype=jnp.promote_types(self.dtype, jnp.float32),  # see `fixed_size`
            kernel_init=nn.initializers.normal(0.01),
            name="head",
        )(x)
