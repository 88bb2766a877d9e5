"""CNN-F without its classifier, as DCNF looks at patches.

Chatfield et al., "Return of the devil in the details", BMVC 2014, table 1; DCNF is Liu,
Shen & Lin, CVPR 2015, whose layers 1 to 6 these are.
"""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import fixed_size, layers
from dpjax.ops import response_norm

DROPOUT = 0.5
SIDE = 224  # pixels


class CNNF(nn.Module):
    """The 4096 features of patches of 224x224 pixels.

    Five convolutions, responses normalised behind the first two, and a matrix.  Pools
    have windows of 3 and steps of 2, and the first also keeps its last, incomplete
    window, as in the released networks; the maps have 54, 27, 13 and 6 pixels a side.

    Attributes:
        widths: channels of the five convolutions.
        fc_width: features it gives.
        dropout: share of them that training leaves out.
        input_style: how the weights want images; see `layers.standardise`.
        dtype: compute type; parameters are float32.
    """

    widths: Sequence[int] = (64, 256, 256, 256, 256)
    fc_width: int = 4096
    dropout: float = DROPOUT
    input_style: layers.InputStyle = "caffe"
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if len(self.widths) != 5 or not all(
            isinstance(width, int) and width > 0 for width in self.widths
        ):
            raise errors.UserError(
                "CNN-F wants the channels of five convolutions, such as (64, 256, 256, "
                f"256, 256), got {self.widths!r}."
            )

    @nn.compact
    def __call__(self, patches: jax.Array, train: bool = False) -> jax.Array:
        """Returns the rectified features of the matrix.

        Args:
            patches: RGB in [0, 1], float [n, 224, 224, 3].
            train: whether dropout is on.

        Returns:
            [n, fc_width].

        Raises:
            UserError: patches of another size, rank or channel count.
        """
        if patches.ndim != 4 or patches.shape[1:3] != (SIDE, SIDE):
            raise errors.UserError(
                f"CNN-F wants patches [n, {SIDE}, {SIDE}, 3], which its matrix is made "
                f"for; got {list(patches.shape)}. Resize them."
            )

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

        x = layers.standardise(patches, self.input_style).astype(self.dtype)
        x = response_norm.across_channels(convolve(x, 1, 11, stride=4, padding=0))
        x = layers.max_pool(x, 3, pad="same")
        x = response_norm.across_channels(convolve(x, 2, 5))
        x = layers.max_pool(x, 3, pad=0)
        x = convolve(convolve(convolve(x, 3, 3), 4, 3), 5, 3)
        x = layers.max_pool(x, 3, pad=0)
        x = fixed_size.dense(x, self.fc_width, dtype=self.dtype, name="fc6")
        return nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
