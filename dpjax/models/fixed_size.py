"""A backbone with a decoder whose matrices read whole maps, so that one size fits.

The last layers of depth networks are float32 whatever the compute type: half precision
rounds logarithms of metres to about a percent.
"""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors

_HE = nn.initializers.he_normal()
_LEAST = 64  # pixels; on fewer the papers' convolutions run out of map


class FixedSizeNetwork(nn.Module):
    """Numbers for every few pixels of images of one size.

    Attributes:
        backbone: gives the feature pyramid, of which the coarsest map is read.
        decoder: (map, images, train) to numbers [b, h', w', k]; its `grid` says where
            they lie.
        image_size: rows and columns of the images; parameters have shapes for it.
    """

    backbone: nn.Module
    decoder: nn.Module
    image_size: Sequence[int]

    # What runs a network asks these: see `zoo`.
    channels = 3
    stride = 1
    halo = None
    is_dense = True
    align_corners = False

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        size = self.image_size
        is_pair = isinstance(size, Sequence) and len(size) == 2
        if not is_pair or not all(type(n) is int and n >= _LEAST for n in size):
            raise errors.UserError(
                f"image_size wants rows and columns from {_LEAST}, such as (228, 304), "
                f"got {size!r}."
            )

    @property
    def smallest_side(self) -> int:
        """The shorter side of the images."""
        return min(self.image_size)

    @property
    def grid(self) -> tuple[int, int]:
        """Row and column of the image that the first number is for, and the step."""
        return self.decoder.grid

    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Returns the numbers of the decoder.

        Args:
            images: RGB in [0, 1], float [b, *image_size, 3].
            train: whether dropout is on.

        Returns:
            float32 [b, h', w', k].

        Raises:
            UserError: images of another size, rank or channel count.
        """
        if images.ndim == 4 and images.shape[1:3] != tuple(self.image_size):
            (rows, columns), (height, width) = self.image_size, images.shape[1:3]
            raise errors.UserError(
                f"This network sees images of {rows} rows and {columns} columns, which "
                f"its matrices are made for; got {height} and {width}. Resize the "
                f"images, or train one with image_size=({height}, {width})."
            )
        pyramid = self.backbone(images, train=train)
        numbers = self.decoder(pyramid[max(pyramid)], images, train=train)
        return numbers.astype(jnp.promote_types(numbers.dtype, jnp.float32))


def dense(
    x: jax.Array,
    features: int,
    *,
    dtype: jnp.dtype,
    kernel_init: nn.initializers.Initializer = _HE,
    name: str,
) -> jax.Array:
    """Returns all numbers of an example times a matrix; called in a compact module.

    Args:
        x: [b, ...].
        features: numbers it gives.
        dtype: compute type.
        kernel_init: He's normal distribution over the numbers it reads unless given.
        name: of the parameters.

    Returns:
        [b, features].
    """
    return nn.DenseGeneral(
        features,
        axis=tuple(range(1, x.ndim)),
        dtype=dtype,
        kernel_init=kernel_init,
        name=name,
    )(x)
