"""The memory estimate against what the compiler reports."""

import jax
import jax.numpy as jnp
import pytest

from dpjax import errors
from dpjax.inference import memory
from dpjax.models import rednet, zoo


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


def superpixel_call(name, *, size=(120, 160), count=64):
    """The estimate of a network over superpixels, of an image and its superpixels."""
    module = zoo.create_module(name)
    lengths = {4: count, 12: 3 * count}  # of the smallest example
    inputs = {}
    for key, spec in zoo.example_input(module).items():
        shape = [lengths.get(n, n) for n in spec.shape]
        if key in ("image", "regions"):
            shape[1:3] = size
        inputs[key] = jax.ShapeDtypeStruct(shape, spec.dtype)
    variables = jax.eval_shape(module.init, jax.random.key(0), zoo.blank_input(module))
    return memory.bytes_of_call(module, variables, inputs)


def test_a_look_at_the_image_takes_its_widest_maps():
    # VGG16 begins with 64 channels of every pixel, of which two or three maps live.
    one_map = 120 * 160 * 64 * 4
    assert 2 * one_map <= superpixel_call("dcnf_fcsp") <= 4 * one_map
    wider = superpixel_call("dcnf_fcsp", size=(240, 160))
    assert wider == pytest.approx(2 * superpixel_call("dcnf_fcsp"), rel=0.05)


def test_patches_of_superpixels_take_room_in_proportion_to_their_number():
    each = superpixel_call("dcnf", count=128) - superpixel_call("dcnf", count=64)
    patch, first_map = 224 * 224 * 3 * 4, 54 * 54 * 64 * 4
    assert patch + first_map <= each / 64 <= 4 * (patch + first_map)


def test_the_largest_batch_is_within_budget_and_bounds():
    assert memory.largest_batch(10**9, 10.0, largest=4) == 4
    assert memory.largest_batch(39, 10.0, largest=4) == 3
    assert memory.largest_batch(10, 10.0, largest=4) == 1
    with pytest.raises(errors.UserError, match=r"about 3e\+09 GB .* is 2 GB\. Allow"):
        memory.largest_batch(2 * 10**9, 3e18, largest=4)


@pytest.mark.parametrize(("total", "budget"), [(8, 2), (16, 4), (512, 4)])
def test_the_budget_of_a_host_depends_on_its_size_not_on_its_load(
    monkeypatch, tmp_path, total, budget
):
    table, read = tmp_path / "meminfo", open

    def host_with(free_kib):
        table.write_text(f"MemTotal: {total << 20} kB\nMemAvailable: {free_kib} kB\n")
        monkeypatch.setattr(
            "builtins.open",
            lambda path, *more, **options: read(
                table if path == "/proc/meminfo" else path, *more, **options
            ),
        )
        return memory.available(jax.devices()[0]), memory.free_on_host()

    assert host_with(300) == (budget << 30, 300 << 10)
    assert host_with(5 << 20) == (budget << 30, 5 << 30)


def test_a_system_without_that_table_is_asked_for_its_pages(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    pages = {"SC_PHYS_PAGES": 1 << 20, "SC_AVPHYS_PAGES": 1 << 10, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr("builtins.open", missing)
    monkeypatch.setattr(memory.os, "sysconf", pages.__getitem__)
    assert memory.available(jax.devices()[0]) == 1 << 30
    assert memory.free_on_host() == 4 << 20


def test_an_accelerator_gives_half_of_its_memory():
    class Device:
        def memory_stats(self):
            return {"bytes_limit": 16 << 30, "bytes_in_use": 9 << 30}

    assert memory.available(Device()) == 8 << 30
