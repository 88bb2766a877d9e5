"""Convolutions of one pixel as what they are, matrix products."""

from typing import Any

import jax
from jax import lax
from jax import numpy as jnp


def pointwise(
    x: jax.Array, kernel: jax.Array, strides: tuple[int, int], *_: Any, **__: Any
) -> jax.Array:
    """Returns a 1 x 1 convolution, on processors by a matrix product.

    XLA's convolutions of one pixel run at half the rate of its matrix products there,
    forward and backward; compilers of accelerators choose for themselves.  Stands in
    for `lax.conv_general_dilated` in `flax.linen.Conv`, whose other arguments a kernel
    of one pixel without padding and groups does not need.

    Args:
        x: [b, h, w, c].
        kernel: [1, 1, c, features].
        strides: rows and columns from one output to the next.

    Returns:
        [b, ceil(h / row stride), ceil(w / column stride), features].
    """

    def convolve(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, strides, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def multiply(x, kernel):
        x = x[:, :: strides[0], :: strides[1]]
        return jnp.einsum("bhwc,cd->bhwd", x, kernel[0, 0])

    return lax.platform_dependent(x, kernel, cpu=multiply, default=convolve)
