"""Sampling along rows against PyTorch's grid_sample, loops, and finite differences."""

import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import warp

RNG = np.random.default_rng(0)
IMAGES = RNG.random((2, 3, 7, 4)).astype(np.float32)
SHIFT = RNG.uniform(-9, 9, (2, 3, 7)).astype(np.float32)
SHIFT[0, 0] = [0, 1, -3, -1.5, 1.5, 6.25, -0.25]
each = pytest.mark.parametrize("beyond", warp.Beyond.__args__)


def _value(row, place, beyond):
    """One sample of a row [w, c] in float64."""

    def at(column):
        if beyond == "edge":
            return row[min(max(column, 0), len(row) - 1)]
        return row[column] if 0 <= column < len(row) else 0 * row[0]

    left = math.floor(place)
    return (left + 1 - place) * at(left) + (place - left) * at(left + 1)


@each
def test_samples_are_those_of_loops(beyond):
    found = jax.jit(warp.along_rows, static_argnums=2)(IMAGES, SHIFT, beyond)
    for b, r, c in np.ndindex(SHIFT.shape):
        row = IMAGES[b, r].astype(np.float64)
        wanted = _value(row, c + float(SHIFT[b, r, c]), beyond)
        np.testing.assert_allclose(found[b, r, c], wanted, atol=3e-6)


@pytest.mark.torch
@each
def test_samples_and_slopes_are_those_of_grid_sample(beyond):
    torch = pytest.importorskip("torch")
    pull = RNG.random(IMAGES.shape).astype(np.float32)
    images = torch.tensor(IMAGES.transpose(0, 3, 1, 2), dtype=torch.float64)
    # Not at columns, where PyTorch's own rounding chooses a side.
    shift = torch.tensor(SHIFT + 0.01, dtype=torch.float64)
    images.requires_grad_(), shift.requires_grad_()
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, 3, dtype=torch.float64),
        torch.arange(7, dtype=torch.float64),
        indexing="ij",
    )
    across = (columns + shift) * 2 / 6 - 1
    grid = torch.stack([across, rows.expand_as(across)], -1)
    theirs = torch.nn.functional.grid_sample(
        images,
        grid,
        padding_mode={"zero": "zeros", "edge": "border"}[beyond],
        align_corners=True,
    )
    theirs.backward(torch.tensor(pull.transpose(0, 3, 1, 2), dtype=torch.float64))
    ours, back = jax.vjp(
        lambda i, s: warp.along_rows(i, s, beyond), IMAGES, SHIFT + np.float32(0.01)
    )
    theirs = theirs.detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(ours, theirs, atol=3e-6)
    of_images, of_shift = back(pull)
    wanted = images.grad.numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(of_images, wanted, atol=1e-5)
    np.testing.assert_allclose(of_shift, shift.grad, atol=1e-5)


@each
def test_no_shift_gives_the_image_itself(beyond):
    found = warp.along_rows(IMAGES, jnp.zeros(SHIFT.shape), beyond)
    np.testing.assert_array_equal(found, IMAGES)
    moved = warp.along_rows(IMAGES, jnp.full(SHIFT.shape, 2.0), beyond)
    np.testing.assert_array_equal(moved[:, :, :-2], IMAGES[:, :, 2:])


@each
@pytest.mark.parametrize("shift", [1e30, -1e30, np.inf, -np.inf])
def test_far_outside_nothing_changes_any_more(beyond, shift):
    given = jnp.full(SHIFT.shape, shift, jnp.float32)
    found = warp.along_rows(IMAGES, given, beyond)
    wanted = 0 * IMAGES if beyond == "zero" else IMAGES[:, :, [6 if shift > 0 else 0]]
    np.testing.assert_array_equal(found, np.broadcast_to(wanted, found.shape))
    slope = jax.grad(lambda s: warp.along_rows(IMAGES, s, beyond).sum())(given)
    assert not np.asarray(slope).any()


@each
def test_one_column_is_enough(beyond):
    images = jnp.ones((1, 2, 1, 3))
    found = warp.along_rows(images, jnp.full((1, 2, 1), 0.25), beyond)
    np.testing.assert_allclose(found, 0.75 if beyond == "zero" else 1.0)


def test_half_precision_images_are_sampled_in_single():
    found = warp.along_rows(jnp.asarray(IMAGES, jnp.bfloat16), SHIFT)
    assert found.dtype == jnp.float32


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(errors.UserError, match=r"\[2, 3, 7, 4\] and \[2, 3, 6\]"):
        warp.along_rows(IMAGES, SHIFT[..., :6])
    with pytest.raises(errors.UserError, match="Unknown kind of beyond 'zeros'"):
        warp.along_rows(IMAGES, SHIFT, "zeros")
