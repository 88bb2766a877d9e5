"""DeepLab-v2 (Chen et al., PAMI 2018): à-trous spatial pyramid pooling.

It stands on a ResNet of output stride 8.  Its authors also take the maximum over three
sizes of the image: see `multi_scale`.
"""

from collections.abc import Mapping, Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import layers


class ASPP(nn.Module):
    """Scores that are the sum of 3x3 convolutions, each with holes of its own size.

    Attributes:
        num_classes: scores it gives.
        rates: dilation of each convolution; (12,) is that of LargeFOV in DeepLab-v1,
            whose two layers of 1024 channels before the scores are not here.
        align_corners: how the scores are enlarged; the authors align the corners
            (513 pixels are 65 scores), the public PyTorch port does not.
        dtype: compute type.
    """

    num_classes: int
    rates: Sequence[int] = (6, 12, 18, 24)
    align_corners: bool = True
    dtype: jnp.dtype = jnp.float32

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
            train: changes nothing.

        Returns:
            [b, h, w, num_classes].
        """
        features = pyramid[max(pyramid)]
        return sum(
            layers.conv(
                self.num_classes,
                3,
                dilation=rate,
                bias=True,
                dtype=self.dtype,
                kernel_init=nn.initializers.normal(0.01),  # authors' prototxt
                name=f"head_{i}",
            )(features)
            for i, rate in enumerate(self.rates)
        )
