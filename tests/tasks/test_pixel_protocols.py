"""Protocols against loops in float64: how RefineNet joins sizes, and CRFs after it."""

import numpy as np
import pytest

from dpjax.ops.meanfield import dense_crf
from dpjax.tasks import pixel_protocols

PROTOCOLS = pixel_protocols.PROTOCOLS
CLASSES = 4


def _scores(size, seed, gain=6.0):
    rng = np.random.default_rng(seed)
    return (gain * rng.standard_normal((*size, CLASSES))).astype(np.float32)


def _softmax(scores):
    powers = np.exp(scores.astype(np.float64))
    return powers / powers.sum(-1, keepdims=True)


def _linear(x, size):
    """Bilinear between the centres of pixels, edges repeated, one pixel at a time."""
    for axis, wanted in enumerate(size):
        length, lines = x.shape[axis], []
        for i in range(wanted):
            at = min(max((i + 0.5) * length / wanted - 0.5, 0), length - 1)
            low = int(at)
            high, share = min(low + 1, length - 1), at - low
            lines.append((1 - share) * x.take(low, axis) + share * x.take(high, axis))
        x = np.stack(lines, axis)
    return x


def _refinenet(outputs, size):
    """Section 1.8's order: logarithms to the largest grid, means, logarithms again."""
    grid = max(x.shape[:2] for x in outputs)
    logs = [np.maximum(np.log(_softmax(x)), -20) for x in outputs]
    mean = np.mean([np.exp(_linear(x, grid)) for x in logs], 0)
    return _linear(np.maximum(np.log(mean.clip(0, 1)), -20), size)


@pytest.mark.parametrize(
    ("short", "name", "factor"),
    [
        (300, "refinenet_scales", 450 / 300),
        (1000, "refinenet_scales", 800 / 1000),
        (500, "refinenet_scales", 1),
        (500, "refinenet_cityscapes", 600 / 500),
        (1024, "refinenet_cityscapes", 1),
        (300, "refinenet_scale", 450 / 300),
    ],
)
def test_images_of_refinenet_have_a_short_side_within_bounds(short, name, factor):
    image = np.zeros((short, short + 40, 3), np.uint8)
    scales = [0.8] if name == "refinenet_scale" else [0.4, 0.6, 0.8, 1.0, 1.2]
    sides = [
        tuple(round(side * factor * scale) for side in image.shape[:2])
        for scale in scales
    ]
    views = PROTOCOLS[name].views(image, 512)
    assert [view.shape[:2] for view in views] == sides


def test_refinenet_joins_sizes_in_logarithms_on_the_largest_grid():
    outputs = [_scores((h, h + 3), h) for h in (6, 9, 12, 15, 18)]
    outputs[0][2:4] *= 8  # some of whose probabilities are below exp(-20)
    image = np.zeros((70, 80, 3), np.uint8)
    want = _refinenet(outputs, (70, 80))
    told = PROTOCOLS["refinenet_scales"].labels(image, outputs, 512, "half_pixel")
    first, second = np.sort(want, -1)[..., -1], np.sort(want, -1)[..., -2]
    clear = first - second > 1e-4
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(told[clear], want.argmax(-1)[clear])
    # The mean of probabilities as large as the image is another answer.
    other = np.mean([_linear(_softmax(x), (70, 80)) for x in outputs], 0).argmax(-1)
    assert (other != told).mean() > 0.01


def test_the_order_of_the_sizes_does_not_matter():
    outputs = [_scores((h, h + 3), h) for h in (6, 9, 12, 15, 18)]
    image = np.zeros((70, 80, 3), np.uint8)
    rules = PROTOCOLS["refinenet_scales"]
    told, turned = (
        rules.labels(image, x, 512, "cubic") for x in (outputs, outputs[::-1])
    )
    assert (told != turned).mean() < 1e-3


def test_at_the_size_of_the_image_one_view_keeps_its_answer():
    scores = _scores((40, 50), 0)
    image = np.zeros((40, 50, 3), np.uint8)
    told = PROTOCOLS["refinenet_scale"].labels(image, [scores], 512, "cubic")
    np.testing.assert_array_equal(told, scores.argmax(-1))


@pytest.mark.parametrize("name", ["scales_crf", "refinenet_scales_crf"])
def test_a_crf_refines_what_all_sizes_say_together(name):
    rng = np.random.default_rng(0)
    image = rng.integers(256, size=(24, 30, 3), dtype=np.uint8)
    rules = PROTOCOLS[name]
    plain = PROTOCOLS[name.removesuffix("_crf")]
    assert len(rules.views(image, 512)) == len(rules.scales) * (1 + rules.mirrors) > 1
    count = len(rules.scales) * (1 + rules.mirrors)
    outputs = [_scores((6 + i, 8 + i), i, gain=1.0) for i in range(count)]
    turned = [
        x[:, ::-1] if rules.mirrors and i % 2 else x for i, x in enumerate(outputs)
    ]
    if rules.in_logs:
        scores = _refinenet(turned, (24, 30))
    else:
        whole = [_softmax(_linear(x, (24, 30))) for x in turned]
        scores = np.log(np.mean(whole, 0))
    kernels = dense_crf.PUBLISHED["deeplab_v2_resnet101"]
    scores = scores[None].astype(np.float32)
    want = np.asarray(dense_crf.refine(scores, image[None], kernels))[0].argmax(-1)
    told = rules.labels(image, outputs, 512, "half_pixel")
    assert (told == want).mean() > 0.995
    assert (told != plain.labels(image, outputs, 512, "half_pixel")).mean() > 0.02
