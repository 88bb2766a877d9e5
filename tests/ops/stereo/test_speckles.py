"""Components against a flood fill, and against OpenCV's filterSpeckles."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops.stereo import speckles


def by_flooding(values, valid, difference):
    """The number of the first pixel of each component of one map, [h, w]."""
    height, width = values.shape
    labels = np.arange(values.size).reshape(values.shape)
    done = ~valid
    for y, x in np.argwhere(valid):
        if done[y, x]:
            continue
        done[y, x], front = True, [(y, x)]
        while front:
            i, j = front.pop()
            labels[i, j] = y * width + x
            for a, b in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                if not (0 <= a < height and 0 <= b < width) or done[a, b]:
                    continue
                if abs(values[a, b] - values[i, j]) <= difference:
                    done[a, b] = True
                    front.append((a, b))
    return labels


def spiral(side):
    """A path one pixel wide that winds to the middle."""
    found = np.zeros((side, side), bool)
    y, x, step = 0, 0, (0, 1)
    found[0, 0] = True
    while True:
        for _ in range(2):
            a, b = y + step[0], x + step[1]
            c, d = a + step[0], b + step[1]
            inside = 0 <= a < side and 0 <= b < side
            free = inside and not (0 <= c < side and 0 <= d < side and found[c, d])
            if free and not found[a, b]:
                break
            step = (step[1], -step[0])
        else:
            return found
        y, x = a, b
        found[y, x] = True


@pytest.mark.parametrize("kind", [np.float32, np.int16])
@pytest.mark.parametrize("difference", [0, 1, 2.5])
def test_components_are_those_of_a_flood_fill(kind, difference):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 5, (3, 17, 23)).astype(kind)
    valid = rng.random(values.shape) < 0.8
    found = speckles.components(values, valid, difference=difference)
    wanted = [by_flooding(v, m, difference) for v, m in zip(values, valid, strict=True)]
    np.testing.assert_array_equal(found, wanted)


def test_a_spiral_is_one_component_and_nothing_valid_is_none():
    valid = np.stack([spiral(41), np.zeros((41, 41), bool), np.ones((41, 41), bool)])
    assert 700 < valid[0].sum() < 1000
    labels = np.asarray(speckles.components(np.zeros(valid.shape), valid))
    np.testing.assert_array_equal(labels[0][valid[0]], 0)
    np.testing.assert_array_equal(labels[1].ravel(), np.arange(41**2))
    np.testing.assert_array_equal(labels[2], 0)
    kept = speckles.remove(np.zeros(valid.shape), valid, size=int(valid[0].sum()))
    np.testing.assert_array_equal(np.asarray(kept).any((1, 2)), [False, False, True])


@pytest.mark.parametrize(("size", "difference"), [(0, 16), (3, 16), (12, 20), (40, 0)])
def test_what_is_left_is_what_opencv_leaves(size, difference):
    import cv2

    rng = np.random.default_rng(1)
    values = rng.integers(0, 4, (1, 40, 50)).astype(np.int16) * 16
    values = values + rng.integers(0, 3, values.shape).astype(np.int16)
    valid = rng.random(values.shape) < 0.9
    theirs = np.where(valid, values, -16)[0].astype(np.int16)
    cv2.filterSpeckles(theirs, -16, size, difference)
    found = speckles.remove(values, valid, size=size, difference=difference)
    np.testing.assert_array_equal(found[0], theirs != -16)


def test_values_that_are_no_numbers_join_nobody():
    values = np.array([[[1.0, np.nan, 1.0, 1.0]]])
    labels = speckles.components(values, np.ones(values.shape, bool))
    np.testing.assert_array_equal(labels, [[[0, 1, 2, 2]]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid": np.ones((1, 2, 4), bool)}, "same size"),
        ({"valid": np.ones((1, 2, 3))}, "bool"),
        ({"difference": -1.0}, "0 or more, got -1"),
        ({"size": -1}, "0 pixels or more, got a size of -1"),
    ],
)
def test_what_has_no_components_is_refused(change, message):
    given = {
        "values": np.zeros((1, 2, 3)),
        "valid": np.ones((1, 2, 3), bool),
        "size": 1,
    }
    given |= change
    with pytest.raises(errors.UserError, match=message):
        speckles.remove(given.pop("values"), given.pop("valid"), **given)
