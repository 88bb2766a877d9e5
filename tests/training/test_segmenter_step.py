"""An update of a network that learns from the scores of several sizes of an image.

Images are 16 x 24 pixels and scores half as large; half of the size is the mean of
2 x 2 pixels, so that all but the two layers of the network is done by hand here.
"""

import functools

import jax
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AxisType, Mesh

from dpjax import config
from dpjax.models import layers, multi_scale, segmenter
from dpjax.tasks import segmentation
from dpjax.training import optimiser, parallel, state, step

COUNT, SIZE, CLASSES = 8, (16, 24), 3
RNG = np.random.default_rng(0)
BATCH = {
    "image": RNG.integers(0, 256, (COUNT, *SIZE, 3)).astype(np.uint8),
    "labels": RNG.integers(0, CLASSES, (COUNT, *SIZE)).astype(np.uint8),
    # Uneven on purpose: the mean of each image's mean would be another number.
    "has_label": RNG.random((COUNT, *SIZE)) < np.linspace(0.2, 1, COUNT)[:, None, None],
    "valid": np.arange(COUNT) != 3,
    "position": np.arange(COUNT, dtype=np.int32),
}
RUN = config.Experiment(
    task=segmentation.Segmentation(loss_at="scores"),
    model=config.Model("toy"),
    data=config.Data(("x",), ("y",), crop=SIZE, batch_size=COUNT),
    optim=config.Optim("sgd", lr=1.0, momentum=0.0),  # the change is the gradient
    evaluation=config.Evaluation("whole"),
    total_steps=1,
)


class Halved(nn.Module):
    """A backbone of one convolution."""

    @nn.compact
    def __call__(self, images, train=False):
        return {2: nn.relu(layers.conv(4, 3, stride=2, bias=True, name="conv")(images))}


class Scored(nn.Module):
    """A decoder of one convolution."""

    align_corners = False

    @nn.compact
    def __call__(self, pyramid, size, train=False):
        return layers.conv(CLASSES, 3, bias=True, name="head")(pyramid[2])


PLAIN = segmenter.Segmenter(Halved(), Scored(), 8)
SCALED = multi_scale.MultiScale(Halved(), Scored(), 16, scales=(1.0, 0.5))


@functools.cache
def updated(devices):
    """The state before and after an update, and what the log gets."""
    tx = optimiser.make_optimiser(RUN.optim, RUN.total_steps)
    mesh = Mesh(
        np.array(jax.devices()[:devices]), (step.AXIS,), axis_types=(AxisType.Auto,)
    )
    form = parallel.Parallel("shard_map", mesh)
    update = form.compile_step(step.make_train_step(RUN.task, SCALED, tx, RUN))
    now = form.create(lambda: state.create(RUN, SCALED, tx))
    first = jax.device_get(now)
    after, seen = update(now, form.put(BATCH))
    return jax.device_get((first, after, seen))


def doubled(scores):
    """Twice as large, in between linear, the outer half steps constant."""
    for axis in (1, 2):
        length = scores.shape[axis]
        place = ((np.arange(2 * length) + 0.5) / 2 - 0.5).clip(0, length - 1)
        weight = np.maximum(1 - np.abs(place[:, None] - np.arange(length)), 0)
        scores = np.moveaxis(np.tensordot(weight, scores, (1, axis)), 0, axis)
    return scores


def by_hand(params):
    """The loss, its gradient for the last bias, and accuracy, of an image and pixel."""
    images = BATCH["image"] / np.float32(255)
    halves = images.reshape(COUNT, 8, 2, 12, 2, 3).mean((2, 4))
    large, small = (
        np.asarray(PLAIN.apply({"params": params}, x), np.float64)
        for x in (images, halves)
    )
    loss, slope = np.zeros(COUNT), np.zeros((COUNT, CLASSES))
    for scores in (large, small, np.maximum(large, doubled(small))):
        every = SIZE[0] // scores.shape[1]
        nearest = np.s_[:, every // 2 :: every, every // 2 :: every]
        known = BATCH["has_label"][nearest] & BATCH["valid"][:, None, None]
        count = np.maximum(known.sum((1, 2)), 1)[:, None]
        chances = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        truth = np.eye(CLASSES)[BATCH["labels"][nearest]]
        logs = (np.log(chances) * truth).sum(-1)
        loss -= np.where(known, logs, 0).sum((1, 2)) / count[:, 0]
        slope += np.where(known[..., None], chances - truth, 0).sum((1, 2)) / count
    right = (scores.argmax(-1) == truth.argmax(-1)) & known
    pixels = known.sum((1, 2)) / known.sum()  # of the maximum
    return pixels @ loss, pixels @ slope, right.sum() / known.sum()


def test_the_loss_is_the_sum_of_those_of_each_size_and_of_the_maximum():
    first, _, seen = updated(1)
    loss, _, accuracy = by_hand(first.params)
    found = {name: seen["sums"][name] / seen["counts"][name] for name in seen["sums"]}
    assert found["loss"] == pytest.approx(loss, rel=1e-5)
    assert found["accuracy"] == pytest.approx(accuracy, rel=1e-6)


def test_every_size_teaches():
    first, after, _ = updated(1)
    assert int(after.skipped) == 0
    slopes = jax.tree.map(np.subtract, first.params, after.params)
    for slope in jax.tree.leaves(slopes):
        assert np.isfinite(slope).all()
        assert np.abs(slope).max() > 1e-3
    _, slope, _ = by_hand(first.params)
    found = slopes["decoder"]["head"]["bias"]
    np.testing.assert_allclose(found, slope, rtol=1e-4, atol=1e-6)


def test_devices_do_not_change_the_update():
    (_, one, seen), (_, eight, same) = updated(1), updated(8)
    near = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)
    jax.tree.map(near, eight.params, one.params)
    jax.tree.map(near, same, seen)
