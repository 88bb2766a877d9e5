"""Steps along paths against loops."""

import numpy as np
import pytest

from dpjax.ops.stereo import paths


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_each_place_takes_what_the_place_before_had(axis, steps):
    values = np.random.default_rng(0).integers(0, 99, (3, 4, 5)).astype(np.float32)
    found = paths.moved(values, steps, axis=axis, entering=-7)
    for place in np.ndindex(values.shape):
        before = list(place)
        before[axis] -= steps
        inside = 0 <= before[axis] < values.shape[axis]
        assert found[place] == (values[tuple(before)] if inside else -7)


def test_eight_directions_are_reached():
    """A path of slant s moves one line and s places, forward or backward."""
    down = {(sign, sign * slant) for slant in paths.DOWN for sign in (1, -1)}
    across = {(slant, sign) for slant in paths.ACROSS for sign in (1, -1)}
    assert len(down | across) == 8
    assert (0, 0) not in down | across
