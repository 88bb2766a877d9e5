"""Every network of the zoo that scores pixels: what must hold whatever the decoder.

A new name needs no line here.
"""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import zoo
from tests import peers

CLASSES = 5
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


@pytest.mark.parametrize("name", zoo.list_segmenters())
def test_scores_and_parameters_are_single_precision(name):
    module = zoo.create_module(name, compute_dtype="bfloat16", num_classes=7)
    example = zoo.example_input(module)
    variables = jax.eval_shape(module.init, jax.random.key(0), example)
    assert {a.dtype for a in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    side = example.shape[1] + 95
    images = jax.ShapeDtypeStruct((2, side, side + 34, 3), jnp.float32)
    out = jax.eval_shape(module.apply, variables, images)
    assert out.dtype == jnp.float32
    assert (out.shape[0], out.shape[3]) == (2, 7)
    height, width = out.shape[1:3]
    assert height <= side
    assert abs(width - height * (side + 34) / side) < 2  # the shape of the image
    assert module.is_dense
    assert isinstance(module.align_corners, bool)


@pytest.mark.parametrize("name", zoo.list_segmenters())
def test_options_are_those_of_decoder_and_backbone_as_published(name):
    options = zoo.list_options(name)
    module = zoo.create_module(name)
    inner = getattr(module, "segmenter", module)  # below a CRF
    for option, value in options.items():
        for part in (inner.backbone, inner.decoder):
            if hasattr(part, option) and option != "num_classes":
                assert getattr(part, option) == value, option
    assert {"backbone", "num_classes", "input_style"} <= set(options)


def _small(name):
    """A copy with few units of each kind and narrow layers, where it has such."""
    smaller = {
        "blocks": lambda counts: (1,) * len(counts),
        "units": lambda counts: tuple(min(count, 1) for count in counts),
        "width": lambda factor: factor / 8,
        "widths": lambda widths: tuple(width // 8 for width in widths),
        "path_widths": lambda widths: tuple(width // 16 for width in widths),
        "fc_width": lambda width: 16,
        "hidden": lambda width: 8,
        "dropout": lambda share: 0.0,
        "head_dropout": lambda share: 0.0,
        # There is no train step around the network here, whose devices could share.
        "norm": lambda norm: "device",
    }
    known = zoo.list_options(name)
    few = {key: change(known[key]) for key, change in smaller.items() if key in known}
    return zoo.create_module(name, num_classes=CLASSES, **few)


# Small copies of several names are often the same network, which is computed once.
@functools.cache
def _unmoved(module):
    """Parameters without a usable gradient."""
    variables = peers.random_variables(module)
    side = max(module.smallest_side, 65)
    images = np.random.default_rng(1).random((3, side, side, 3), np.float32)

    def loss(params):
        scores, _ = module.apply(
            {**variables, "params": params},
            images,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(3)},
        )
        return jnp.mean((scores - 1) ** 2)

    gradient = jax.jit(jax.grad(loss), compiler_options=QUICKLY)
    return [
        jax.tree_util.keystr(path)
        for path, slope in jax.tree_util.tree_leaves_with_path(
            gradient(variables["params"])
        )
        if not (np.isfinite(slope).all() and np.abs(slope).max() > 0)
    ]


@pytest.mark.parametrize("name", zoo.list_segmenters())
def test_every_parameter_has_a_gradient(name):
    assert _unmoved(_small(name)) == []


def test_another_backbone_takes_the_published_options_that_it_has():
    module = zoo.create_module("deeplab_v2_resnet101", backbone="wide_resnet_a1")
    assert module.backbone.output_stride == 8
    assert zoo.create_module("fcn8s_vgg16", backbone="vgg16_bn").backbone.ceil_pools
    with pytest.raises(errors.UserError, match="Unknown option of fcn8s_resnet50 'cei"):
        zoo.create_module("fcn8s_resnet50", ceil_pools=True)


def test_an_option_of_both_parts_reaches_both():
    module = zoo.create_module("deconvnet", norm="frozen")
    assert module.backbone.norm == module.decoder.norm == "frozen"
