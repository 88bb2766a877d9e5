"""SLIC against its definition, one pixel after the other, and by what it promises."""

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.superpixels import graph, slic


def clusters_by_loops(image, size, regulariser):
    """VLFeat's k-means in float64: the seed of each pixel, and the rounds needed."""
    height, width, _ = image.shape
    rows, columns = -(-height // size), -(-width // size)
    edges = np.zeros((height, width))
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            across = image[y, x - 1] - image[y, x + 1]
            down = image[y + 1, x] - image[y - 1, x]
            edges[y, x] = (across**2).sum() + (down**2).sum()
    centres = []
    for v in range(rows):
        for u in range(columns):
            x = min(int(size * (u + 0.5) + 0.5), width - 1)
            y = min(int(size * (v + 0.5) + 0.5), height - 1)
            near = [
                (edges[b, a], b, a)
                for b in range(max(0, y - 1), min(height, y + 2))
                for a in range(max(0, x - 1), min(width, x + 2))
            ]
            _, y, x = min(near)
            centres.append(np.concatenate([[y, x], image[y, x]]))
    found = np.zeros((height, width), int)
    first = last = None
    rounds = 0
    while rounds < 100:
        rounds += 1
        energy = 0
        for y in range(height):
            for x in range(width):
                u, v = (int(np.floor(n / size - 0.5)) for n in (x, y))
                best = np.inf
                for b in range(max(v, 0), min(v + 2, rows)):
                    for a in range(max(u, 0), min(u + 2, columns)):
                        centre = centres[b * columns + a]
                        if centre is None:
                            continue
                        away = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
                        alike = ((image[y, x] - centre[2:]) ** 2).sum()
                        distance = alike + regulariser / size**2 * away
                        if distance < best - 1e-12:
                            best, found[y, x] = distance, b * columns + a
                energy += best
        if first is None:
            first = energy
        elif last - energy < 1e-5 * (first - energy):
            break
        last = energy
        for number in range(len(centres)):
            y, x = np.nonzero(found == number)
            centres[number] = None
            if len(y):
                places = [y.mean(), x.mean()]
                centres[number] = np.concatenate([places, image[y, x].mean(0)])
    return found, rounds


def picture(shape, seed=0):
    """Coloured patches with noise, float64 in [0, 1]."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((shape[0] // 5 + 1, shape[1] // 5 + 1, 3))
    image = np.kron(coarse, np.ones((5, 5, 1)))[: shape[0], : shape[1]]
    return np.clip(image + rng.normal(0, 0.05, image.shape), 0, 1)


def connected_parts(mask):
    """How many 4-connected parts a mask has, by flooding."""
    left, count = set(zip(*np.nonzero(mask), strict=True)), 0
    while left:
        count += 1
        queue = [left.pop()]
        while queue:
            y, x = queue.pop()
            for place in ((y, x + 1), (y, x - 1), (y + 1, x), (y - 1, x)):
                if place in left:
                    left.remove(place)
                    queue.append(place)
    return count


@pytest.mark.parametrize(
    ("shape", "size"), [((24, 30), 6), ((23, 17), 5), ((12, 33), 20), ((9, 8), 1)]
)
@pytest.mark.parametrize("regulariser", [0.1, 2.0])
def test_clusters_are_those_of_the_definition(shape, size, regulariser):
    image = picture(shape)
    wanted, _ = clusters_by_loops(image, size, regulariser)
    found = slic._cluster(image, size, regulariser)
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(20, 20), (13, 22)])
def test_equal_distances_go_to_the_earlier_seed(shape):
    image = np.full((*shape, 3), 0.7)
    wanted, _ = clusters_by_loops(image, 10, 0.1)
    np.testing.assert_array_equal(slic._cluster(image, 10, 0.1), wanted)


def test_a_seed_without_pixels_stays_without():
    image = np.round(picture((12, 12), seed=39))
    wanted, _ = clusters_by_loops(image, 3, 1e-4)
    assert len(np.unique(wanted)) < 16
    np.testing.assert_array_equal(slic._cluster(image, 3, 1e-4), wanted)


@pytest.mark.parametrize("seed", [14, 17, 34])
def test_rounds_end_when_little_is_gained(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    places = np.stack(np.mgrid[:40, :40], -1) / 10
    waves = places @ rng.normal(0, 1, (2, 3)) + rng.normal(0, 0.1, (40, 40, 3))
    image = 0.5 + 0.4 * np.sin(waves)
    wanted, rounds = clusters_by_loops(image, 20, 0.1)
    counted, means = [], slic._means
    monkeypatch.setattr(slic, "_means", lambda *a: counted.append(0) or means(*a))
    np.testing.assert_array_equal(slic._cluster(image, 20, 0.1), wanted)
    assert len(counted) + 1 == rounds


@pytest.mark.parametrize("size", [8, 20])
def test_superpixels_of_a_photograph_cover_it_connected_and_not_small(photo, size):
    found = slic.segment(photo[:120, :160], size)
    assert found.dtype == np.int32
    assert found.shape == (120, 160)
    sizes = np.bincount(found.ravel())
    assert sizes.min() >= 10
    assert all(connected_parts(found == p) == 1 for p in range(len(sizes)))
    assert len(graph.adjacency(found)) <= 3 * len(sizes) - 6


def test_superpixels_follow_edges():
    truth = np.zeros((60, 80), bool)
    truth[:, 37:] = True
    truth[22:31] ^= True
    image = np.where(truth[..., None], 0.9, 0.2) * [1.0, 0.8, 0.6]
    found = slic.segment(image.astype(np.float32), 10)
    inside = np.bincount(found.ravel(), truth.ravel()) / np.bincount(found.ravel())
    assert np.minimum(inside, 1 - inside).max() < 0.05


@pytest.mark.parametrize(("height", "width"), [(480, 640), (345, 460), (101, 230)])
def test_gradients_have_about_as_many_superpixels_as_seeds(height, width):
    down, right = np.mgrid[:height, :width] / max(height, width)
    image = np.stack([down, right, (down + right) / 2], -1)
    wanted = np.prod(slic.grid((height, width), 20))
    count = slic.segment(image, 20).max() + 1
    assert 0.75 * wanted <= count <= wanted


def test_bytes_and_their_fractions_of_255_are_the_same_image(photo):
    image = photo[:60, :80]
    wanted = slic.segment(image, 10)
    found = slic.segment(image / np.float32(255), 10)
    np.testing.assert_array_equal(found, wanted)


def test_without_connection_regions_are_the_clusters_less_small_parts(photo):
    image = photo[100:180, 100:220]
    found = slic.segment(image, 10, least=0, connected=False)
    clusters = slic._cluster(image / np.float32(255), 10, 0.1)
    np.testing.assert_array_equal(found, np.unique(clusters, return_inverse=True)[1])
    assert max(connected_parts(found == p) for p in range(found.max() + 1)) > 1


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 30, 3), (30, 1, 3), (2, 2, 1)])
def test_tiny_images_are_covered(shape):
    image = np.random.default_rng(0).random(shape)
    found = slic.segment(image, 7)
    assert found.shape == shape[:2]
    assert set(np.unique(found)) == set(range(found.max() + 1))


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((4, 4)), {}, r"\[h, w, 3\], got \[4, 4\]"),
        (np.zeros((0, 4, 3)), {}, r"got \[0, 4, 3\]"),
        (np.full((4, 4, 3), 255.0), {}, r"\[0, 1\], got float64 from 255"),
        (np.full((4, 4, 3), np.nan), {}, r"floats in \[0, 1\]"),
        (np.zeros((4, 4, 3), int), {}, "got int64"),
        (np.zeros((4, 4, 3)), {"size": 0}, "1 pixel or more"),
        (np.zeros((4, 4, 3)), {"regulariser": -1}, "of 0 or more, got 20, -1"),
    ],
)
def test_what_cannot_be_cut_is_refused(image, options, message):
    with pytest.raises(errors.UserError, match=message):
        slic.segment(image, **options)
