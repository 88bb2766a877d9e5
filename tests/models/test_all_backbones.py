"""Every backbone of the zoo, in a small copy: what must hold whatever the architecture.

A new name needs no line here.
"""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.models import zoo
from tests import peers

# Each layer rounds by up to 2**-9.  Most maps end 0.01 or 0.02 away; those of the many
# narrow layers of MobileNet up to 0.07, with some random weights.
HALF_PRECISION = 0.1
CLASSES = 5
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


def _small(name, **options):
    """A classifier with few units of each kind and narrow layers, where it has such."""
    smaller = {
        "blocks": lambda counts: tuple(min(count, 2) for count in counts),
        "units": lambda counts: tuple(min(count, 2) for count in counts),
        "width": lambda factor: factor / 8,
        "widths": lambda widths: tuple(width // 8 for width in widths),
        # There is no train step around the network here, whose devices could share.
        "norm": lambda norm: "device",
    }
    known = zoo.list_options(name)
    few = {key: change(known[key]) for key, change in smaller.items() if key in known}
    return zoo.create_module(name, num_classes=CLASSES, **few, **options)


def _images(module, count):
    side = module.smallest_side
    return np.random.default_rng(1).random((count, side, side, 3), np.float32)


# Small copies of several names are often the same network, which is computed once.
@functools.cache
def _unmoved(module):
    """Parameters without a usable gradient, and statistics that a step leaves."""
    variables = peers.random_variables(module)
    images = _images(module, 4)
    targets = np.random.default_rng(2).normal(size=(4, CLASSES))

    def loss(params):
        scores, changed = module.apply(
            {**variables, "params": params},
            images,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(3)},
        )
        return jnp.mean((scores - targets) ** 2), changed

    gradient = jax.jit(jax.grad(loss, has_aux=True), compiler_options=QUICKLY)
    grads, after = gradient(variables["params"])
    moves = {"params": grads}
    if "batch_stats" in variables:
        before = {"batch_stats": variables["batch_stats"]}
        moves |= jax.tree.map(jnp.subtract, after, before)
    return [
        jax.tree_util.keystr(path)
        for path, move in jax.tree_util.tree_leaves_with_path(moves)
        if not (np.isfinite(move).all() and np.abs(move).max() > 0)
    ]


@pytest.mark.parametrize("name", zoo.list_backbones())
def test_every_parameter_has_a_gradient_and_every_statistic_moves(name):
    assert _unmoved(_small(name)) == []


@functools.cache
def _pyramid_and_scores(module):
    """What a network makes of two images with random variables."""

    def run(network, images):
        pyramid = network.backbone(images)
        return pyramid, network.head(pyramid[max(pyramid)])

    apply = functools.partial(module.apply, method=run)
    return jax.jit(apply, compiler_options=QUICKLY)(
        peers.random_variables(module), _images(module, 2)
    )


@pytest.mark.parametrize("name", zoo.list_backbones())
def test_half_precision_stays_near_single(name):
    single, scores = _pyramid_and_scores(_small(name))
    half, half_scores = _pyramid_and_scores(_small(name, compute_dtype="bfloat16"))
    assert scores.dtype == half_scores.dtype == jnp.float32
    assert peers.relative_error(half_scores, scores) < HALF_PRECISION
    assert single.keys() == half.keys()
    for stride, features in half.items():
        assert (features.dtype, single[stride].dtype) == (jnp.bfloat16, jnp.float32)
        features = features.astype(jnp.float32)
        error = peers.relative_error(features, single[stride])
        assert 0 < error < HALF_PRECISION, stride
