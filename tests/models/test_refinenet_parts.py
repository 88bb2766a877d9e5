"""Parts of RefineNet by their laws: units, blocks, chained pooling, the decoder."""

import functools

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.models import layers, refinenet
from dpjax.ops import resize
from tests import peers
from tests.models import quick_runs

CONV = functools.partial(layers.conv, kernel=3)
POINT = functools.partial(layers.conv, kernel=1)
_run, _changed = quick_runs.run, quick_runs.changed


def _part(module, *inputs, seed=0):
    """Random kernels for a part of the network, He's variance."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda s: rng.normal(0, 2 / np.sqrt(np.prod(s.shape[:-1])), s.shape).astype(
            np.float32
        ),
        shapes,
    )


def _map(height, width, channels=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((2, height, width, channels)).astype(np.float32)


def test_a_unit_whose_last_kernel_is_zero_is_the_identity():
    x, unit = _map(7, 9), refinenet.ResidualUnit(CONV)
    variables = _part(unit, x)
    assert set(variables["params"]["conv1"]) == {"kernel", "bias"}
    assert set(variables["params"]["conv2"]) == {"kernel"}
    assert peers.relative_error(_run(unit, variables, x), x) > 0.1
    zero = _changed(variables, lambda path, a: a * ("conv2" not in path))
    np.testing.assert_array_equal(_run(unit, zero, x), x)


def _block(**options):
    defaults = {
        "units": 1,
        "pooling_stages": 2,
        "pooling_order": "pool_conv",
        "adapts_paths": True,
        "resize": "align_corners",
        "activation": "relu",
        "conv": CONV,
    }
    return refinenet.RefineBlock(**{**defaults, **options})


@pytest.mark.parametrize("mode", ["align_corners", "half_pixel", "cubic"])
def test_a_block_without_units_and_links_is_a_rectified_sum(mode):
    inputs = {"previous": _map(4, 6, 6), "path": _map(7, 11, 4, seed=1)}
    block = _block(resize=mode)
    variables = _changed(
        _part(block, inputs),
        lambda path, a: a * ("conv2" not in path and "chain" not in path),
    )
    names = ("fuse_previous", "fuse_path")
    kernels = {name: variables["params"][name]["kernel"] for name in names}
    assert [kernels[name].shape[2:] for name in names] == [(6, 4), (4, 4)]

    @jax.jit
    def convolved(x, kernel):
        return jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    deep = np.asarray(convolved(inputs["previous"], kernels["fuse_previous"]))
    if mode == "cubic":  # MATLAB's: both axes by the larger ratio, then cut
        deep = resize.imresize(deep, scale=11 / 6)[:, :7, :11]
    elif mode == "half_pixel":
        deep = resize.imresize(deep, size=(7, 11), kernel="linear", border="replicate")
    else:
        rows, columns = np.linspace(0, 3, 7), np.linspace(0, 5, 11)
        deep = np.apply_along_axis(lambda v: np.interp(rows, range(4), v), 1, deep)
        deep = np.apply_along_axis(lambda v: np.interp(columns, range(6), v), 2, deep)
    wanted = np.maximum(deep + convolved(inputs["path"], kernels["fuse_path"]), 0)
    np.testing.assert_allclose(_run(block, variables, inputs), wanted, atol=1e-5)


def test_the_order_of_the_inputs_does_not_matter_and_one_alone_is_not_convolved():
    inputs = {"previous": _map(4, 6), "a": _map(7, 9, seed=1), "b": _map(7, 9, seed=2)}
    block = _block()
    variables = _part(block, inputs)
    turned = dict(reversed(inputs.items()))
    ours, other = (_run(block, variables, given) for given in (inputs, turned))
    np.testing.assert_allclose(ours, other, atol=1e-5)
    alone = _part(block, {"a": inputs["a"]})["params"]
    assert set(alone) == {"chain", "unit1"}


def test_maps_can_be_added_as_they_are_but_for_the_deeper_block():
    inputs = {"previous": _map(4, 6), "a": _map(7, 9), "wide": _map(7, 9, 6)}
    params = _part(_block(adapts_paths=False), inputs)["params"]
    assert {name for name in params if "fuse" in name} == {"fuse_previous", "fuse_wide"}


@pytest.mark.parametrize("order", ["pool_conv", "conv_pool"])
@pytest.mark.parametrize("conv", [CONV, POINT], ids=["3x3", "1x1"])
def test_a_chain_of_identities_pools_wider_and_wider(order, conv):
    x = np.abs(_map(19, 23))
    chain = refinenet.ChainedPooling(4, order, conv)
    centre = {3: (1, 1), 1: (0, 0)}[conv.keywords["kernel"]]
    variables = _changed(_part(chain, x), lambda path, a: np.zeros_like(a))
    np.testing.assert_array_equal(_run(chain, variables, x), x)
    for kernel in jax.tree.leaves(variables):
        kernel[centre] = np.eye(4)
    wanted = x.astype(np.float64)
    for link in range(1, 5):
        reach = 2 * link
        padded = np.pad(x, [(0, 0), (reach,) * 2, (reach,) * 2, (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, (2 * reach + 1,) * 2, axis=(1, 2)
        )
        wanted += windows.max((-1, -2))
    np.testing.assert_allclose(_run(chain, variables, x), wanted, rtol=1e-6)


@pytest.mark.parametrize("order", ["pool_conv", "conv_pool"])
def test_a_later_link_does_not_change_an_earlier_one(order):
    x = _map(9, 8)
    two = refinenet.ChainedPooling(2, order, CONV)
    variables = _changed(_part(two, x), lambda path, a: a * ("conv2" not in path))
    one = refinenet.ChainedPooling(1, order, CONV)
    first = {"params": {"conv1": variables["params"]["conv1"]}}
    np.testing.assert_array_equal(_run(two, variables, x), _run(one, first, x))


@pytest.mark.parametrize("order", ["pool_conv", "conv_pool"])
@pytest.mark.parametrize(("conv", "side"), [(CONV, 25), (POINT, 17)])
def test_a_chain_of_four_sees_so_far(order, conv, side):
    x = np.zeros((1, 35, 35, 1), np.float32)
    x[0, 17, 17] = 1
    chain = refinenet.ChainedPooling(4, order, conv)
    variables = jax.tree.map(np.ones_like, _part(chain, x))
    seen = np.argwhere(np.asarray(_run(chain, variables, x))[0, :, :, 0] > 0)
    reach = (side - 1) // 2
    assert (seen.min(0) == 17 - reach).all()
    assert (seen.max(0) == 17 + reach).all()


def test_a_pyramid_of_fine_levels_only_is_refused():
    decoder = refinenet.RefineNet(3)
    with pytest.raises(errors.UserError, match="stride 4 or more, got strides"):
        decoder.init(jax.random.key(0), {1: _map(4, 4), 2: _map(2, 2)}, (4, 4))
