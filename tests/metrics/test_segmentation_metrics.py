"""Scores of named pixels against counts that are made pixel by pixel."""

import itertools
import math

import numpy as np
import pytest

from dpjax import errors
from dpjax.metrics import confusion
from dpjax.metrics import segmentation as metrics


def _maps(seed, size=(31, 40), classes=5, wrong=0.3):
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=(4, 5)).repeat(8, 0).repeat(8, 1)
    truth = truth[: size[0], : size[1]]
    told = np.where(rng.random(size) < wrong, rng.integers(classes, size=size), truth)
    return truth, told, rng.random(size) < 0.9


def _counted(truth, told, valid, classes):
    matrix = np.zeros((classes, classes), np.int64)
    for y, x in itertools.product(*map(range, truth.shape)):
        if valid[y, x]:
            matrix[truth[y, x], told[y, x]] += 1
    return matrix


@pytest.mark.parametrize("seed", range(3))
def test_confusions_are_counted_and_add_up(seed):
    truth, told, valid = _maps(seed)
    wanted = _counted(truth, told, valid, 5)
    found = confusion.confusion(truth[valid], told[valid], 5)
    assert found.dtype == np.int64
    assert np.array_equal(found, wanted)
    halves = [
        confusion.confusion(truth[part][valid[part]], told[part][valid[part]], 5)
        for part in (slice(0, 13), slice(13, None))
    ]
    assert np.array_equal(sum(halves), wanted)


@pytest.mark.parametrize(
    ("labels", "told", "kind"),
    [([0, 3], [0, 1], "labels"), ([0, 1], [-1, 1], "answers")],
)
def test_a_class_that_there_is_not_is_refused_and_not_miscounted(labels, told, kind):
    with pytest.raises(errors.UserError, match=f"3 classes wants {kind} from 0 to 2"):
        confusion.confusion(np.array(labels), np.array(told), 3)


def test_the_most_frequent_confusions_come_first():
    matrix = np.array([[5, 1, 4], [0, 3, 0], [2, 2, 0]])
    assert confusion.frequent(matrix, 3) == [
        (0, 2, 4, 40.0),
        (2, 0, 2, 50.0),
        (2, 1, 2, 50.0),
    ]
    assert confusion.frequent(np.eye(3, dtype=int), 3) == []


def test_the_union_of_sets_is_what_the_matrix_says():
    truth, told, valid = _maps(7)
    matrix = confusion.confusion(truth[valid], told[valid], 5)
    for k, value in enumerate(metrics.intersection_over_union(matrix)):
        one, two = (
            {*zip(*np.nonzero((m == k) & valid), strict=False)} for m in (truth, told)
        )
        assert value == len(one & two) / len(one | two)


def test_scores_of_a_matrix_made_by_hand():
    matrix = np.array([[6, 2, 0], [1, 3, 0], [0, 0, 8]])
    found = metrics.summary(matrix)
    assert found["miou"] == pytest.approx(100 * (6 / 9 + 3 / 6 + 1) / 3)
    assert found["pixel_accuracy"] == pytest.approx(85)
    assert found["mean_accuracy"] == pytest.approx(100 * (6 / 8 + 3 / 4 + 1) / 3)
    weighted = 0.4 * 6 / 9 + 0.2 * 3 / 6 + 0.4
    assert found["fwiou"] == pytest.approx(100 * weighted)


@pytest.mark.parametrize(
    ("absent", "wanted"),
    [
        ("union", [0.5, 0.0, math.nan]),
        ("truth", [0.5, math.nan, math.nan]),
        ("one", [0.5, 0.0, 1.0]),
    ],
)
def test_absent_classes_follow_the_chosen_convention(absent, wanted):
    matrix = np.array([[2, 2, 0], [0, 0, 0], [0, 0, 0]])
    found = metrics.intersection_over_union(matrix, absent)
    np.testing.assert_array_equal(found, wanted)
    miou = metrics.summary(matrix, absent)["miou"]
    assert miou == pytest.approx(100 * np.nanmean(wanted))


def test_more_pixels_than_32_bits_hold():
    matrix = np.array([[3 << 31, 1 << 31], [0, 1 << 31]])
    assert metrics.summary(matrix)["pixel_accuracy"] == pytest.approx(80)


def test_no_pixels_have_no_score():
    assert all(map(math.isnan, metrics.summary(np.zeros((2, 2), int)).values()))


def _boundary(labels, valid, k):
    """Boundary pixels of a class, by looking at every neighbour."""
    found = set()
    for y, x in itertools.product(*map(range, labels.shape)):
        if labels[y, x] != k or not valid[y, x]:
            continue
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= v < labels.shape[0] and 0 <= u < labels.shape[1]
            if inside and valid[v, u] and labels[v, u] != k:
                found.add((y, x))
    return found


def _squares(pixels, places):
    """Squared distances, from each pixel to each place."""
    return ((pixels[:, None] - places[None]) ** 2).sum(-1)


def _without_lines(truth, valid, reach):
    """Pixels without a label get the nearest one, unless a disc without fits there."""
    places, missing = np.argwhere(valid), np.argwhere(~valid)
    squares = _squares(missing, places)
    inner = missing[squares.min(1) > reach]
    is_thin = (_squares(missing, inner) > reach).all(1)
    truth, known = truth.copy(), valid.copy()
    nearest = places[squares.argmin(1)]
    for (y, x), (v, u) in zip(missing[is_thin], nearest[is_thin], strict=True):
        truth[y, x], known[y, x] = truth[v, u], True
    return truth, known


# Lines of two pixels are thin for the tolerance of the larger size, and wide for that
# of the smaller.
@pytest.mark.parametrize(("size", "is_thin"), [((31, 40), False), ((90, 110), True)])
def test_boundary_counts_are_those_of_every_pair_of_pixels(size, is_thin):
    rng = np.random.default_rng(2)
    low = rng.integers(3, size=(4, 5))
    truth, told = (
        np.kron(m, np.ones((23, 22), int))[: size[0], : size[1]]
        for m in (low, np.where(rng.random(low.shape) < 0.2, 1, low))
    )
    told = np.roll(told, (1, -2), (0, 1))
    valid = np.ones(size, bool)
    for line in (22, 45, 68):  # the upper ones of the block below, the others above
        valid[line : line + 2] = False
    valid[3:19, 5:24] = False
    truth = np.where(valid, truth, 255).astype(np.uint8)  # as records hold labels
    reach = (metrics.TOLERANCE * math.hypot(*size)) ** 2
    found = {
        int(row[0]): row[1:].tolist()
        for row in metrics.boundary_counts(truth, told, valid)
    }
    truth, known = _without_lines(truth, valid, reach)
    assert is_thin == (known.sum() > valid.sum() + 50)
    assert not known[8:14, 10:19].any()
    valid = known
    for k in range(3):
        true, said = (_boundary(m, valid, k) for m in (truth, told))
        hits = [
            sum(
                any((y - v) ** 2 + (x - u) ** 2 <= reach for v, u in other)
                for y, x in one
            )
            for one, other in ((said, true), (true, said))
        ]
        assert found[k] == [hits[0], len(said), hits[1], len(true)]


def test_borders_without_a_label_do_not_hide_boundaries():
    """VOC draws a line of five pixels around everything; no classes touch."""
    y, x = np.mgrid[:375, :500]
    away = np.hypot(y - 180, x - 200)
    told = (away < 90).astype(int)
    truth = np.where(np.abs(away - 90) < 2.5, 255, told)
    # Moved by 20, circles stay within the tolerance of 4.7 for 15 % of their length.
    for shift, wanted in ((0, 1), (3, 1), (20, 0.15)):
        moved = np.roll(told, shift, 1)
        counts = metrics.boundary_counts(truth, moved, truth != 255)
        assert counts[:, [2, 4]].min() > 400  # of told and true ones, about 2 pi 90
        np.testing.assert_allclose(metrics.boundary_f(counts, 2), wanted, atol=0.03)


def test_what_is_told_of_areas_without_a_label_makes_no_boundary():
    truth = np.zeros((200, 300), int)
    truth[:, 150:] = 1
    valid = np.ones(truth.shape, bool)
    valid[40:160, 60:150] = False  # up to the boundary, which is none there
    wanted = metrics.boundary_counts(truth, truth, valid)
    # 80 rows, and the corners of the area: no disc fits there.
    assert all(80 <= number <= 84 for number in wanted[0, 1:])
    told = truth.copy()
    told[80:120, 80:120] = 2
    np.testing.assert_array_equal(metrics.boundary_counts(truth, told, valid), wanted)
    nothing = np.zeros(truth.shape, bool)
    assert metrics.boundary_counts(truth, told, nothing).shape == (0, 5)


def test_boundary_f_is_one_for_the_truth_and_zero_for_a_class_of_one_side():
    truth = np.zeros((40, 40), int)
    truth[10:20, 10:20] = 1
    valid = np.ones(truth.shape, bool)
    same = metrics.boundary_f(metrics.boundary_counts(truth, truth, valid), 3)
    np.testing.assert_array_equal(same, [1, 1, math.nan])
    other = np.where(truth == 1, 2, 0)
    found = metrics.boundary_f(metrics.boundary_counts(truth, other, valid), 3)
    np.testing.assert_array_equal(found, [1, 0, 0])
