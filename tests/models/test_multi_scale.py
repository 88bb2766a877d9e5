"""The maximum over sizes of an image, with a network of two layers."""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import layers, multi_scale, segmenter, zoo
from tests import peers

FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


class Halved(nn.Module):
    """A backbone of one convolution."""

    @nn.compact
    def __call__(self, images, train=False):
        return {2: layers.conv(4, 3, stride=2, bias=True, name="conv")(images)}


class Scored(nn.Module):
    """A decoder of one convolution."""

    align_corners: bool = True

    @nn.compact
    def __call__(self, pyramid, size, train=False):
        return layers.conv(3, 3, bias=True, name="head")(nn.relu(pyramid[2]))


def _network(scales, align_corners=True):
    return multi_scale.MultiScale(Halved(), Scored(align_corners), 8, scales=scales)


def _scores(network, *arguments, train=False):
    apply = functools.partial(network.apply, train=train)
    with jax.default_matmul_precision("highest"):
        return jax.jit(apply, compiler_options=FAST)(*arguments)


def _images(height, width):
    return np.random.default_rng(0).random((2, height, width, 3), np.float32)


def _variables():
    return peers.random_variables(segmenter.Segmenter(Halved(), Scored(), 8))


@pytest.mark.torch
@pytest.mark.parametrize("size", [(33, 50), (24, 41)])
def test_the_maximum_is_that_of_pytorch(size):
    torch = pytest.importorskip("torch")
    from benchmarks import torch_fcn

    variables = _variables()
    base = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, 2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(4, 3, 3, padding=1),
    )
    with torch.no_grad():
        for layer, ours in ((base[0], "conv"), (base[2], "head")):
            part = variables["params"]["backbone" if ours == "conv" else "decoder"]
            kernel = part[ours]["kernel"].transpose(3, 2, 0, 1).copy()
            layer.weight.copy_(torch.from_numpy(kernel))
            layer.bias.copy_(torch.from_numpy(part[ours]["bias"]))
    images = _images(*size)
    wanted = peers.output(torch_fcn.MultiScale(base), images)
    got = _scores(_network((1.0, 0.75, 0.5), False), variables, images)
    assert peers.relative_error(got, wanted) < 1e-5


def test_training_gives_the_scores_of_each_size_and_what_evaluation_gives():
    variables, images = _variables(), _images(33, 50)
    plain = segmenter.Segmenter(Halved(), Scored(), 8)
    *each, fused = _scores(_network((1.0, 0.5)), variables, images, train=True)
    wanted = _scores(_network((1.0, 0.5)), variables, images)
    np.testing.assert_array_equal(fused, wanted)
    np.testing.assert_array_equal(each[0], _scores(plain, variables, images))
    assert [scores.shape[1:3] for scores in each] == [(17, 25), (9, 13)]
    assert fused.shape == each[0].shape
    assert (np.asarray(fused) >= each[0]).all()
    assert (np.asarray(fused) > each[0]).any()
    assert _network((1.0, 0.5)).align_corners


def _aligned(maps, size):
    """Maps between whose corners as many places lie evenly, linear in between."""
    for axis, wanted in ((1, size[0]), (2, size[1])):
        length = maps.shape[axis]
        place = np.linspace(0, length - 1, wanted)
        weight = np.maximum(1 - np.abs(place[:, None] - np.arange(length)), 0)
        maps = np.moveaxis(np.tensordot(weight, maps, (1, axis)), 0, axis)
    return maps


def test_with_aligned_corners_images_and_scores_keep_theirs():
    variables, images = _variables(), _images(33, 49)
    plain = segmenter.Segmenter(Halved(), Scored(), 8)
    # The authors' numbers: 0.75 and 0.5 of 32 and 48 steps.
    sizes = (33, 49), (25, 37), (17, 25)
    each = [
        np.float64(_scores(plain, variables, np.float32(_aligned(images, size))))
        for size in sizes
    ]
    wanted = np.max([_aligned(scores, (17, 25)) for scores in each], axis=0)
    got = _scores(_network((1.0, 0.75, 0.5)), variables, images)
    assert peers.relative_error(got, wanted) < 1e-5
    port = _scores(_network((1.0, 0.75, 0.5), False), variables, images)
    assert peers.relative_error(port, wanted) > 0.01


def test_one_size_twice_changes_nothing():
    variables, images = _variables(), _images(17, 20)
    plain = segmenter.Segmenter(Halved(), Scored(), 8)
    np.testing.assert_array_equal(
        _scores(_network((1.0, 1.0)), variables, images),
        _scores(plain, variables, images),
    )


def test_parameters_are_those_of_one_size():
    one, three = (
        zoo.create_module("fcn32s_resnet50", blocks=(1, 1, 1, 1), max_over_scales=s)
        for s in ((1.0,), (1.0, 0.75, 0.5))
    )
    assert type(one) is segmenter.Segmenter
    assert (one.smallest_side, three.smallest_side) == (32, 64)
    a, b = (
        jax.eval_shape(m.init, jax.random.key(0), jnp.zeros((1, 64, 64, 3)))
        for m in (one, three)
    )
    assert jax.tree.map(jnp.shape, a) == jax.tree.map(jnp.shape, b)
