"""The five convolutions of AlexNet as the networks of Eigen et al. use them.

Krizhevsky, Sutskever & Hinton, NIPS 2012, without the split in two groups and the
normalisation of responses, and with pools that do not overlap.
"""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers


class AlexNet(nn.Module):
    """A map of stride 32 of an image.

    For 228x304 pixels the maps have 27x37, 13x18 three times, and 6x8 pixels, as in the
    figures of the papers (Eigen, Puhrsch & Fergus, NIPS 2014; Eigen & Fergus, ICCV
    2015); a step of 2 without padding in the last convolution gives that size.

    Attributes:
        widths: channels of the five convolutions.
        input_style: how the weights want images; see `layers.standardise`.
        dtype: compute type; parameters are float32.
    """

    widths: Sequence[int] = (96, 256, 384, 384, 256)
    input_style: layers.InputStyle = "imagenet"
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if len(self.widths) != 5 or not all(
            isinstance(width, int) and width > 0 for width in self.widths
        ):
            raise errors.UserError(
                "AlexNet wants the channels of five convolutions, such as (96, 256, "
                f"384, 384, 256), got {self.widths!r}."
            )

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the last map.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3]; sides from 55.
            train: changes nothing.

        Returns:
            For stride 32 the rectified map [b, h', w', widths[-1]].

        Raises:
            UserError: images of another rank or channel count.
        """

        def convolve(x, i, kernel, **options):
            return nn.relu(
                layers.conv(
                    self.widths[i - 1],
                    kernel,
                    bias=True,
                    dtype=self.dtype,
                    name=f"conv{i}",
                    **options,
                )(x)
            )

        x = layers.standardise(images, self.input_style).astype(self.dtype)
        x = layers.max_pool(convolve(x, 1, 11, stride=4, padding=0), 2, pad=0)
        x = layers.max_pool(convolve(x, 2, 5), 2, pad=0)
        x = convolve(convolve(x, 3, 3), 4, 3)
        return {32: convolve(x, 5, 3, stride=2, padding=0)}
