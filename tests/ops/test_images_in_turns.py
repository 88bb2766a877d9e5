"""Functions of one image for batches: equal to loops, one image at a time."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.ops import images_in_turns


def _solve(pair, x):
    return jnp.linalg.solve(pair["left"] + pair["right"], x)


def _problems(*axes):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, *axes, 3, 3)).astype(np.float32)
    right = right + 9 * np.eye(3, dtype=np.float32)
    return {"left": left, "right": right}, rng.normal(size=(*axes, 3)).astype("f4")


def _looped(pair, x):
    matrices = (pair["left"] + pair["right"]).astype(np.float64)
    return np.linalg.solve(matrices, x[..., None])[..., 0]


@pytest.mark.parametrize("under_vmap", [False, True])
@pytest.mark.parametrize("axes", [(), (4,), (2, 3)])
def test_leading_axes_of_trees_are_those_of_a_loop(axes, under_vmap):
    given = _problems(*axes)
    solve = images_in_turns.for_each(_solve, len(axes), under_vmap=under_vmap)
    np.testing.assert_allclose(jax.jit(solve)(*given), _looped(*given), rtol=1e-5)


@pytest.mark.parametrize("under_vmap", [False, True])
def test_matrices_come_to_lapack_one_by_one(under_vmap):
    given = _problems(5, 4)
    solve = images_in_turns.for_each(_solve, 1, under_vmap=under_vmap)
    outer = jax.jit(jax.vmap(solve))
    np.testing.assert_allclose(outer(*given), _looped(*given), rtol=1e-5)
    text = outer.lower(*given).compile().as_text()
    factored = {line for line in text.splitlines() if "lapack_sgetrf" in line}
    assert factored
    # All that a vmap goes through without taking turns has an axis of its own.
    assert all(("f32[5,3,3]" in line) != under_vmap for line in factored)


def test_gradients_pass_images_in_turns():
    pair, x = _problems(4)

    def total(x):
        return images_in_turns.for_each(_solve, 1)(pair, x).sum()

    inverse = np.linalg.inv((pair["left"] + pair["right"]).astype(np.float64))
    np.testing.assert_allclose(jax.grad(total)(x), inverse.sum(1), rtol=1e-4)
