"""The layers that many networks share: what is not tested through one of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from dpjax import errors
from dpjax.models import layers


@pytest.mark.torch
@pytest.mark.parametrize("window", [2, 3, 5, 8])
@pytest.mark.parametrize("size", [(7, 9), (1, 4)])
def test_pooling_without_steps_is_that_of_pytorch_and_so_is_its_gradient(window, size):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *size, 3)).astype(np.float32) - 5  # padding never wins
    pad = window // 2
    theirs_x = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    theirs = torch.nn.functional.max_pool2d(theirs_x, window, 1, pad)
    pull = torch.from_numpy(rng.standard_normal(theirs.shape).astype(np.float32))
    theirs.backward(pull)

    @jax.jit
    def both(x, pull):
        ours, back = jax.vjp(lambda x: layers.max_pool(x, window, 1, pad=pad), x)
        return ours, back(pull)[0]

    ours, slopes = both(x, pull.numpy().transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(ours, theirs.detach().numpy().transpose(0, 2, 3, 1))
    wanted = theirs_x.grad.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(slopes, wanted, atol=1e-5)


def test_equal_values_share_the_gradient():
    x = np.zeros((1, 5, 5, 1), np.float32)
    slopes = jax.jit(jax.grad(lambda x: layers.max_pool(x, 5, 1)[0, 2, 2, 0]))(x)
    assert float(slopes.sum()) == 1
    assert (slopes > 0).all()


@pytest.mark.parametrize(("window", "stride"), [(2, 2), (3, 2), (5, 3), (2, 3)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_pooling_with_steps_is_that_of_xla_and_so_is_its_gradient(
    window, stride, dtype
):
    # Half of the values are 0, as behind a rectifier, so that many windows are ties.
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.integers(-3, 4, (2, 11, 14, 3)).clip(0), dtype)
    pad = window // 2

    def theirs(x):
        sides = (1, window, window, 1), (1, stride, stride, 1)
        return lax.reduce_window(
            x, -jnp.inf, lax.max, *sides, [(0, 0), (pad, pad), (pad, pad), (0, 0)]
        )

    def ours(x):
        return layers.max_pool(x, window, stride, pad=pad)

    @jax.jit
    def both(x, pull):
        found = [jax.vjp(f, x) for f in (ours, theirs)]
        return [(value, back(pull)[0]) for value, back in found]

    pull = jnp.asarray(rng.integers(1, 9, jax.eval_shape(theirs, x).shape), dtype)
    mine, wanted = both(x, pull)
    jax.tree.map(np.testing.assert_array_equal, mine, wanted)


def test_pooling_with_steps_keeps_what_is_not_a_number():
    x = jnp.zeros((1, 4, 6, 1)).at[0, 1, (1, 2), 0].set(jnp.array([jnp.nan, 5.0]))
    pooled = layers.max_pool(x, 2, 2, pad=0)[0, :, :, 0]
    np.testing.assert_array_equal(pooled, [[np.nan, 5, 0], [0, 0, 0]])


def test_the_input_of_refinenets_authors():
    images = np.array([[[[0.0, 0.5, 1.0]]]], np.float32)
    found = layers.standardise(images, "minus128")
    np.testing.assert_array_equal(found[0, 0, 0], [-128, -0.5, 127])
    with pytest.raises(errors.UserError, match="Did you mean minus128"):
        layers.standardise(images, "minus_128")
