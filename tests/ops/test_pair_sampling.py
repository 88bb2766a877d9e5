"""Drawn pairs: how often each comes, where they lie, and that nothing else matters."""

import itertools

import jax
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats

from dpjax import errors
from dpjax.ops import pair_sampling

KEYS = jax.random.split(jax.random.key(0), 8)
draw_random = jax.jit(pair_sampling.random, static_argnums=2)
draw_across = jax.jit(
    pair_sampling.across_edges, static_argnames=("count", "share", "distances")
)


def lines_of(drawn, count):
    """The four pixels of each line, [b, 4, count], and the weights of its pairs."""
    first, second, weight = (np.asarray(x).reshape(-1, 3, count) for x in drawn)
    np.testing.assert_array_equal(first[:, 1:], second[:, :-1])
    return np.concatenate([first, second[:, -1:]], 1), weight


def scene(size=(48, 60)):
    """A bright disc on a slope, whose edges have all directions."""
    rows, columns = np.indices(size)
    far = np.hypot(rows - 22, columns - 31)
    return (1 / (1 + np.exp(2 * (far - 13))) + 0.001 * columns).astype(np.float32)


def test_all_ordered_pairs_of_valid_pixels_are_equally_likely():
    valid = np.zeros((1, 3, 4), bool)
    pixels = [1, 4, 6, 7, 11]
    valid.reshape(-1)[pixels] = True
    drawn = draw_random(valid, KEYS[:1], 40_000)
    assert (drawn.weight == 1).all()
    found = np.asarray(drawn.first[0]) * 12 + np.asarray(drawn.second[0])
    counts = np.bincount(found, minlength=144)
    wanted = [12 * i + j for i, j in itertools.permutations(pixels, 2)]
    assert counts[wanted].sum() == 40_000
    assert scipy.stats.chisquare(counts[wanted]).pvalue > 1e-3


def test_pairs_are_independent_of_each_other():
    valid = np.ones((1, 2, 2), bool)
    first = np.asarray(draw_random(valid, KEYS[:1], 20_000).first[0])
    table = np.zeros((4, 4))
    np.add.at(table, (first[:-1], first[1:]), 1)
    assert scipy.stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("members", [0, 1, 2])
def test_images_with_fewer_than_two_pixels_have_no_pairs(members):
    valid = np.zeros((2, 5, 6), bool)
    valid.reshape(2, -1)[0, [7, 22][:members]] = True
    valid[1] = True
    drawn = draw_random(valid, KEYS[:2], 9)
    assert (drawn.weight[0] == (members == 2)).all()
    assert (drawn.weight[1] == 1).all()
    for pixels in (drawn.first, drawn.second):
        assert pixels.shape == (2, 9)
        assert pixels.min() >= 0
        assert pixels.max() < 30
    if members == 2:
        assert {*np.unique(drawn.first[0])} == {7, 22}
        assert (drawn.first[0] + drawn.second[0] == 29).all()


def draw(kind, guide, valid, keys):
    if kind == "random":
        return draw_random(valid, keys, 40)
    return draw_across(guide, valid, keys, count=40)


@pytest.mark.parametrize("kind", ["random", "edges"])
def test_a_draw_depends_on_the_image_and_its_key_alone(kind):
    rng = np.random.default_rng(0)
    guide = np.stack([np.roll(scene(), i, 1) for i in range(8)])
    valid = rng.random(guide.shape) < 0.8
    whole = draw(kind, guide, valid, KEYS)
    one_each = [x[:, None] for x in (guide, valid, KEYS)]
    spread = jax.pmap(lambda *x: draw(kind, *x))(*one_each)
    for one, other in zip(whole, spread, strict=True):
        np.testing.assert_array_equal(one, other[:, 0])
    for b in range(2):  # the same key draws the same again, another key others
        alone = draw(kind, guide[b : b + 1], valid[b : b + 1], KEYS[b : b + 1])
        np.testing.assert_array_equal(whole.first[b], alone.first[0])
        np.testing.assert_array_equal(whole.weight[b], alone.weight[0])
    other = draw(kind, guide[:1], valid[:1], KEYS[5:6])
    assert (np.asarray(other.first[0]) != np.asarray(whole.first[0])).any()


def textbook_edges(guide, share):
    """Edge pixels and their directions by SciPy, in float64."""
    down, right = (scipy.ndimage.sobel(guide.astype(np.float64), a) for a in (0, 1))
    length = np.hypot(down, right)
    length[[0, -1]] = length[:, [0, -1]] = 0
    places = np.argwhere(length >= share * length.max())
    slopes = np.stack([down, right], -1) / np.maximum(length, 1e-12)[..., None]
    return places, slopes[tuple(places.T)]


def test_four_points_lie_in_line_across_an_edge():
    guide, count, near, far = scene(), 60, 2, 7
    whole = np.ones((1, *guide.shape), bool)
    drawn = draw_across(
        guide[None], whole, KEYS[:1], count=count, share=0.3, distances=(near, far)
    )
    pixels, weight = lines_of(drawn, count)
    places, slopes = textbook_edges(guide, 0.3)
    steps = np.arange(near, far + 1)
    crossed = set()
    for line in range(count):
        assert weight[0, :, line].any()
        points = np.stack(np.divmod(pixels[0, :, line], guide.shape[1]), -1)
        fits = np.ones(len(places), bool)
        distances = []
        for k, sign in enumerate((-1, -1, 1, 1)):
            on_line = places[:, None] + sign * steps[:, None] * slopes[:, None]
            miss = np.abs(points[k] - on_line).max(-1)
            fits &= (miss <= 0.5 + 1e-3).any(1)
            distances.append(np.where(miss <= 0.5 + 1e-3, steps, 99))
        # On each side the outer point is farther away than the inner one.
        fits &= distances[0].max(1, where=distances[0] < 99, initial=0) > distances[
            1
        ].min(1)
        fits &= distances[3].max(1, where=distances[3] < 99, initial=0) > distances[
            2
        ].min(1)
        assert fits.any()
        crossed.add(int(np.flatnonzero(fits)[0]))
    assert len(crossed) > 20  # from all round the disc


def test_the_middle_pair_goes_up_an_edge_of_any_direction():
    guide, count = scene(), 400
    whole = np.ones((1, *guide.shape), bool)
    drawn = draw_across(
        guide[None], whole, KEYS[:1], count=count, share=0.5, distances=(3, 7)
    )
    pixels, weight = lines_of(drawn, count)
    assert (weight[0, 1] == 1).all()
    rise = np.diff(guide.ravel()[pixels[0]], axis=0)
    # Wrong signs would put the points of oblique edges side by side.
    assert (rise[1] > 0.5).all()
    rows, columns = np.divmod(pixels[0], guide.shape[1])
    angle = np.arctan2(rows[2] - rows[1], columns[2] - columns[1])
    assert len(np.unique(np.rint(angle / (np.pi / 4)) % 8)) == 8


def test_edges_are_drawn_evenly_and_distances_over_their_whole_range():
    guide = np.zeros((1, 9, 41), np.float32)
    guide[..., 21:] = 1  # columns 20 and 21 have the gradient, rows 1 to 7
    whole = np.ones(guide.shape, bool)
    drawn = draw_across(guide, whole, KEYS[:1], count=20_000, distances=(3, 6))
    pixels, weight = lines_of(drawn, 20_000)
    assert (weight == 1).all()
    rows, columns = np.divmod(pixels[0], 41)
    assert (rows == rows[:1]).all()
    assert scipy.stats.chisquare(np.bincount(rows[0], minlength=8)[1:8]).pvalue > 1e-3
    gap = columns[1] - columns[0]  # of two different ones of 3, 4, 5, 6
    assert (
        scipy.stats.chisquare(
            np.bincount(gap, minlength=4)[1:4], [10_000, 20_000 / 3, 10_000 / 3]
        ).pvalue
        > 1e-3
    )
    assert columns.min() == 20 - 6
    assert columns.max() == 21 + 6
    assert (columns[1] <= 21 - 3).all()
    assert (columns[2] >= 20 + 3).all()


def test_points_outside_or_not_valid_have_no_weight():
    guide = np.zeros((1, 12, 12), np.float32)
    guide[..., 6:] = 1
    valid = np.ones(guide.shape, bool)
    valid[..., :4] = False
    drawn = draw_across(guide, valid, KEYS[:1], count=200, distances=(2, 9))
    pixels, weight = lines_of(drawn, 200)
    columns = pixels[0] % 12
    for pair in range(3):
        usable = valid[0, 0][columns[pair]] & valid[0, 0][columns[pair + 1]]
        assert not weight[0, pair][~usable].any()
    assert weight.any()
    # A point beyond the border is not moved there and then used.
    assert not weight[0, 2][columns[3] == columns[2]].any()


@pytest.mark.parametrize("what", ["flat", "unknown", "small"])
def test_images_without_edges_have_no_pairs(what):
    size = (2, 2) if what == "small" else (20, 30)
    guide = np.zeros((1, *size), np.float32)
    known = np.ones(guide.shape, bool)
    if what == "unknown":
        guide[..., 15:] = np.nan
        known[..., 14:] = False
    drawn = draw_across(
        guide, np.ones(guide.shape, bool), KEYS[:1], count=10, known=known
    )
    assert not np.asarray(drawn.weight).any()
    assert drawn.first.shape == (1, 30)
    assert drawn.first.min() >= 0
    assert drawn.second.max() < guide.size


def test_holes_in_the_guide_are_no_edges():
    guide = scene()[None]
    known = np.ones(guide.shape, bool)
    known[0, 20:24, 40:50] = False
    dirty = np.where(known, guide, np.nan)
    options = {"share": 0.3, "distances": (3, 5)}
    whole = np.ones(guide.shape, bool)
    drawn = draw_across(dirty, whole, KEYS[:1], count=200, known=known, **options)
    pixels, weight = lines_of(drawn, 200)
    assert weight[0, 1].all()
    middle = np.hypot(pixels[0, 1:3] // 60 - 22, pixels[0, 1:3] % 60 - 31)
    assert (middle[0] > 13).all()  # all lines cross the disc's edge
    assert (middle[1] < 13).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valid": np.ones((1, 4, 5))}, r"bool \[b, h, w\].*float64 \[1, 4, 5\]"),
        ({"keys": KEYS[:2]}, "2 keys"),
        ({"count": 0}, "at least 1, got 0"),
        ({"guide": np.zeros((1, 4, 6))}, r"one shape.*\[1, 4, 6\]"),
        ({"share": 0.0}, r"share in \(0, 1\]"),
        ({"distances": (3, 3)}, "rising distances"),
        ({"distances": (0, 3)}, "rising distances"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, message):
    options = {
        "guide": np.zeros((1, 4, 5), np.float32),
        "valid": np.ones((1, 4, 5), bool),
        "keys": KEYS[:1],
        "count": 3,
        **change,
    }
    with pytest.raises(errors.UserError, match=message):
        pair_sampling.across_edges(**options)
