"""From the features of a superpixel to its depth: the last layers of DCNF.

Liu, Shen & Lin, CVPR 2015: after a rectified layer sixteen logistic experts, and their
weighted sum.  DCNF-FCSP (Liu et al., PAMI 2016) puts the like on pooled features.
"""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jax import numpy as jnp

DROPOUT = 0.5


class SuperpixelHead(nn.Module):
    """One number for every vector of features.

    Attributes:
        widths: channels of the rectified layers: (128,) behind the 4096 of CNN-F, or
            more of them.
        experts: channels of the logistic layer.
        dropout: share of the rectified features that training leaves out.
        dtype: compute type; the last layer is float32.
    """

    widths: Sequence[int] = (128,)
    experts: int = 16
    dropout: float = DROPOUT
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """Returns the numbers.

        Args:
            features: [..., c].
            train: whether dropout is on.

        Returns:
            float32 [...].
        """
        x = features.astype(self.dtype)
        for i, width in enumerate(self.widths, 1):
            x = nn.Dense(
                width,
                dtype=self.dtype,
                kernel_init=nn.initializers.he_normal(),
                name=f"hidden{i}",
            )(x)
            x = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(x))
        x = nn.sigmoid(nn.Dense(self.experts, dtype=self.dtype, name="experts")(x))
        # Half precision would round logarithms of metres to a percent.
        kind = jnp.promote_types(self.dtype, jnp.float32)
        return nn.Dense(1, dtype=kind, name="head")(x)[..., 0]
