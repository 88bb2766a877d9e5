"""Pairs of points in crops against the pictures that they lie in."""

import numpy as np
import pytest

from dpjax.data import crop_window, point_crop

SIZE, CROP = (60, 84), (40, 50)
RNG = np.random.default_rng(0)
POINTS = np.stack([RNG.integers(0, s, (400, 2)) for s in SIZE], -1).astype(np.int32)
RELATION = RNG.integers(-1, 2, 400).astype(np.int32)
# Every pixel has a number of its own.
NUMBERS = np.arange(np.prod(SIZE), dtype=np.float32).reshape(SIZE)


def cut(window, count=400, seed=0, **options):
    return point_crop.cut(
        POINTS,
        RELATION,
        SIZE,
        window,
        CROP,
        count=count,
        rng=np.random.default_rng(seed),
        **options,
    )


@pytest.mark.parametrize("is_mirrored", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_points_show_what_they_showed(seed, is_mirrored):
    # Enlarged by different factors along the sides, as by a task that has a size.
    rng = np.random.default_rng(seed)
    window = crop_window.draw((70, 130), rng, crop=CROP, scales=(1.0, 1.5))
    points, relation, counts = cut(window, is_mirrored=is_mirrored)
    assert (points.dtype, relation.dtype, counts.dtype) == (np.int32, np.int8, bool)
    if is_mirrored:
        points[..., 1] = CROP[1] - 1 - points[..., 1]
    page = crop_window.cut_map(NUMBERS, window, CROP, -1)
    found = page[points[counts][..., 0], points[counts][..., 1]]
    numbers = NUMBERS[POINTS[..., 0], POINTS[..., 1]]
    # A pair is there if the crop has its two pixels.  At the rim there may be one whose
    # centre is outside.
    wanted = np.isin(numbers, page).all(1) & (numbers[:, 0] != numbers[:, 1])
    assert 0 < counts.sum() <= wanted.sum()
    inner = np.isin(numbers, page[3:-3, 3:-3]).all(1) & (numbers[:, 0] != numbers[:, 1])
    assert inner.sum() <= counts.sum()
    told = [(*n, r) for n, r in zip(found.tolist(), relation[counts], strict=True)]
    every = [(*n, r) for n, r in zip(numbers.tolist(), RELATION, strict=True)]
    assert set(told) <= set(every)
    inside = [line for line, is_inner in zip(every, inner, strict=True) if is_inner]
    assert set(inside) <= set(told)


def test_a_picture_that_is_made_smaller_keeps_points_within_a_pixel():
    window = crop_window.Window((30, 42), -5, -4, 0.5)
    points, _, counts = cut(window)
    assert counts.sum() > 380
    places = [(p, q) for p, q in POINTS.tolist()]
    moved = points[counts].tolist()
    for (a, b), place in zip(moved, _kept(places), strict=True):
        for (row, column), (y, x) in zip((a, b), place, strict=True):
            assert row == int((y + 0.5) / 2) + 5
            assert column == int((x + 0.5) / 2) + 4


def _kept(places):
    """Pairs that are still two pixels at half of the size."""
    half = lambda p: tuple(int((side + 0.5) / 2) for side in p)  # noqa: E731
    return [(p, q) for p, q in places if half(p) != half(q)]


def test_what_is_left_over_is_nothing_and_what_is_too_many_is_drawn():
    window = crop_window.Window(SIZE, 0, 0)
    points, relation, counts = cut(window)
    n = counts.sum()
    assert (counts[:n]).all()
    assert not counts[n:].any()
    np.testing.assert_array_equal(points[n:], 0)
    np.testing.assert_array_equal(relation[n:], 0)
    all_of_them = {tuple(p.ravel()) for p in points[:n]}
    seen = set()
    for seed in range(40):
        some, _, drawn = cut(window, count=20, seed=seed)
        assert drawn.all()
        rows = {tuple(p.ravel()) for p in some}
        assert rows <= all_of_them
        assert len(rows) == 20
        seen |= rows
    assert seen == all_of_them
    again, _, _ = cut(window, count=20, seed=39)
    np.testing.assert_array_equal(again, some)


def test_a_record_without_pairs_gives_none():
    window = crop_window.Window(SIZE, 0, 0)
    none = np.zeros((0, 2, 2), np.int32), np.zeros(0, np.int32)
    _, _, counts = point_crop.cut(
        *none, SIZE, window, CROP, count=3, rng=np.random.default_rng(0)
    )
    np.testing.assert_array_equal(counts, [False] * 3)
