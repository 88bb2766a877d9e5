"""Operations of programs whose arithmetic can be counted by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, Mesh
from jax.sharding import PartitionSpec as P

from dpjax.models import zoo
from dpjax.training import flops


def _shape(*sides):
    return jax.ShapeDtypeStruct(sides, jnp.float32)


def _conv(x, kernel, stride=1, groups=1, dilation=1):
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        "VALID",
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def test_matrix_products_of_a_batch():
    work = flops.count(lambda a, b: a @ b, _shape(5, 3, 7), _shape(5, 7, 2))
    assert work == 5 * (2 * 3 * 7 * 2)


@pytest.mark.parametrize(
    ("stride", "groups", "dilation"), [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]
)
def test_convolution_counts_each_tap(stride, groups, dilation):
    side, channels, features, window = 11, 4, 6, 3
    reach = dilation * (window - 1) + 1
    by_hand = 0
    for _row in range(0, side - reach + 1, stride):
        for _column in range(0, side - reach + 1, stride):
            by_hand += 2 * features * window * window * (channels // groups)
    work = flops.count(
        lambda x, k: _conv(x, k, stride, groups, dilation),
        _shape(3, side, side, channels),
        _shape(window, window, channels // groups, features),
    )
    assert work == 3 * by_hand


def test_gradient_of_a_convolution_costs_what_its_products_cost():
    x, kernel = _shape(2, 9, 9, 4), _shape(3, 3, 4, 8)
    forward = flops.count(_conv, x, kernel)
    weight = flops.count(jax.grad(lambda k, x: _conv(x, k).sum()), kernel, x)
    # The trace holds the forward pass too.  The gradient of the weights needs as many
    # products; that of the image also multiplies the border of zeros around it.
    assert weight == 2 * forward
    image = flops.count(jax.grad(lambda x, k: _conv(x, k).sum()), x, kernel)
    assert 49 * image == (49 + 81) * forward


def test_loops_count_each_round_and_conditions_their_costly_branch():
    x = _shape(4, 4)

    def rounds(x):
        return lax.scan(lambda carry, _: (carry @ carry, None), x, None, length=6)[0]

    def either(x):
        return lax.cond(x[0, 0] > 0, lambda y: y @ y @ y, lambda y: y @ y, x)

    once = 2 * 4**3
    assert flops.count(rounds, x) == 6 * once
    assert flops.count(either, x) == 2 * once
    assert flops.count(jax.checkpoint(lambda x: x @ x), x) == once
    assert flops.count(jnp.sin, x) == 0


def test_below_shard_map_it_is_the_share_of_one_device():
    mesh = Mesh(np.array(jax.devices()[:4]), ("batch",), axis_types=(AxisType.Auto,))
    mapped = jax.shard_map(
        lambda a, b: a @ b, mesh=mesh, in_specs=(P("batch"), P()), out_specs=P("batch")
    )
    assert flops.count(mapped, _shape(8, 3), _shape(3, 5)) == 2 * 2 * 3 * 5


# Multiplications with an addition, in units of 10^9, at the side of the paper.
GMAC = {
    "resnet50": (224, 4.089),
    "resnet101": (224, 7.801),
    "resnet152": (224, 11.514),
    "preact_resnet50": (224, 4.089),
    "preact_resnet152": (320, 23.495),
    "preact_resnet200": (224, 15.007),
    "vgg16": (224, 15.470),
    "mobilenet_v2": (224, 0.301),
    "inception_v4": (299, 12.254),
    "inception_resnet_v2": (299, 13.156),
    "wide_resnet_a": (224, 49.519),
    "wide_resnet_a1": (224, 49.519),
    "wide_resnet_a2": (224, 49.519),
    "wide_resnet_b": (224, 16.224),
    "wide_resnet_16": (224, 12.525),
    "wide_resnet_c": (112, 11.342),
    "wide_resnet_d": (112, 9.493),
    "wide_resnet_e": (112, 7.643),
    "wide_resnet_f": (56, 7.164),
}


@pytest.mark.parametrize("name", GMAC)
def test_classifiers_cost_what_is_published(name):
    side, wanted = GMAC[name]
    module = zoo.create_module(name)
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    image = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    assert flops.count(module.apply, shapes, image) / 2e9 == pytest.approx(
        wanted, abs=6e-4
    )
