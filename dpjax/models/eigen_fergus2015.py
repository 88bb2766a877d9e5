"""The three scales of Eigen & Fergus (ICCV 2015), for one number or several per pixel.

Scale 1 is a classifier's convolutions, VGG16 or AlexNet, and two matrices that give a
small map of features for the whole image; scales 2 and 3 are convolutions of the image
that take in what the scale before gave.  The paper trains scales 1 and 2 together
(`scales=2`) and then the third on top of them, which it leaves as they are
(`is_joint=False`, from the weights of the first).

Against the authors' release (dnl-depthnormals): depth alone, without the normals that
share the first scale there; VGG's features enter as they are, not divided by 100; the
second scale has no bias of its own for each pixel; and the map of scale 1 is enlarged
with its edge repeated, there it fades out at the last pixel.
"""

import functools
import math

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import eigen2014, fixed_size, layers
from dpjax.ops import enlarge

_OUTPUT = nn.initializers.normal(0.01)


class ThreeScales(nn.Module):
    """Numbers for every second pixel; natural logarithms of metres in the paper.

    Attributes:
        num_classes: numbers it gives for each pixel; 1 for depth.
        scales: 2 gives the map of the second scale, 3 the finest.
        is_joint: whether the first two scales learn what the third asks of them.  If
            not, their parameters still shrink where the optimiser decays weights.
        dropout: share of the features that training leaves out behind the first matrix.
        fc_width: channels behind the first matrix.
        coarse_width: channels of the map behind the second.
        first_widths: channels of the convolutions of the image, scales 2 and 3.
        width: channels of the convolutions after those.
        dtype: compute type.
    """

    num_classes: int
    scales: int = 3
    is_joint: bool = True
    dropout: float = 0.5
    fc_width: int = 4096
    coarse_width: int = 64
    first_widths: tuple[int, int] = (96, 64)
    width: int = 64
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if self.scales not in (2, 3):
            raise errors.UserError(
                "The network of Eigen and Fergus gives the map of scale 2 or 3, got "
                f"{self.scales!r}."
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Row and column of the image that the first number is for, and the step."""
        return 5, 2 if self.scales == 3 else 4

    @nn.compact
    def __call__(
        self, features: jax.Array, images: jax.Array, train: bool = False
    ) -> jax.Array:
        """Returns the map of the last scale.

        Args:
            features: the last map of the classifier's convolutions, [b, h, w, c].
            images: RGB in [0, 1], float [b, rows, columns, 3].
            train: whether dropout is on.

        Returns:
            [b, h', w', num_classes]; for images of 228x304 pixels 109x147, and 55x74
            with two scales.
        """
        size = tuple(eigen2014.fine_side(side) for side in images.shape[1:3])
        coarse = self._scale1(features, images.shape[1:3], train)
        # The grid of scale 1 has every sixteenth pixel, that of scale 2 every fourth.
        coarse = enlarge.to_size(coarse, size, "half_pixel", scale=4)
        pixels = layers.standardise(images, "imagenet").astype(self.dtype)
        conv = functools.partial(layers.conv, bias=True, dtype=self.dtype)
        on_pixels = functools.partial(conv, kernel=9, stride=2, padding=0)
        on_map = functools.partial(conv, kernel=5)
        kind = jnp.promote_types(self.dtype, jnp.float32)  # see `fixed_size`
        output = functools.partial(
            on_map, self.num_classes, kernel_init=_OUTPUT, dtype=kind
        )
        x = nn.relu(on_pixels(self.first_widths[0], name="scale2_1")(pixels))
        x = layers.max_pool(x, 2, pad=0)
        x = jnp.concatenate([coarse, x], axis=-1)
        for i in (2, 3, 4):
            x = nn.relu(on_map(self.width, name=f"scale2_{i}")(x))
        x = output(name="scale2_head")(x)
        if self.scales == 2:
            return x
        if not self.is_joint:
            x = lax.stop_gradient(x)
        rows, columns = (2 * side - 1 for side in size)
        before = x.repeat(2, axis=1).repeat(2, axis=2)[:, :rows, :columns]
        x = nn.relu(on_pixels(self.first_widths[1], name="scale3_1")(pixels))
        x = layers.max_pool(x, 2, 1, pad=0)[:, :rows, :columns]
        x = jnp.concatenate([before.astype(x.dtype), x], axis=-1)
        for i in (2, 3):
            x = nn.relu(on_map(self.width, name=f"scale3_{i}")(x))
        return output(name="head")(x)

    def _scale1(
        self, features: jax.Array, size: tuple[int, int], train: bool
    ) -> jax.Array:
        """The map of the two matrices, [b, rows // 16, columns // 16, coarse_width]."""
        dense = functools.partial(fixed_size.dense, dtype=self.dtype)
        x = nn.relu(dense(features, self.fc_width, name="full1"))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        shape = (*(side // 16 for side in size), self.coarse_width)
        x = nn.relu(dense(x, math.prod(shape), name="full2"))
        return x.reshape(-1, *shape)
