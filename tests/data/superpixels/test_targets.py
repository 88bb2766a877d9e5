"""Depths of superpixels against loops, with and without holes."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.superpixels import graph, targets


def scene(seed=0, missing=0.4):
    """Depth of which part is unknown, and superpixel 3 wholly."""
    rng = np.random.default_rng(seed)
    regions = np.kron(np.arange(12).reshape(3, 4), np.ones((5, 6), np.int32))
    regions = regions.astype(np.int32)
    depth = rng.uniform(0.5, 10, regions.shape)
    valid = (rng.random(regions.shape) > missing) & (regions != 3)
    depth[~valid] = np.nan
    return depth, valid, regions, graph.geometry(regions)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("how", "middle"), [("mean", np.mean), ("median", np.median)])
def test_middles_are_those_of_log_depth_where_it_is_known(how, middle, seed):
    depth, valid, regions, geometry = scene(seed)
    found, labelled = targets.log_depths(depth, valid, regions, geometry, how)
    assert labelled.tolist() == [p != 3 for p in range(12)]
    assert found.dtype == np.float32
    for p in range(12):
        known = np.log(depth[(regions == p) & valid])
        np.testing.assert_allclose(found[p], middle(known) if len(known) else 0, 1e-6)


def test_the_paper_takes_the_pixel_at_the_centroid():
    depth, valid, regions, geometry = scene()
    found, labelled = targets.log_depths(depth, valid, regions, geometry)
    for p in range(12):
        y, x = np.nonzero(regions == p)
        place = int(np.floor(y.mean() + 0.5)), int(np.floor(x.mean() + 0.5))
        assert labelled[p] == valid[place]
        np.testing.assert_allclose(
            found[p], np.log(depth[place]) if valid[place] else 0, rtol=1e-6
        )
    assert 0 < labelled.sum() < 12


@pytest.mark.parametrize("how", ["mean", "median"])
def test_superpixels_with_little_known_depth_can_go_unlabelled(how):
    depth, valid, regions, geometry = scene(missing=0.7)
    counts = np.bincount(regions[valid], minlength=12)
    _, labelled = targets.log_depths(depth, valid, regions, geometry, how, least=9)
    np.testing.assert_array_equal(labelled, counts >= 9)
    assert 0 < labelled.sum() < 12


@pytest.mark.parametrize("how", targets.How.__args__)
def test_without_any_depth_nothing_is_labelled(how):
    depth, _, regions, geometry = scene()
    valid = np.zeros(regions.shape, bool)
    found, labelled = targets.log_depths(depth, valid, regions, geometry, how)
    assert not labelled.any()
    np.testing.assert_array_equal(found, 0)


@pytest.mark.parametrize("how", targets.How.__args__)
def test_a_plane_of_one_depth_gives_it_to_all(how):
    _, _, regions, geometry = scene()
    depth = np.full(regions.shape, 2.5, np.float32)
    found, labelled = targets.log_depths(depth, depth > 0, regions, geometry, how)
    assert labelled.all()
    np.testing.assert_allclose(found, np.log(2.5), rtol=1e-6)


def test_what_is_no_depth_is_refused():
    depth, valid, regions, geometry = scene()
    with pytest.raises(errors.UserError, match="Did you mean median"):
        targets.log_depths(depth, valid, regions, geometry, "medain")
    with pytest.raises(errors.UserError, match="same size"):
        targets.log_depths(depth[1:], valid, regions, geometry)
    with pytest.raises(errors.UserError, match="False in valid"):
        targets.log_depths(depth, ~valid, regions, geometry)
    with pytest.raises(errors.UserError, match=r"above 0 metres, got some from 0\.0"):
        targets.log_depths(np.zeros(regions.shape), valid, regions, geometry)
