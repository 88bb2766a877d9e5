"""The memory estimate against what the compiler reports."""

import jax
import jax.numpy as jnp
import pytest

from dpjax import errors
from dpjax.inference import memory
from dpjax.models import rednet


@pytest.mark.parametrize(("depth", "stride"), [(10, 1), (20, 1), (30, 1), (20, 2)])
def test_estimate_bounds_the_compiled_program(depth, stride):
    module = rednet.RedNet(depth=depth, widths=16, stride=stride)
    variables = module.init(jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
    shape = jax.ShapeDtypeStruct((1, 128, 128, 1), jnp.float32)
    compiled = jax.jit(module.apply).lower(variables, shape).compile()
    analysis = compiled.memory_analysis()
    used = (analysis.temp_size_in_bytes + 2 * 128 * 128 * 4) / 128**2
    estimate = memory.bytes_per_pixel(module, variables, 1, stride=stride)
    assert used <= estimate <= 2.5 * used


def test_estimate_does_not_compile():
    module = rednet.RedNet(depth=30, widths=128)
    shapes = jax.eval_shape(
        module.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)
    )
    # Seven skips and the two maps of a layer, 128 channels of four bytes each.
    estimate = memory.bytes_per_pixel(module, shapes, 1)
    assert 9 * 512 <= estimate <= 12 * 512


def test_largest_window_is_a_multiple_within_budget_and_bounds():
    options = {"largest": 512, "smallest": 64, "bucket": 32}
    assert memory.largest_window(10**12, 10.0, **options) == 512
    assert memory.largest_window(200 * 200 * 10, 10.0, **options) == 192
    assert memory.largest_window(64 * 64 * 10, 10.0, **options) == 64
    with pytest.raises(errors.UserError, match="64 x 64"):
        memory.largest_window(63 * 63 * 10, 10.0, **options)


def test_a_host_reports_some_memory():
    assert 0 < memory.available(jax.devices()[0]) <= 4 << 30
    assert memory.free_on_host() >= memory.available(jax.devices()[0])
