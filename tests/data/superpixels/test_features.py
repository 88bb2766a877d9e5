"""Features of superpixels against loops over pixels in float64."""

import colorsys
import math

import numpy as np
import pytest

from dpjax import errors
from dpjax.data.superpixels import features, graph, slic
from dpjax.ops import colour


def noise(shape=(19, 23), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


def regions_of(shape=(19, 23), side=5):
    rows, columns = (np.arange(n) // side for n in shape)
    return (rows[:, None] * (columns[-1] + 1) + columns).astype(np.int32)


def lbp_by_loops(patch):
    """A histogram of uniform patterns, each by the words of the definition."""
    shares = {}
    for y in range(1, 7):
        for x in range(1, 7):
            places = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0)]
            places.append((-1, 1))
            text = "".join(
                str(int(patch[y + b, x + a] > patch[y, x])) for b, a in places
            )
            changes = sum(text[i] != text[i - 1] for i in range(8))
            if changes == 0:
                name = 56
            elif changes > 2:
                name = 57
            else:
                begin = next(
                    i for i in range(8) if text[i] == "1" and text[i - 1] == "0"
                )
                name = 7 * begin + text.count("1") - 1
            weight = math.prod(1 - abs((t + 0.5) / 8 - 0.5) for t in (x, y))
            shares[name] = shares.get(name, 0) + weight
    found = np.zeros(58)
    for name, share in shares.items():
        found[name] = math.sqrt(share / sum(shares.values()))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_textures_are_uniform_patterns_of_the_patch_at_the_centre(seed):
    image = noise(seed=seed)
    image[:9, :9] //= 120  # many equal neighbours
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, [37, 45], (12, 2)) / 2
    centres[:4] = [[0, 0], [18, 22], [0, 22], [18, 0.5]]
    gray = colour.rgb_to_gray(image / 255.0)[..., 0]
    padded = np.zeros((19 + 16, 23 + 16))
    padded[8:-8, 8:-8] = gray
    found = features.texture(image, centres)
    for one, (row, column) in zip(found, centres, strict=True):
        # In MATLAB's numbers, which begin at 1: ceil(c - 4) to ceil(c + 3).
        top, left = (math.ceil(c + 1 - 4) - 1 + 8 for c in (row, column))
        patch = padded[top : top + 8, left : left + 8]
        np.testing.assert_allclose(one, lbp_by_loops(patch), atol=1e-12)


def test_a_flat_patch_has_the_pattern_of_equal_neighbours_only():
    image = np.full((30, 30, 3), 90, np.uint8)
    found = features.texture(image, np.array([[15.0, 14.5]]))
    wanted = np.zeros((1, 58))
    wanted[0, 56] = 1
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_textures_are_of_length_1_and_ignore_brightness():
    image = noise() // 2
    centres = graph.geometry(regions_of()).box_centres[6:8]
    found = features.texture(image, centres)
    np.testing.assert_allclose(np.square(found).sum(-1), 1)
    np.testing.assert_allclose(features.texture(image * 2, centres), found)


def test_histograms_have_the_bins_of_matlab():
    centres = [(256 / 11 - 1) / 2 + 256 / 11 * k for k in range(11)]
    image, regions = noise(), regions_of()
    found = features.histogram(image, regions)
    for number in range(regions.max() + 1):
        wanted = np.zeros((3, 11))
        for pixel in image[regions == number]:
            for channel, value in enumerate(pixel):
                nearest = min(range(11), key=lambda k: abs(centres[k] - float(value)))
                wanted[channel, nearest] += 1
        wanted /= (regions == number).sum()
        np.testing.assert_allclose(found[number], wanted.ravel(), atol=1e-12)


@pytest.mark.parametrize(("value", "wanted"), [(0, 0), (22, 0), (23, 1), (255, 10)])
def test_ends_of_bins(value, wanted):
    image = np.full((2, 2, 3), value, np.uint8)
    found = features.histogram(image, np.zeros((2, 2), np.int32))
    assert found.reshape(3, 11).argmax(1).tolist() == [wanted] * 3


def luv_by_formula(pixel):
    rows = ((0.488718, 0.310680, 0.200602), (0.176204, 0.812985, 0.0108109))
    rows += ((0.0, 0.0102048, 0.989795),)
    linear = [(float(v) / 255) ** 2.2 for v in pixel]
    x, y, z = (sum(m * v for m, v in zip(row, linear, strict=True)) for row in rows)
    if not x + y + z:
        return [0.0, 0.0, 0.0]
    lightness = 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y
    u, v = 4 * x / (x + 15 * y + 3 * z), 9 * y / (x + 15 * y + 3 * z)
    return [lightness, 13 * lightness * (u - 4 / 19), 13 * lightness * (v - 9 / 19)]


def test_colours_are_means_of_luv():
    image, regions = noise(), regions_of()
    image[:6, :6] //= 30  # dark, and black
    found = features.mean_luv(image, regions)
    for number in range(regions.max() + 1):
        wanted = np.mean([luv_by_formula(p) for p in image[regions == number]], 0)
        np.testing.assert_allclose(found[number], wanted, atol=1e-9)


def test_white_and_black_have_no_hue():
    image = np.array([[[255] * 3, [0] * 3]], np.uint8)
    found = features.luv(image)
    # The published matrix is rounded to six digits.
    np.testing.assert_allclose(found, [[[100, 0, 0], [0, 0, 0]]], atol=1e-3)


def test_hue_turns_with_that_of_hsv():
    hues = np.linspace(0, 1, 25)[:-1]
    pixels = [colorsys.hsv_to_rgb(hue, 1, 1) for hue in hues]
    found = features.luv(np.round(255 * np.array(pixels)).astype(np.uint8))
    turns = np.unwrap(np.arctan2(found[:, 2], found[:, 1]))
    assert (np.diff(turns) > 0).all()
    assert turns[-1] - turns[0] < 2 * np.pi


def test_similarities_fall_with_the_distance_of_the_features(photo):
    image = photo[:96, :120]
    regions = slic.segment(image, 12)
    geometry, edges = graph.geometry(regions), graph.adjacency(regions)
    found = features.similarities(image, regions, geometry.box_centres, edges)
    assert found.shape == (len(edges), 3)
    assert found.dtype == np.float32
    assert (found > 0).all()
    assert (found <= 1).all()
    columns = (
        (features.texture(image, geometry.box_centres), 50),
        (features.histogram(image, regions), 25),
        (features.mean_luv(image, regions), 0.1),
    )
    for e, (p, q) in enumerate(edges[:40]):
        for k, (feature, gamma) in enumerate(columns):
            distance = math.dist(feature[p], feature[q]) / math.sqrt(feature.shape[1])
            np.testing.assert_allclose(found[e, k], math.exp(-gamma * distance), 1e-5)
    swapped = features.similarities(
        image, regions, geometry.box_centres, edges[:, ::-1]
    )
    np.testing.assert_array_equal(swapped, found)


def test_what_looks_the_same_has_similarities_of_1():
    image = np.tile(noise((20, 10)), (1, 3, 1))
    regions = np.repeat(np.arange(3, dtype=np.int32), 10)[None].repeat(20, 0)
    centres = graph.geometry(regions).box_centres
    edges = graph.adjacency(regions)
    found = features.similarities(image, regions, centres, edges)
    np.testing.assert_allclose(found, 1, rtol=1e-6)
    image[3, 15] ^= 255
    found = features.similarities(image, regions, centres, edges)
    assert (found[:, 1:] < 1).all()


@pytest.mark.parametrize(
    ("image", "regions", "message"),
    [
        (np.zeros((4, 4, 3)), np.zeros((4, 4), int), "uint8 .*, got float64"),
        (np.zeros((4, 4, 1), np.uint8), np.zeros((4, 4), int), r"\[4, 4, 1\]"),
        (
            np.zeros((4, 4, 3), np.uint8),
            np.zeros((4, 5), int),
            r"\[4, 4\], got",
        ),
    ],
)
def test_other_images_and_regions_are_refused(image, regions, message):
    with pytest.raises(errors.UserError, match=message):
        features.mean_luv(image, regions)
    with pytest.raises(errors.UserError, match=message):
        features.histogram(image, regions)
