"""CRF-RNN on a network whose scores are known."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from flax import linen as nn

from dpjax import errors
from dpjax.models import crf_rnn, multi_scale, segmenter
from dpjax.ops.meanfield import dense_crf

CLASSES = 3
# Compiling is nearly all of the work.
QUICKLY = {"xla_backend_optimization_level": 0}


class Trunk(nn.Module):
    """A pyramid of one map: every `stride`-th pixel."""

    stride: int = 1

    def __call__(self, images, train=False):
        return {self.stride: images[:, :: self.stride, :: self.stride]}


class Head(nn.Module):
    """Scores by one matrix."""

    align_corners: bool = True

    @nn.compact
    def __call__(self, pyramid, size, train=False):
        (features,) = pyramid.values()
        return nn.Dense(CLASSES, name="head")(features)


def network(stride=1, align_corners=True, **options):
    inner = segmenter.Segmenter(Trunk(stride), Head(align_corners), 5)
    return crf_rnn.CrfRnn(inner, **options)


@pytest.fixture(scope="module")
def images():
    from skimage import data

    # Far apart: no two pixels of the network are alike, and labels differ.
    image = data.coffee()[::40, ::43][:10, :14].astype(np.float32) / 255
    return np.stack([image, image[::-1]])


@pytest.fixture(scope="module")
def variables(images):
    init = jax.jit(network().init, compiler_options=QUICKLY)
    variables = init(jax.random.key(0), images)
    head = variables["params"]["decoder"]["head"]
    head["kernel"] = 4 * np.random.default_rng(1).normal(size=(3, CLASSES))
    head["bias"] = -images.mean((0, 1, 2)) @ head["kernel"]  # no label is the likeliest
    return variables


def with_crf(variables, **changed):
    params = variables["params"]
    return {"params": {**params, "crf": {**params["crf"], **changed}}}


def scores_of(module, variables, images, train=False):
    call = functools.partial(module.apply, train=train)
    return np.asarray(jax.jit(call, compiler_options=QUICKLY)(variables, images))


def inner_scores(module, variables, images):
    return module.segmenter.apply(variables, images)


def test_it_has_the_seam_of_the_network_below():
    module = network(stride=2)
    below = module.segmenter
    for name in ("channels", "stride", "halo", "is_dense", "smallest_side"):
        assert getattr(module, name) == getattr(below, name)
    assert module.smallest_side == 5


def test_parameters_begin_as_published(variables):
    one = np.eye(CLASSES)
    params = variables["params"]["crf"]
    assert set(params) == {"bilateral", "spatial", "compatibility"}
    np.testing.assert_array_equal(params["bilateral"], 5 * one)
    np.testing.assert_array_equal(params["spatial"], 3 * one)
    np.testing.assert_array_equal(params["compatibility"], one)


def test_the_network_keeps_the_paths_that_it_has_without(images):
    module = network()
    both, below = (
        jax.eval_shape(m.init, jax.random.key(0), images)
        for m in (module, module.segmenter)
    )
    assert both["params"].pop("crf")
    assert both == below


@pytest.mark.parametrize(("train", "iterations"), [(True, 5), (False, 10)])
def test_fresh_parameters_are_the_published_crf(variables, images, train, iterations):
    module = network(method="exact")
    got = scores_of(module, variables, images, train)
    want = dense_crf.infer(
        inner_scores(module, variables, images),
        images,
        dense_crf.PUBLISHED["crf_rnn"],
        iterations=iterations,
        normalisation="after",
        method="exact",
    )
    np.testing.assert_allclose(jax.nn.softmax(got), want, atol=1e-5)


@pytest.mark.parametrize("changed", ["kernels", "compatibility"])
def test_weights_of_zero_return_the_scores(variables, images, changed):
    nothing = np.zeros((CLASSES, CLASSES))
    names = ("bilateral", "spatial") if changed == "kernels" else (changed,)
    silent = with_crf(variables, **dict.fromkeys(names, nothing))
    got = scores_of(network(), silent, images)
    want = inner_scores(network(), variables, images)
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_compatibility_multiplies_after_the_kernels(variables, images):
    rng = np.random.default_rng(2)
    bilateral, spatial, mixed = rng.normal(size=(3, CLASSES, CLASSES))
    split = with_crf(
        variables, bilateral=bilateral, spatial=spatial, compatibility=mixed
    )
    whole = with_crf(variables, bilateral=mixed @ bilateral, spatial=mixed @ spatial)
    got, want = (scores_of(network(), v, images, True) for v in (split, whole))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_every_parameter_learns(variables, images):
    target = np.random.default_rng(3).integers(0, CLASSES, images.shape[:3])

    @functools.partial(jax.jit, compiler_options=QUICKLY)
    def gradient(variables):
        def loss(variables):
            scores = network().apply(variables, images, train=True)
            right = jax.nn.one_hot(target, CLASSES)
            return -(jax.nn.log_softmax(scores) * right).mean()

        return jax.grad(loss)(variables)

    for path, slope in jax.tree_util.tree_leaves_with_path(gradient(variables)):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path


@pytest.mark.parametrize("align_corners", [True, False])
def test_smaller_scores_are_enlarged_as_their_network_says(
    variables, images, align_corners
):
    module = network(stride=2, align_corners=align_corners)
    nothing = np.zeros((CLASSES, CLASSES))
    silent = with_crf(variables, compatibility=nothing)
    got = scores_of(module, silent, images)
    scores = np.asarray(inner_scores(module, variables, images))
    want = scores
    for axis, length in ((1, 10), (2, 14)):
        few = scores.shape[axis]
        place = np.arange(length) * (few - 1) / (length - 1)
        if not align_corners:
            place = ((np.arange(length) + 0.5) * few / length - 0.5).clip(0, few - 1)
        weight = np.maximum(1 - np.abs(place[:, None] - np.arange(few)), 0)
        want = np.moveaxis(np.tensordot(weight, want, (1, axis)), 0, axis)
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_the_last_of_several_maps_is_refined(variables, images):
    scales = (1.0, 0.5)
    inner = multi_scale.MultiScale(Trunk(), Head(), 10, scales=scales)
    module = crf_rnn.CrfRnn(inner, train_iterations=10)  # as many as in evaluation
    *each, refined = jax.jit(
        functools.partial(module.apply, train=True), compiler_options=QUICKLY
    )(variables, images)
    assert [scores.shape for scores in each] == [(2, 10, 14, 3), (2, 5, 7, 3)]
    np.testing.assert_allclose(each[0], inner_scores(network(), variables, images))
    want = scores_of(module, variables, images)
    assert want.shape == (2, 10, 14, CLASSES)
    np.testing.assert_allclose(refined, want, rtol=1e-5, atol=1e-5)


def test_kernels_and_method_can_be_chosen(variables, images):
    wide = dataclasses.replace(dense_crf.PUBLISHED["crf_rnn"], theta_beta=30.0)
    usual, other, near = (
        scores_of(network(**options), variables, images)
        for options in ({}, {"kernels": wide}, {"method": "window"})
    )
    for changed in (other, near):
        assert np.abs(changed - usual).max() > 0.01
    with pytest.raises(errors.UserError, match="Did you mean lattice"):
        network(method="latice").apply(variables, images)
