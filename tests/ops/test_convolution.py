"""Matrix products stand for convolutions of one pixel, forward and backward."""

import jax
import numpy as np
import pytest
from jax import lax

from dpjax.ops import convolution


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 3)])
@pytest.mark.parametrize("size", [(7, 5), (8, 6), (1, 1)])
def test_equals_the_convolution(strides, size):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *size, 3), np.float32)
    kernel = rng.standard_normal((1, 1, 3, 4), np.float32)

    def plain(x, kernel):
        return lax.conv_general_dilated(
            x, kernel, strides, "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def ours(x, kernel):
        return convolution.pointwise(x, kernel, strides, "VALID", precision=None)

    theirs, pull_theirs = jax.vjp(plain, x, kernel)
    found, pull = jax.vjp(jax.jit(ours), x, kernel)
    np.testing.assert_allclose(found, theirs, atol=1e-6)
    cotangent = rng.standard_normal(found.shape, np.float32)
    for one, other in zip(pull(cotangent), pull_theirs(cotangent), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_is_a_matrix_product_on_processors_only():
    x, kernel = np.zeros((1, 4, 4, 2)), np.zeros((1, 1, 2, 3))
    lower = jax.jit(lambda: convolution.pointwise(x, kernel, (1, 1))).trace()
    for platform, wanted in (("cpu", False), ("cuda", True), ("tpu", True)):
        text = lower.lower(lowering_platforms=(platform,)).as_text()
        assert ("stablehlo.convolution" in text) is wanted, platform
