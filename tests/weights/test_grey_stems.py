"""Weights for one grey channel in networks of three."""

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import grey_stems, matching, renaming
from dpjax.weights.layouts import resnet as layouts
from tests import peers

NAMES = layouts.LAYOUTS
SMALL = {"num_classes": 10, "blocks": (1, 1, 1, 1)}


@pytest.fixture(scope="module")
def peer():
    """A small ResNet of timm for grey images, and its weights under our names."""
    pytest.importorskip("torch")
    timm_resnet = peers.timm().models.resnet
    network = timm_resnet.ResNet(
        timm_resnet.Bottleneck, (1, 1, 1, 1), num_classes=10, in_chans=1
    )
    peers.randomise(network)
    module = zoo.create_module("resnet50", **SMALL)
    return network, renaming.variables(peers.arrays(network), module, NAMES)


@pytest.mark.torch
@pytest.mark.parametrize(
    ("style", "mean", "deviation"),
    [
        ("imagenet", 0.449, 0.226),  # the mean of ImageNet's three
        ("imagenet", 0.5, 0.5),
        ("imagenet", 0.485, 0.229),  # the first of the three
        ("half", 0.5, 0.25),
        ("caffe", 0.449, 0.226),
    ],
)
def test_scores_on_grey_images_are_those_of_the_grey_network(
    peer, style, mean, deviation
):
    network, grey = peer
    module = zoo.create_module("resnet50", input_style=style, **SMALL)
    variables = grey_stems.spread(grey, module, mean, deviation)
    matching.check_matches(variables, module)
    images = np.random.default_rng(0).random((1, 64, 49, 1), np.float32)
    theirs = peers.output(network, ((images - mean) / deviation).astype(np.float32))

    def error(images, variables=variables):
        with jax.default_matmul_precision("highest"):
            ours = jax.jit(module.apply)(variables, images)
        return peers.relative_error(ours, theirs)

    assert error(images) < 2e-5
    assert error(np.repeat(images, 3, axis=-1)) < 2e-5
    wrong = grey_stems.spread(grey, module, mean, deviation * 1.1)
    assert error(images, wrong) > 1e-3


def _stem(channels):
    kernel = np.random.default_rng(0).normal(size=(7, 7, channels, 64))
    return {"params": {"backbone": {"conv1": {"kernel": kernel.astype(np.float32)}}}}


def test_ordinary_constants_share_the_kernel_nearly_equally():
    module = zoo.create_module("resnet50")
    before, after = (
        v["params"]["backbone"]["conv1"]["kernel"]
        for v in (_stem(1), grey_stems.spread(_stem(1), module, 0.449, 0.226))
    )
    np.testing.assert_allclose(after.sum(2), before[:, :, 0], rtol=5e-3)
    for channel in range(3):
        np.testing.assert_allclose(3 * after[:, :, channel], before[:, :, 0], rtol=0.03)


@pytest.mark.parametrize(
    ("channels", "options", "numbers", "message"),
    [
        (3, {}, (0.449, 0.226), "these have 0. Leave out"),
        (1, {}, (0.449, 0.0), "deviation, above 0.*got 0.449 0.0"),
        (1, {}, (float("nan"), 1.0), "got nan 1.0"),
        (1, {"input_style": "half"}, (0.449, 0.226), "in all channels, 0.5;.*0.449"),
    ],
)
def test_what_cannot_be_equal_is_refused(channels, options, numbers, message):
    module = zoo.create_module("resnet50", **options)
    with pytest.raises(errors.UserError, match=message):
        grey_stems.spread(_stem(channels), module, *numbers)
