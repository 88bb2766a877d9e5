"""Filling against walks in eight directions."""

import itertools

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops.stereo import filling

STEPS = [s for s in itertools.product((-1, 0, 1), repeat=2) if any(s)]


def met(values, valid, y, x):
    """The first valid values that walks from a pixel meet, in order."""
    found = []
    for down, right in STEPS:
        a, b = y + down, x + right
        while 0 <= a < valid.shape[0] and 0 <= b < valid.shape[1]:
            if valid[a, b]:
                found.append(values[a, b])
                break
            a, b = a + down, b + right
    return sorted(found)


@pytest.mark.parametrize(
    ("shape", "share"), [((2, 8, 11), 0.15), ((1, 1, 9), 0.5), ((1, 7, 1), 0.5)]
)
def test_holes_take_what_lies_behind_or_the_median(shape, share):
    rng = np.random.default_rng(0)
    values = rng.normal(0, 9, shape).astype(np.float32)
    valid, occluded = rng.random(shape) < share, rng.random(shape) < 0.5
    occluded &= ~valid
    given = np.where(valid, values, np.nan).astype(np.float32)
    found = np.asarray(filling.from_directions(given, valid, occluded))
    for i, y, x in np.ndindex(shape):
        near = met(values[i], valid[i], y, x)
        if valid[i, y, x]:
            assert found[i, y, x] == values[i, y, x]
        elif not near:
            assert np.isnan(found[i, y, x])
        elif occluded[i, y, x]:
            assert found[i, y, x] == near[min(1, len(near) - 1)]
        else:
            assert found[i, y, x] == near[(len(near) - 1) // 2]


def test_without_anything_valid_all_stay_unknown():
    none = np.zeros((1, 3, 4), bool)
    values = np.ones((1, 3, 4), np.float32)
    assert np.isnan(filling.from_directions(values, none, none)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros((1, 2, 3), int)}, "floats"),
        ({"valid": np.ones((1, 2, 4), bool)}, "same size"),
        ({"occluded": np.ones((1, 2, 3))}, "two bool"),
    ],
)
def test_what_cannot_be_filled_is_refused(change, message):
    given = {
        "values": np.zeros((1, 2, 3), np.float32),
        "valid": np.ones((1, 2, 3), bool),
        "occluded": np.ones((1, 2, 3), bool),
    } | change
    with pytest.raises(errors.UserError, match=message):
        filling.from_directions(**given)
