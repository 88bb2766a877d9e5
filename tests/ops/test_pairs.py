"""Pairs of named points against indexing, a pair at a time."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import pairs

SIZE = (5, 7)


def test_points_become_the_pixels_that_they_lie_in():
    points = np.array(
        [[[[0, 0], [4, 6]], [[1.9, 2.2], [3, 5]]], [[[2, 2], [0, 6]], [[4, 0], [1, 1]]]]
    )
    weight = np.array([[1.0, 0.5], [1.0, 0.0]])
    found = pairs.at(jnp.asarray(points), jnp.asarray(weight), SIZE)
    np.testing.assert_array_equal(found.first, [[0, 9], [16, 28]])
    np.testing.assert_array_equal(found.second, [[34, 26], [6, 8]])
    np.testing.assert_array_equal(found.weight, weight)
    assert found.first.dtype == found.second.dtype == jnp.int32


@pytest.mark.parametrize(
    "pair",
    [
        [[-1, 0], [1, 1]],
        [[0, 0], [5, 1]],
        [[0, 7], [1, 1]],
        [[0, 0], [1, -0.5]],
        [[np.nan, 0], [1, 1]],
        [[1e9, 0], [1, 1]],
        [[3, 3], [3, 3]],
        [[3.2, 3], [3.9, 3.5]],
    ],
)
def test_pairs_that_leave_the_image_or_join_nothing_do_not_count(pair):
    found = pairs.at(jnp.asarray([[pair]]), jnp.ones((1, 1)), SIZE)
    assert found.weight[0, 0] == 0
    assert 0 <= found.first[0, 0] < 35
    assert 0 <= found.second[0, 0] < 35


def test_values_are_those_at_both_points():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(3, *SIZE)).astype(np.float32)
    points = np.stack(
        [rng.integers(0, 5, (3, 20, 2)), rng.integers(0, 7, (3, 20, 2))], -1
    )
    weight = (rng.random((3, 20)) < 0.7).astype(np.float32)
    drawn = pairs.at(points, weight, SIZE)
    found = pairs.values(maps, drawn)
    for b, p in np.ndindex(3, 20):
        (y, x), (v, u) = points[b, p]
        counts = weight[b, p] and (y, x) != (v, u)
        assert found[0][b, p] == (maps[b, y, x] if counts else 0)
        assert found[1][b, p] == (maps[b, v, u] if counts else 0)


def test_what_pairs_without_weight_point_at_is_never_read():
    maps = np.full((1, *SIZE), np.nan, np.float32)
    maps[0, 0, :2] = 3, 5
    drawn = pairs.Pairs(
        jnp.array([[0, 4]]), jnp.array([[1, 9]]), jnp.array([[1.0, 0.0]])
    )

    def total(maps):
        one, other = pairs.values(maps, drawn)
        return (one - 2 * other).sum()

    value, slope = jax.value_and_grad(total)(jnp.asarray(maps))
    assert value == 3 - 2 * 5
    assert slope[0, 0, 0] == 1
    assert slope[0, 0, 1] == -2
    assert np.count_nonzero(slope) == 2


def test_draws_are_joined_in_their_order():
    one = pairs.at(np.zeros((2, 3, 2, 2)), np.zeros((2, 3)), SIZE)
    other = pairs.at(np.full((2, 1, 2, 2), [[0, 1], [1, 0]]), np.ones((2, 1)), SIZE)
    found = pairs.joined(one, other)
    np.testing.assert_array_equal(found.first, [[0, 0, 0, 1]] * 2)
    np.testing.assert_array_equal(found.second, [[0, 0, 0, 7]] * 2)
    np.testing.assert_array_equal(found.weight, [[0, 0, 0, 1]] * 2)


def test_other_shapes_are_refused():
    with pytest.raises(errors.UserError, match=r"\[b, p, 2, 2\].*\[1, 3, 4\]"):
        pairs.at(np.zeros((1, 3, 4)), np.ones((1, 3)), SIZE)
    drawn = pairs.at(np.zeros((1, 3, 2, 2)), np.ones((1, 3)), SIZE)
    with pytest.raises(errors.UserError, match=r"got \[1, 5, 7, 1\].*\.\.\., 0"):
        pairs.values(np.zeros((1, 5, 7, 1)), drawn)
