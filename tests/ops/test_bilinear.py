"""Bilinear transposed convolutions against sums of shifted kernels, and PyTorch."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import bilinear


def _by_hand(x, step):
    """Adds a kernel for each pixel, as the definition says."""
    b, height, width, c = x.shape
    side = 2 * step
    line = np.array([1 - abs(i - (step - 0.5)) / step for i in range(side)])
    out = np.zeros((b, (height + 1) * step, (width + 1) * step, c))
    for i in range(height):
        for j in range(width):
            rows, columns = i * step, j * step
            kernel = np.outer(line, line)[None, :, :, None]
            window = np.s_[:, rows : rows + side, columns : columns + side]
            out[window] += x[:, i : i + 1, j : j + 1] * kernel
    return out


def _maps(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("step", [2, 8, 32])
def test_it_is_the_sum_of_shifted_kernels(step):
    x = _maps(2, 3, 2, 2)
    wanted = _by_hand(x, step)
    got = bilinear.transposed_convolution(x, step)
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    window = bilinear.transposed_convolution(x, step, offset=step - 1, size=(5, 4))
    np.testing.assert_allclose(
        window, wanted[:, step - 1 : step + 4, step - 1 : step + 3], atol=1e-6
    )
    rest = bilinear.transposed_convolution(x, step, offset=3)
    np.testing.assert_allclose(rest, wanted[:, 3:, 3:], atol=1e-6)


@pytest.mark.torch
@pytest.mark.parametrize("step", [2, 16])
def test_it_is_the_layer_of_pytorch(step):
    torch = pytest.importorskip("torch")
    x = _maps(1, 4, 5, 3)
    line = bilinear.triangle(2 * step)
    kernel = torch.from_numpy(np.outer(line, line)).float()
    wanted = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x.transpose(0, 3, 1, 2)),
        kernel.expand(3, 1, -1, -1),
        stride=step,
        groups=3,
    )
    got = bilinear.transposed_convolution(x, step)
    np.testing.assert_allclose(got, wanted.numpy().transpose(0, 2, 3, 1), atol=1e-6)


@pytest.mark.parametrize("step", [2, 8, 16, 32])
def test_kernels_sum_to_the_area_and_constants_stay(step):
    line = bilinear.triangle(2 * step)
    assert np.outer(line, line).sum() == pytest.approx(step**2)
    out = bilinear.transposed_convolution(jnp.full((1, 4, 3, 1), 7.0), step)
    inside = out[:, step:-step, step:-step]
    np.testing.assert_allclose(inside, 7, rtol=1e-6)
    assert out[0, 0, 0, 0] < 0.3 * 7  # beyond the border there are zeros


@pytest.mark.parametrize(
    ("taps", "wanted"), [(1, [1]), (3, [0.5, 1, 0.5]), (4, [0.25, 0.75, 0.75, 0.25])]
)
def test_triangles_have_their_top_in_the_middle(taps, wanted):
    np.testing.assert_allclose(bilinear.triangle(taps), wanted)


def test_its_gradient_is_the_adjoint():
    x, y = _maps(1, 3, 4, 2), _maps(1, 9, 7, 2)
    run = lambda x: bilinear.transposed_convolution(  # noqa: E731
        x, 4, offset=5, size=(9, 7)
    )
    _, back = jax.vjp(run, x)
    assert np.vdot(run(x), y) == pytest.approx(np.vdot(x, back(y)[0]), rel=1e-5)


def test_half_precision_is_summed_in_single():
    x = jnp.asarray(_maps(1, 3, 3, 2), jnp.bfloat16)
    got = bilinear.transposed_convolution(x, 8)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, _by_hand(np.float32(x), 8), atol=1e-6)


def test_a_window_beyond_the_result_is_refused():
    with pytest.raises(errors.UserError, match=r"2x3 enlarged 4 .* 12x16 .* 9x5 wa"):
        bilinear.transposed_convolution(_maps(1, 2, 3, 1), 4, offset=4, size=(9, 5))
