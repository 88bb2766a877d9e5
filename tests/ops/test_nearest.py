"""Nearest pixels against searches over all, and against PyTorch."""

from fractions import Fraction

import numpy as np
import pytest

from dpjax import errors
from dpjax.ops import nearest

SIZES = [((4, 6), (8, 3)), ((7, 9), (3, 4)), ((5, 1), (1, 5)), ((6, 6), (6, 6))]


def _nearest(length, wanted, i, grid):
    """The pixel at the smallest distance, in fractions; the later of two."""
    if grid == "half_pixel":
        place = Fraction(2 * i + 1, 2) * Fraction(length, wanted) - Fraction(1, 2)
    else:
        place = Fraction(i * (length - 1), wanted - 1) if wanted > 1 else Fraction(0)
    return max(range(length), key=lambda j: (-abs(j - place), j))


@pytest.mark.parametrize("grid", nearest.Grid.__args__)
@pytest.mark.parametrize(("given", "wanted"), SIZES)
def test_every_place_gets_the_nearest_pixel(grid, given, wanted):
    x = np.arange(2 * given[0] * given[1], dtype=np.int32).reshape(2, *given)
    rows, columns = (
        [_nearest(n, m, i, grid) for i in range(m)]
        for n, m in zip(given, wanted, strict=True)
    )
    found = nearest.to_size(x, wanted, grid)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, x[:, rows][:, :, columns])


@pytest.mark.torch
@pytest.mark.parametrize(("given", "wanted"), SIZES)
def test_centres_of_pixels_are_those_of_pytorch(given, wanted):
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(0).random((2, *given, 3), np.float32)
    theirs = torch.nn.functional.interpolate(
        torch.tensor(x.transpose(0, 3, 1, 2)), wanted, mode="nearest-exact"
    )
    found = nearest.to_size(x, wanted)
    np.testing.assert_array_equal(found, theirs.numpy().transpose(0, 2, 3, 1))


def test_masks_stay_masks():
    found = nearest.to_size(np.eye(4, dtype=bool)[None], (2, 2))
    assert found.dtype == bool
    np.testing.assert_array_equal(found[0], np.eye(2, dtype=bool))


def test_what_is_no_map_or_grid_is_refused():
    with pytest.raises(errors.UserError, match=r"at least 1 row.*\(0, 3\)"):
        nearest.to_size(np.zeros((1, 2, 2)), (0, 3))
    with pytest.raises(errors.UserError, match=r"got \[2, 2\]"):
        nearest.to_size(np.zeros((2, 2)), (1, 1))
    with pytest.raises(errors.UserError, match="Unknown grid 'half'"):
        nearest.to_size(np.zeros((1, 2, 2)), (1, 1), "half")
