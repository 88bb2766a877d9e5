"""Local response normalisation over neighbouring channels.

Krizhevsky, Sutskever & Hinton, NIPS 2012, section 3.3.
"""

import jax
from jax import numpy as jnp

from dpjax import errors


def across_channels(
    x: jax.Array,
    *,
    size: int = 5,
    bias: float = 2.0,
    alpha: float = 1e-4,
    beta: float = 0.75,
) -> jax.Array:
    """Returns x_i / (bias + alpha sum_j x_j^2)^beta, j among the nearest `size` to i.

    The defaults are the paper's and CNN-F's.  Caffe and PyTorch divide their alpha by
    the size: 5e-4 there is 1e-4 here and in MatConvNet.

    Args:
        x: [..., c].
        size: channels that count, those beyond the first and last as 0; odd.
        bias: k of the paper, above 0.
        alpha: weight of the squares.
        beta: exponent.

    Returns:
        [..., c] of the type of `x`, summed in float32 at least.

    Raises:
        UserError: a size that is not odd and above 0, or a bias that is not above 0.
    """
    if size < 1 or size % 2 == 0 or not bias > 0:
        raise errors.UserError(
            "across_channels wants an odd size from 1 and a bias above 0, got "
            f"{size!r} and {bias!r}."
        )
    reach, channels = size // 2, x.shape[-1]
    y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    pads = [(0, 0)] * (x.ndim - 1) + [(reach, reach)]
    squares = jnp.pad(jnp.square(y), pads)
    total = sum(squares[..., i : i + channels] for i in range(size))
    return (y * (bias + alpha * total) ** -beta).astype(x.dtype)
