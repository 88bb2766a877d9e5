"""One image at several sizes: what shares a level, and what a segmenter makes of it."""

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import mobilenet, refinenet, scales, segmenter, zoo
from dpjax.ops import resize
from tests import peers

FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


class Strides(nn.Module):
    """A backbone whose maps are every n-th pixel of the image."""

    strides: tuple[int, ...] = (2, 4, 8, 16, 32)

    def __call__(self, images, train=False):
        return {s: images[:, ::s, ::s] for s in self.strides}


class Learner(nn.Module):
    """The same maps with channels that learn."""

    @nn.compact
    def __call__(self, images, train=False):
        return Strides()(nn.Dense(4)(images))


def _images(height=96, width=128):
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def _pyramid(pairing, factors=(1.0, 0.5), count=2):
    module = scales.Scales([Strides() for _ in range(count)], factors, pairing)
    return module.apply({}, jnp.asarray(_images()))


def test_the_same_levels_are_paired_whatever_their_resolution():
    found = _pyramid("level")
    assert list(found) == [4, 8, 16, 32]
    small = resize.imresize(_images(), scale=0.5)
    for stride, (large, less) in found.items():
        np.testing.assert_array_equal(large, _images()[:, ::stride, ::stride])
        np.testing.assert_allclose(less, small[:, ::stride, ::stride], atol=1e-6)


def test_equal_resolutions_are_paired_and_what_is_coarser_joins_the_coarsest():
    sizes = {
        stride: [x.shape[1:3] for x in maps]
        for stride, maps in _pyramid("resolution").items()
    }
    assert sizes == {
        4: [(24, 32)],
        8: [(12, 16), (12, 16)],
        16: [(6, 8), (6, 8)],
        32: [(3, 4), (3, 4), (2, 2)],
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pairing": "levels"}, "Did you mean level"),
        ({"pairing": "level", "count": 1}, r"got \(1.0, 0.5\) for 1"),
        ({"pairing": "level", "factors": (1.0, 0.0)}, "positive factor"),
    ],
)
def test_what_cannot_be_paired_is_refused(options, message):
    with pytest.raises(errors.UserError, match=message):
        _pyramid(**options)


@pytest.mark.parametrize("pairing", ["level", "resolution"])
def test_gradients_reach_the_backbones_of_both_scales(pairing):
    module = segmenter.Segmenter(
        scales.Scales([Learner(), Learner()], (1.2, 0.6), pairing),
        refinenet.RefineNet(3, 4, (6, 4, 4, 4), path_units=0, block_units=0),
    )
    variables = peers.random_variables(module)
    images = _images(50, 56)

    def loss(params):
        scores = module.apply({"params": params}, images)
        return jnp.sum(scores**2), scores

    run = jax.jit(jax.grad(loss, has_aux=True), compiler_options=FAST)
    slopes, scores = run(variables["params"])
    assert scores.shape == (1, 15, 17, 3)  # quarters of 60 x 68
    assert set(slopes["backbone"]) == {"backbones_0", "backbones_1"}
    for slope in jax.tree.leaves(slopes):
        assert np.isfinite(slope).all()
        assert np.abs(slope).max() > 0


def test_equal_scales_with_equal_weights_give_every_map_twice():
    both = scales.Scales([Learner(), Learner()], (1.0, 1.0))
    trunk = Learner().init(jax.random.key(0), _images())["params"]
    tied = {"params": {"backbones_0": trunk, "backbones_1": trunk}}
    plain = Learner().apply({"params": trunk}, _images())
    for stride, maps in both.apply(tied, _images()).items():
        for x in maps:
            np.testing.assert_array_equal(x, plain[stride])
    shapes = [
        jax.eval_shape(
            zoo.create_module("refinenet50", input_scales=factors).init_with_output,
            jax.random.key(0),
            _images(40, 33),
        )[0]
        for factors in ((1.0,), (1.0, 1.0))
    ]
    assert shapes[0].shape == shapes[1].shape == (1, 10, 9, 21)


class Sum(nn.Module):
    """A decoder that reads one map of each stride."""

    align_corners = True

    def __call__(self, pyramid, size, train=False):
        return pyramid[8] + float(size[0])


def test_a_decoder_sees_the_size_of_the_enlarged_image():
    module = segmenter.Segmenter(Strides(), Sum(), input_scale=1.25)
    assert module.align_corners
    scores = module.apply({}, _images(40, 48))
    larger = resize.imresize(_images(40, 48), scale=1.25)
    np.testing.assert_allclose(scores, larger[:, ::8, ::8] + 50, atol=1e-5)


@pytest.mark.parametrize(
    "backbone",
    [
        scales.Scales([Strides(), Strides()], (1.0, 0.5)),
        mobilenet.MobileNetV2(every_stage=True),
    ],
    ids=["scales", "stages"],
)
def test_several_maps_are_refused_for_a_decoder_of_one(backbone):
    module = segmenter.Segmenter(backbone, Sum())
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    with pytest.raises(errors.UserError, match="Sum reads one map of each stride"):
        jax.eval_shape(module.init, jax.random.key(0), images)


def test_images_for_small_scales_are_larger():
    assert zoo.create_module("refinenet50").smallest_side == 32
    assert zoo.create_module("refinenet50_2scale").smallest_side == 54  # 0.6 of 54: 33
