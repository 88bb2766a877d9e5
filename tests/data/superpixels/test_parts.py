"""The clean-up of small parts against a walk from pixel to pixel."""

import numpy as np
import pytest

from dpjax.data.superpixels import graph, parts


def clean_by_walking(labels, least, keeps=None):
    """VLFeat's rule, not numbered anew; `keeps` may refuse a part of a label."""
    height, width = labels.shape
    cleaned = np.full((height, width), -1)

    def beside(y, x):
        for place in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
            if 0 <= place[0] < height and 0 <= place[1] < width:
                yield place

    for start in np.ndindex(height, width):
        if cleaned[start] >= 0:
            continue
        label = into = labels[start]
        for place in beside(*start):
            if cleaned[place] >= 0:
                into = cleaned[place]
        cleaned[start] = label
        part = [start]
        for place in part:
            for other in beside(*place):
                if cleaned[other] < 0 and labels[other] == label:
                    cleaned[other] = label
                    part.append(other)
        if len(part) < least or (keeps and not keeps(label, part)):
            for place in part:
                cleaned[place] = into
    return cleaned


def random_labels(seed, shape=(17, 23)):
    """Few labels in blobs and dots, so that parts are small, stray and nested."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.integers(0, 6, (6, 6)), np.ones((3, 4), int))
    labels = coarse[: shape[0], : shape[1]]
    dots = rng.random(shape) < 0.2
    return np.where(dots, rng.integers(0, 6, shape), labels)


def numbered(labels):
    return np.unique(labels, return_inverse=True)[1]


@pytest.mark.parametrize("least", [0, 2, 10, 40])
@pytest.mark.parametrize("seed", range(8))
def test_small_parts_join_as_vlfeat_has_it(seed, least):
    labels = random_labels(seed)
    found = parts.clean(labels, least, connected=False)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, numbered(clean_by_walking(labels, least)))


@pytest.mark.parametrize("seed", range(8))
def test_stray_parts_join_by_the_same_rule(seed):
    labels = random_labels(seed)
    labels[:4, :4] = 9  # so that the first part stays: VLFeat has no rule for it
    largest = {}

    def note(label, part):
        if len(part) > len(largest.get(label, [])):
            largest[label] = list(part)
        return True

    clean_by_walking(labels, 0, note)
    wanted = clean_by_walking(labels, 3, lambda label, part: part == largest[label])
    np.testing.assert_array_equal(parts.clean(labels, 3), numbered(wanted))


@pytest.mark.parametrize("least", [0, 5, 10])
@pytest.mark.parametrize("seed", range(8))
def test_connected_regions_are_in_one_part_and_not_small(seed, least):
    found = parts.clean(random_labels(seed), least)
    pieces = parts.clean(found, 0, connected=False)
    assert len(parts._parts(found)[1]) == found.max() + 1
    np.testing.assert_array_equal(pieces, found)
    assert np.bincount(found.ravel()).min() >= min(least, found.size)


def test_a_small_part_in_the_first_corner_joins_what_it_touches():
    labels = np.array([[0, 0, 1, 1], [0, 2, 1, 1], [2, 2, 2, 2], [2, 2, 2, 2]])
    found = parts.clean(labels, 4)
    np.testing.assert_array_equal(found, [[0] * 4, [0, 1, 0, 0], [1] * 4, [1] * 4])
    as_there = parts.clean(labels, 4, connected=False)
    np.testing.assert_array_equal(as_there, labels)


def test_in_the_first_row_what_lies_below_comes_before_the_left():
    labels = np.array([[0, 1, 1, 2, 0], [0, 0, 0, 0, 0]])
    wanted = [[0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(parts.clean(labels, 2), wanted)
    np.testing.assert_array_equal(numbered(clean_by_walking(labels, 2)), wanted)


def test_the_larger_part_of_a_region_stays():
    labels = np.array([[0, 1, 0, 0]] * 3)
    np.testing.assert_array_equal(parts.clean(labels, 1), [[1, 1, 0, 0]] * 3)
    flipped = labels[:, ::-1]
    np.testing.assert_array_equal(parts.clean(flipped, 1), [[0, 0, 1, 1]] * 3)


def test_an_image_of_one_small_region_stays_as_it_is():
    np.testing.assert_array_equal(parts.clean(np.full((2, 2), 7), 10), np.zeros((2, 2)))


def test_neighbours_are_known_after_the_clean_up():
    labels = np.kron(np.arange(6).reshape(2, 3), np.ones((4, 4), int))
    np.testing.assert_array_equal(parts.clean(labels, 10), labels)
    assert len(graph.adjacency(labels)) == 7
