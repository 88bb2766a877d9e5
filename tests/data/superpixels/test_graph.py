"""Neighbours and places of superpixels against loops over pixels."""

import numpy as np
import pytest

from dpjax.data.superpixels import graph


def random_regions(seed, shape=(9, 13), count=7):
    regions = np.random.default_rng(seed).integers(0, count, shape)
    regions.flat[:count] = range(count)
    return regions


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(9, 13), (1, 40), (40, 1)])
def test_neighbours_have_pixels_side_by_side(seed, shape):
    regions = random_regions(seed, shape, count=12)
    wanted = set()
    for y, x in np.ndindex(shape):
        for b, a in ((y + 1, x), (y, x + 1)):
            if b < shape[0] and a < shape[1] and regions[y, x] != regions[b, a]:
                wanted.add(tuple(sorted((regions[y, x], regions[b, a]))))
    found = graph.adjacency(regions)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, sorted(wanted))


def test_corners_do_not_make_neighbours():
    regions = np.array([[0, 1], [2, 3]])
    wanted = [[0, 1], [0, 2], [1, 3], [2, 3]]
    np.testing.assert_array_equal(graph.adjacency(regions), wanted)


def test_one_superpixel_has_no_neighbour():
    assert graph.adjacency(np.zeros((4, 5), np.int32)).shape == (0, 2)


@pytest.mark.parametrize("seed", range(3))
def test_sizes_and_places_are_those_of_the_pixels(seed):
    regions = random_regions(seed)
    found = graph.geometry(regions)
    for number in range(regions.max() + 1):
        y, x = np.nonzero(regions == number)
        assert found.sizes[number] == len(y)
        np.testing.assert_allclose(found.centroids[number], [y.mean(), x.mean()])
        assert found.boxes[number].tolist() == [y.min(), x.min(), y.max(), x.max()]
        middle = [(y.min() + y.max()) / 2, (x.min() + x.max()) / 2]
        np.testing.assert_array_equal(found.box_centres[number], middle)


def test_centroid_pixels_round_halves_up():
    regions = np.array([[0, 0, 1, 1, 1], [0, 0, 1, 1, 1]])
    found = graph.geometry(regions).centroid_pixels
    np.testing.assert_array_equal(found, [[1, 1], [1, 3]])


def test_a_bent_superpixel_has_a_pixel_of_its_own():
    bent = np.zeros((7, 9), np.int32)
    bent[1:6, 2:9] = 1  # 0 is a bracket around it, open to the right
    found = graph.geometry(bent)
    assert bent[tuple(found.centroid_pixels[0])] == 1
    places = graph.own_pixels(bent, found)
    np.testing.assert_array_equal(bent[tuple(places.T)], [0, 1])
    np.testing.assert_array_equal(places[1], found.centroid_pixels[1])
    y, x = np.nonzero(bent == 0)
    away = np.hypot(y - y.mean(), x - x.mean())
    assert np.hypot(*(places[0] - found.centroids[0])) == pytest.approx(away.min())
