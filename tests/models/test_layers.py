"""The layers that many networks share: what is not tested through one of them."""

import jax
import numpy as np
import pytest

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


def test_the_input_of_refinenets_authors():
    images = np.array([[[[0.0, 0.5, 1.0]]]], np.float32)
    found = layers.standardise(images, "minus128")
    np.testing.assert_array_equal(found[0, 0, 0], [-128, -0.5, 127])
    with pytest.raises(errors.UserError, match="Did you mean minus128"):
        layers.standardise(images, "minus_128")
