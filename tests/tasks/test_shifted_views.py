"""The views of "Wider or Deeper", read by a network whose answers are known."""

import numpy as np
import pytest

from dpjax.data import crop_window
from dpjax.tasks import shifted_views


def _network(view, count):
    """Sure of the class that the middle of each cell of 8 x 8 pixels shows."""
    levels = np.rint(view[4::8, 4::8, 0] * 255 / 60).astype(int)
    return 40 * np.eye(count, dtype=np.float32)[np.minimum(levels, count - 1)]


@pytest.mark.parametrize(
    ("size", "long_side", "is_square", "canvas"),
    [
        ((375, 500), 500, True, (504, 504)),
        ((500, 333), 500, True, (504, 504)),
        ((300, 400), 500, False, (376, 504)),
        ((64, 128), 2048, False, (1024, 2048)),
    ],
)
def test_the_long_side_and_the_canvas_are_those_asked_for(
    size, long_side, is_square, canvas
):
    image = np.full((*size, 3), 200, np.uint8)
    views = shifted_views.ShiftedViews(long_side, is_square=is_square).views(image)
    assert [view.shape for view in views] == [(*canvas, 3)] * 2
    assert np.array_equal(views[1], views[0][:, ::-1])
    factor = long_side / max(size)
    high, wide = (round(side * factor) for side in size)
    inside = np.zeros(canvas, bool)
    inside[:high, :wide] = True
    np.testing.assert_allclose(views[0][inside], 200 / 255, rtol=1e-6)
    # What the backbones take for 0: ImageNet's mean colour.
    np.testing.assert_allclose(
        views[0][~inside],
        np.broadcast_to([0.485, 0.456, 0.406], (sum(~inside.ravel()), 3)),
        atol=2e-3,
    )


def test_two_steps_shift_the_image_by_two_pixels_either_way():
    image = np.random.default_rng(0).integers(256, size=(24, 40, 3), dtype=np.uint8)
    views = shifted_views.ShiftedViews(40, steps=2, is_square=False).views(image)
    assert len(views) == 8
    beyond = np.array(crop_window.OUTSIDE, np.float32) / 255
    for view, (down, right) in zip(
        views[::2], [(-2, -2), (-2, 2), (2, -2), (2, 2)], strict=True
    ):
        for y, x in np.ndindex(24, 40):
            row, column = y + down, x + right
            is_inside = 0 <= row < 24 and 0 <= column < 40
            want = image[row, column] / np.float32(255) if is_inside else beyond
            np.testing.assert_array_equal(view[y, x], want)


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("upsampling", ["half_pixel", "cubic"])
def test_more_steps_tell_smaller_blocks_in_their_places(steps, upsampling):
    side = 8 // steps
    classes = np.random.default_rng(0).integers(5, size=(48 // side, 64 // side))
    classes = classes.repeat(side, 0).repeat(side, 1)
    image = np.repeat(np.uint8(60 * np.minimum(classes, 4))[..., None], 3, -1)
    rules = shifted_views.ShiftedViews(64, steps=steps, is_square=False)
    outputs = [_network(view, 5) for view in rules.views(image)]
    assert len(outputs) == 2 * steps**2
    told = rules.labels(image, outputs, 0, upsampling)
    middles = np.ix_(*(np.arange(side // 2, length, side) for length in (48, 64)))
    np.testing.assert_array_equal(told[middles], classes[middles])


@pytest.mark.parametrize("steps", [1, 2])
def test_mirror_images_are_averaged_as_probabilities(steps):
    """Mirror images averaged, shifts interleaved; in the middle of each cell."""
    rng = np.random.default_rng(steps)
    rules = shifted_views.ShiftedViews(40, steps=steps, is_square=False)
    image = rng.integers(256, size=(24, 40, 3), dtype=np.uint8)
    outputs = [
        (4 * rng.standard_normal((3, 5, 4))).astype(np.float32)
        for _ in range(2 * steps**2)
    ]
    told = rules.labels(image, outputs, 0, "half_pixel")
    side = 8 // steps
    clear = 0
    for y, x in np.ndindex(3 * steps, 5 * steps):
        i = (y % steps) * steps + x % steps
        row, column = y // steps, x // steps
        one = np.exp(np.float64(outputs[2 * i][row, column]))
        other = np.exp(np.float64(outputs[2 * i + 1][row, 4 - column]))
        mean = (one / one.sum() + other / other.sum()) / 2
        second, first = np.sort(mean)[-2:]
        if first - second > 0.35:  # more than neighbours can add
            told_here = told[side * y + side // 2, side * x + side // 2]
            assert told_here == mean.argmax()
            clear += 1
    assert clear >= 3 * steps


def test_the_softmax_is_that_of_the_formula():
    scores = np.random.default_rng(0).normal(0, 50, (3, 4, 5)).astype(np.float32)
    powers = np.exp(scores.astype(np.float64))
    want = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(
        shifted_views.probabilities(scores), want, rtol=1e-5, atol=1e-30
    )
