"""Boundary errors of depth, by looking at every pair of edge pixels."""

import math

import numpy as np
import pytest
from scipy import ndimage

from dpjax import errors
from dpjax.metrics import depth_edges


def step(column, size=(40, 60), near=1.0, far=4.0):
    """Depth that changes at a column, which has the middle: the edge is one pixel."""
    side = np.sign(np.arange(size[1]) - column)
    return (near + far + side * (far - near)) / 2 * np.ones((size[0], 1))


def found_for(prediction, truth, valid=None):
    valid = np.ones(truth.shape, bool) if valid is None else valid
    both = (depth_edges.edges(x, valid) for x in (prediction, truth))
    values = depth_edges.values(depth_edges.sums(*both))
    return float(values["edge_accuracy"]), float(values["edge_completeness"])


@pytest.mark.parametrize("shift", [0, 1, 3, 9])
def test_a_shifted_edge_is_as_wrong_as_it_is_far(shift):
    assert found_for(step(20 + shift), step(20)) == (shift, shift)


@pytest.mark.parametrize("shift", [10, 25])
def test_an_edge_that_is_too_far_counts_as_missing(shift):
    assert found_for(step(20 + shift), step(20)) == (10, 10)


def test_a_flat_prediction_has_no_edges():
    flat = np.full((40, 60), 3.0)
    assert not depth_edges.edges(flat, np.ones(flat.shape, bool)).any()
    assert found_for(flat, step(20)) == (10, 10)


def test_a_second_edge_that_is_far_costs_no_accuracy():
    truth = step(20)
    both = truth + step(45, near=0.0, far=3.0)
    assert found_for(both, truth) == (0, 0)
    accuracy, completeness = found_for(truth, both)
    assert accuracy == 0
    assert completeness == pytest.approx(5)  # half of the true pixels are 10 away


def test_edges_are_those_of_the_shape_not_of_the_scale():
    hills = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(44, 60)), 3)
    valid = np.ones(hills.shape, bool)
    edges = depth_edges.edges(hills, valid)
    assert edges.sum() > 50
    np.testing.assert_array_equal(edges, depth_edges.edges(7 * hills + 2, valid))


def test_holes_in_the_truth_are_no_edges():
    truth = step(20)
    valid = np.ones(truth.shape, bool)
    valid[10:20, 35:50] = False
    holes = np.where(valid, truth, 0.0)
    edges = depth_edges.edges(holes, valid)
    assert not edges[:, 24:].any()
    assert edges[5:, 18:22].any()
    junk = np.where(valid, truth, 99.0)
    np.testing.assert_array_equal(edges, depth_edges.edges(junk, valid))


def test_sums_are_those_of_every_pair_of_pixels():
    rng = np.random.default_rng(1)
    predicted, true = (rng.random((25, 30)) < 0.004 for _ in range(2))
    assert predicted.sum() > 1
    assert true.sum() > 1

    def nearest(one, others):
        return min(math.dist(one, other) for other in others)

    told, known = np.argwhere(predicted).tolist(), np.argwhere(true).tolist()
    misses = [min(nearest(p, told), 10) for p in known]
    near = [d for d in (nearest(p, known) for p in told) if d < 10]
    wanted = [len(known), sum(misses), len(near), sum(near)]
    np.testing.assert_allclose(depth_edges.sums(predicted, true), wanted, rtol=1e-12)


def test_ten_pixels_are_too_far():
    true, told = np.zeros((30, 30), bool), np.zeros((30, 30), bool)
    true[15, 5] = told[15, 15] = told[18, 5] = True
    np.testing.assert_array_equal(depth_edges.sums(told, true), [1, 3, 1, 3])


def test_images_without_true_edges_contribute_nothing():
    edges = np.zeros((20, 20), bool)
    other = edges.copy()
    other[:, 10] = True
    empty = depth_edges.sums(other, edges)
    assert not empty.any()
    assert all(np.isnan(v) for v in depth_edges.values(empty).values())
    rows = np.stack([empty, depth_edges.sums(np.roll(other, 2, 1), other)])
    found = depth_edges.summary(rows)
    assert found.pop("images_without_edges") == 1
    assert found == dict.fromkeys(
        [
            f"edge_{name}_{average}"
            for name in ("accuracy", "completeness")
            for average in ("image", "pooled")
        ],
        2.0,
    )
    assert depth_edges.intervals(rows).keys() == found.keys()
    assert depth_edges.summary(rows[:1]) == {"images_without_edges": 1}
    assert depth_edges.intervals(rows[:1]) == {}


def test_an_image_without_near_edges_has_the_largest_error_of_its_own():
    true, near, none = (np.zeros((20, 20), bool) for _ in range(3))
    true[:, 10], near[:, 12] = True, True
    rows = np.stack([depth_edges.sums(near, true), depth_edges.sums(none, true)])
    found = depth_edges.summary(rows)
    assert found["edge_accuracy_image"] == 6  # of 2 and 10
    assert found["edge_accuracy_pooled"] == 2  # there are no pixels to pool
    assert found["edge_completeness_image"] == found["edge_completeness_pooled"] == 6


def test_maps_of_different_shapes_are_refused():
    with pytest.raises(errors.UserError, match="maps of one shape"):
        depth_edges.sums(np.zeros((2, 3), bool), np.zeros((3, 3), bool))
    with pytest.raises(errors.UserError, match="maps of one shape"):
        depth_edges.edges(np.ones((2, 3)), np.zeros((3, 3), bool))
