"""Slopes of maps against loops over neighbours; their gradients against PyTorch's."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.losses import gradient_matching

RNG = np.random.default_rng(0)
SHAPE = (3, 11, 14)
OUTPUT = RNG.normal(size=SHAPE).astype(np.float32)
TARGET = RNG.normal(size=SHAPE).astype(np.float32)
VALID = RNG.random(SHAPE) < 0.8
VALID[1] = True
VALID[2] = False
matching = jax.jit(gradient_matching.gradient_matching, static_argnames="scales")


def textbook(output, target, valid, scales):
    """One image in float64, a pair of neighbours at a time."""
    total = 0.0
    for k in range(scales):
        step = 2**k
        pixels = [(y, x) for y in range(0, 11, step) for x in range(0, 14, step)]
        miss = {
            p: float(output[p]) - float(target[p]) for p in pixels if bool(valid[p])
        }
        for (y, x), r in miss.items():
            for other in ((y + step, x), (y, x + step)):
                if other in miss:
                    total += abs(miss[other] - r) / len(miss)
    return total


@pytest.mark.parametrize("scales", [1, 2, 4, 6])
def test_values_are_those_of_loops_over_neighbours(scales):
    dirty = np.where(VALID, TARGET, np.nan)
    found, counts = matching(OUTPUT, dirty, VALID, scales=scales)
    for b in range(3):
        wanted = textbook(OUTPUT[b], TARGET[b], VALID[b], scales)
        np.testing.assert_allclose(found[b], wanted, rtol=1e-5)
    np.testing.assert_array_equal(counts, [1, 1, 0])


@pytest.mark.torch
def test_gradients_are_those_of_pytorch():
    torch = pytest.importorskip("torch")

    def total(output):
        return matching(output, TARGET, VALID)[0].sum()

    slopes = jax.jit(jax.grad(total))(jnp.asarray(OUTPUT))
    for b in range(2):
        output = torch.tensor(OUTPUT[b], dtype=torch.float64, requires_grad=True)
        known = torch.tensor(VALID[b])
        miss = torch.where(known, output - torch.tensor(TARGET[b]), 0)
        value = 0.0
        for k in range(4):
            part, here = miss[:: 2**k, :: 2**k], known[:: 2**k, :: 2**k]
            for axis in (0, 1):
                n = part.shape[axis]
                both = here.narrow(axis, 1, n - 1) & here.narrow(axis, 0, n - 1)
                value = value + part.diff(dim=axis)[both].abs().sum() / here.sum()
        value.backward()
        np.testing.assert_allclose(slopes[b], output.grad, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(slopes[2], 0)


def test_a_shift_costs_nothing_and_pulls_nowhere():
    def total(output):
        return matching(output, TARGET, VALID)[0].sum()

    value, slope = jax.jit(jax.value_and_grad(total))(jnp.asarray(TARGET))
    assert value == 0
    np.testing.assert_array_equal(slope, 0)
    shifted, plain = total(OUTPUT + 8), total(OUTPUT)
    np.testing.assert_allclose(shifted, plain, rtol=1e-5)


def test_other_shapes_and_no_scales_are_refused():
    with pytest.raises(
        errors.UserError, match=r"one shape \[b, h, w\], got \[3, 154\]"
    ):
        gradient_matching.gradient_matching(
            *(x.reshape(3, -1) for x in (OUTPUT, TARGET, VALID))
        )
    with pytest.raises(errors.UserError, match="at least 1 scale, got 0"):
        gradient_matching.gradient_matching(OUTPUT, TARGET, VALID, scales=0)
