"""The two scales of Eigen, Puhrsch & Fergus (NIPS 2014): a coarse map, then a fine one.

The coarse network sees the whole image through two matrices and gives a map of a
quarter of its size; the fine one corrects it by what a few convolutions see.  The paper
trains the coarse one first (`scales=1`) and then the fine one on top of it, which it
leaves as it is (`is_joint=False`, from the weights of the first).
"""

import functools

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import fixed_size, layers

_OUTPUT = nn.initializers.normal(0.01)


class CoarseToFine(nn.Module):
    """Numbers for every fourth pixel; natural logarithms of metres in the paper.

    Attributes:
        num_classes: numbers it gives for each pixel; 1 for depth.
        scales: 1 gives the coarse map, 2 the fine one.
        is_joint: whether the coarse network learns what the fine one asks of it.  If
            not, its parameters still shrink where the optimiser decays weights.
        dropout: share of the features that training leaves out behind fc6.
        fc_width: channels of fc6.
        fine_widths: channels of the two fine convolutions before the last; the coarse
            map joins those of the first.
        dtype: compute type.
    """

    num_classes: int
    scales: int = 2
    is_joint: bool = True
    dropout: float = 0.5
    fc_width: int = 4096
    fine_widths: tuple[int, int] = (63, 64)
    dtype: jnp.dtype = jnp.float32

    # The first of four pixels that a fine number is made of has its window at 4, the
    # last at 6; so have the numbers of the coarse map, which stands for the same.
    grid = (5, 4)

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if self.scales not in (1, 2):
            raise errors.UserError(
                f"Eigen's network of 2014 has 1 or 2 scales, got {self.scales!r}."
            )

    @nn.compact
    def __call__(
        self, features: jax.Array, images: jax.Array, train: bool = False
    ) -> jax.Array:
        """Returns the map of the last scale.

        Args:
            features: the last map of the coarse convolutions, [b, h, w, c].
            images: RGB in [0, 1], float [b, rows, columns, 3].
            train: whether dropout is on.

        Returns:
            [b, h', w', num_classes]; 55x74 for images of 228x304 pixels.
        """
        rows, columns = (fine_side(side) for side in images.shape[1:3])
        x = fixed_size.dense(features, self.fc_width, dtype=self.dtype, name="fc6")
        x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
        count = rows * columns * self.num_classes
        kind = jnp.promote_types(self.dtype, jnp.float32)  # see `fixed_size`
        x = fixed_size.dense(x, count, kernel_init=_OUTPUT, dtype=kind, name="coarse")
        coarse = x.reshape(-1, rows, columns, self.num_classes)
        if self.scales == 1:
            return coarse
        if not self.is_joint:
            coarse = lax.stop_gradient(coarse)
        conv = functools.partial(layers.conv, bias=True, dtype=self.dtype)
        output = functools.partial(conv, kernel_init=_OUTPUT, dtype=kind, name="head")
        first, second = self.fine_widths
        x = layers.standardise(images, "imagenet").astype(self.dtype)
        x = nn.relu(conv(first, 9, stride=2, padding=0, name="fine1")(x))
        x = layers.max_pool(x, 2, pad=0)
        x = jnp.concatenate([x, coarse.astype(x.dtype)], axis=-1)
        x = nn.relu(conv(second, 5, name="fine2")(x))
        return output(self.num_classes, 5)(x)


def fine_side(side: int) -> int:
    """Returns the side of a map behind 9x9 with a step of 2, unpadded, and a pool.

    Args:
        side: of the image, pixels.

    Returns:
        Pixels, about a quarter.
    """
    return ((side - 9) // 2 + 1) // 2
