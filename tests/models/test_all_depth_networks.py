"""Every network that gives depth: what must hold whatever its form.

A new name needs no line here.
"""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.inference import windows
from dpjax.models import depth_networks, zoo
from tests import peers

FAST = {"xla_backend_optimization_level": 0}
OWN = sorted(depth_networks.BUILDERS)


def test_every_segmenter_without_a_crf_gives_depth():
    segmenters = set(zoo.list_segmenters())
    assert set(zoo.list_depth_networks()) == {*OWN, *segmenters} - {"crf_rnn_vgg16"}
    assert zoo.list_depth_networks("fcrn*") == ["fcrn_resnet50"]
    assert not segmenters & set(OWN)
    assert {zoo.list_options(name)["num_classes"] for name in OWN} == {1}


# Segmenters are gone through elsewhere, with as many numbers as they have classes.
@pytest.mark.parametrize("name", [*OWN, "fcn8s_vgg16", "refinenet_lw_mobilenet_v2"])
def test_one_number_for_each_pixel_is_given_in_single_precision(name):
    module = zoo.create_module(name, compute_dtype="bfloat16", num_classes=1)
    images = zoo.example_input(module)
    variables = jax.eval_shape(module.init, jax.random.key(0), images)
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    out = jax.eval_shape(module.apply, variables, images)
    assert (out.shape[0], out.shape[3], out.dtype) == (1, 1, jnp.float32)
    assert module.is_dense
    assert isinstance(module.align_corners, bool)


@pytest.mark.parametrize("name", OWN)
def test_options_are_those_of_the_parts(name):
    options = zoo.list_options(name)
    module = zoo.create_module(name)
    for option, value in options.items():
        for part in (module.backbone, module.decoder):
            if hasattr(part, option):
                assert getattr(part, option) == value, option
    assert {"num_classes", "input_style"} <= set(options)


def _small(name, **options):
    """A narrow copy, for small images."""
    smaller = {
        "blocks": lambda counts: (1,) * len(counts),
        "widths": lambda widths: tuple(max(width // 16, 4) for width in widths),
        "up_widths": lambda widths: tuple(width // 16 for width in widths),
        "fc_width": lambda width: 16,
        "hidden": lambda width: 8,
        "image_size": lambda size: (76, 101),
        "dropout": lambda share: 0.0,
        # There is no train step around the network here, whose devices could share.
        "norm": lambda norm: "device",
    }
    known = zoo.list_options(name)
    few = {key: change(known[key]) for key, change in smaller.items() if key in known}
    return zoo.create_module(name, **{**few, **options})


def _images(module, count):
    shape = zoo.example_input(module).shape[1:]
    if not hasattr(module, "image_size"):
        shape = (65, 65, 3)
    return np.random.default_rng(1).random((count, *shape), np.float32)


# Small copies of several names are often the same network, which is computed once.
@functools.cache
def _slopes(module):
    variables, images = peers.random_variables(module), _images(module, 3)

    def loss(params):
        numbers, _ = module.apply(
            {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
        )
        return jnp.mean((numbers - 1) ** 2)

    return jax.jit(jax.grad(loss), compiler_options=FAST)(variables["params"])


@pytest.mark.parametrize("name", OWN)
def test_every_parameter_has_a_gradient(name):
    slopes = _slopes(_small(name))
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path


@functools.cache
def _output(module):
    variables = peers.random_variables(module)
    run = jax.jit(module.apply, compiler_options=FAST)
    return run(variables, _images(module, 2))


@pytest.mark.parametrize("name", OWN)
def test_half_precision_stays_near_single(name):
    kinds = ("float32", "bfloat16")
    found = [_output(_small(name, compute_dtype=kind)) for kind in kinds]
    assert found[1].dtype == jnp.float32
    assert 0 < peers.relative_error(found[1], found[0]) < 0.1


@pytest.mark.parametrize("name", sorted(depth_networks.FIXED_SIZE))
def test_a_network_for_one_size_runs_there_and_says_so_elsewhere(name):
    module = _small(name)
    variables = peers.random_variables(module)
    engine = windows.Engine(module, variables, devices=jax.devices()[:1])
    image = _images(module, 1)[0]
    run = functools.partial(jax.jit(module.apply, compiler_options=FAST), variables)
    np.testing.assert_allclose(engine(image), run(image[None])[0], rtol=1e-3, atol=1e-3)
    with pytest.raises(errors.UserError, match="76 rows and 101 columns"):
        engine(image[:70])
