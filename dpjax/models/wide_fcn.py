"""The head of "Wider or Deeper" for segmentation (Wu, Shen & van den Hengel, 2016).

It stands on a wide ResNet of output stride 8: two dilated convolutions ("2 conv." in
the paper's tables) or one.  Feature i is centred on pixel 8i, but the authors train it
to name pixel 8i + 4 and enlarge by pixel areas, so the network learns half a step.
"""

from collections.abc import Mapping

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import layers


class DilatedHead(nn.Module):
    """Scores from the last map of a backbone by 3x3 convolutions with holes.

    Attributes:
        num_classes: scores it gives.
        hidden: channels of the first convolution; 0 leaves it out.
        dilation: of both convolutions.
        dtype: compute type.
    """

    num_classes: int
    hidden: int = 512
    dilation: int = 12
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
            train: changes nothing; the paper's dropout is in the backbone.

        Returns:
            [b, h, w, num_classes].
        """

        def convolve(x, features, name):
            return layers.conv(
                features,
                3,
                dilation=self.dilation,
                bias=True,
                dtype=self.dtype,
                kernel_init=nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
                name=name,
            )(x)

        x = pyramid[max(pyramid)]
        if self.hidden:
            x = nn.relu(convolve(x, self.hidden, "conv"))
        return convolve(x, self.num_classes, "head")
