"""The heads of DeepLab: LargeFOV of v1 and à-trous spatial pyramid pooling of v2.

Both stand on a backbone of output stride 8.  LargeFOV (Chen et al., ICLR 2015, section
3) was published on VGG16 whose last pools have lost their strides; ASPP (Chen et al.,
PAMI 2018) on a ResNet, which also takes the maximum over three sizes of the image: see
`multi_scale`.
"""

from collections.abc import Mapping, Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers

_SMALL = nn.initializers.normal(0.01)  # of the scores, authors' prototxt


class LargeFOV(nn.Module):
    """Scores behind two rectified layers, the first of them with large holes.

    They are VGG16's fc6 and fc7 with fewer taps and channels.

    Attributes:
        num_classes: scores it gives.
        rate: dilation of fc6; 12 gives the field of view of 224 pixels that the
            name speaks of.
        fc_width: channels of fc6 and fc7.
        has_mean: the features are averaged over 3x3 places first, with zeros beyond the
            map, as in the authors' prototxt.
        dropout: share of the features that training leaves out behind fc6 and fc7.
        align_corners: how the scores are enlarged; the authors align the corners.
        dtype: compute type.
    """

    num_classes: int
    rate: int = 12
    fc_width: int = 1024
    has_mean: bool = True
    dropout: float = 0.5
    align_corners: bool = True
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if not all(map(_is_count, (self.rate, self.fc_width))):
            raise errors.UserError(
                "LargeFOV wants a rate and an fc_width from 1, such as 12 and 1024, "
                f"got rate={self.rate!r}, fc_width={self.fc_width!r}."
            )

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
            train: whether dropout is on.

        Returns:
            [b, h, w, num_classes].
        """
        x = pyramid[max(pyramid)]
        if self.has_mean:
            x = nn.avg_pool(x, (3, 3), padding=[(1, 1)] * 2)
        for name, kernel, rate in (("fc6", 3, self.rate), ("fc7", 1, 1)):
            x = layers.conv(
                self.fc_width,
                kernel,
                dilation=rate,
                bias=True,
                dtype=self.dtype,
                # The authors take weights of VGG16 instead, and draw none.
                kernel_init=nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
                name=name,
            )(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
        return layers.conv(
            self.num_classes,
            1,
            bias=True,
            dtype=self.dtype,
            kernel_init=_SMALL,
            name="head",
        )(x)


class ASPP(nn.Module):
    """Scores that are the sum of 3x3 convolutions, each with holes of its own size.

    Attributes:
        num_classes: scores it gives.
        rates: dilation of each convolution.
        align_corners: how the scores are enlarged; the authors align the corners
            (513 pixels are 65 scores), the public PyTorch port does not.
        dtype: compute type.
    """

    num_classes: int
    rates: Sequence[int] = (6, 12, 18, 24)
    align_corners: bool = True
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        rates = self.rates
        is_several = isinstance(rates, Sequence) and not isinstance(rates, str)
        if not is_several or not rates or not all(map(_is_count, rates)):
            raise errors.UserError(
                "ASPP wants at least one rate, each from 1, such as (6, 12, 18, 24), "
                f"got {rates!r}."
            )

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
                kernel_init=_SMALL,
                name=f"head_{i}",
            )(features)
            for i, rate in enumerate(self.rates)
        )


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 1  # True is no count
