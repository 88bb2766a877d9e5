"""Bins of depth against their definitions in float64, and by what they promise."""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import depth_bins

BINS = {
    "log": depth_bins.Bins(0.7, 10, 100),
    "few": depth_bins.Bins(1, 80, 50),
    "uniform": depth_bins.Bins(0.5, 20, 40, "uniform"),
    "increasing": depth_bins.Bins(0.02, 10, 68, "increasing"),
    "far": depth_bins.Bins(2, 80, 80, "increasing"),
    "one": depth_bins.Bins(1, 2, 1),
}
DECODINGS = ("argmax", "expectation", "median")
each = pytest.mark.parametrize("bins", BINS.values(), ids=BINS)


def _scores(bins, shape=(3, 5), seed=0, scale=3.0):
    rng = np.random.default_rng(seed)
    return (scale * rng.normal(size=(*shape, bins.count))).astype(np.float32)


def _softmax(scores):
    powers = np.exp(scores.astype(np.float64) - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _textbook_edge(bins, k):
    """One edge from the formula of each paper."""
    a, b, share = bins.least, bins.most, k / bins.count
    if bins.spacing == "log":
        return 10 ** (np.log10(a) + share * (np.log10(b) - np.log10(a)))
    if bins.spacing == "uniform":
        return a + share * (b - a)
    shift = 1 - a
    a, b = a + shift, b + shift
    return np.exp(np.log(a) + np.log(b / a) * share) - shift


@each
def test_edges_are_those_of_the_formulas(bins):
    wanted = [_textbook_edge(bins, k) for k in range(bins.count + 1)]
    np.testing.assert_allclose(bins.edges, wanted, rtol=1e-12)
    assert (np.diff(bins.edges) > 0).all()
    np.testing.assert_allclose(bins.edges[[0, -1]], [bins.least, bins.most])


def test_steps_grow_unless_they_are_uniform():
    for bins in BINS.values():
        growth = np.diff(np.diff(bins.edges))
        if bins.spacing == "uniform":
            np.testing.assert_allclose(growth, 0, atol=1e-12)
        else:
            assert (growth > 0).all()


def test_increasing_bins_from_one_metre_are_the_logarithmic_ones():
    pair = (depth_bins.Bins(1, 80, 80, spacing) for spacing in ("log", "increasing"))
    np.testing.assert_allclose(*(bins.edges for bins in pair), rtol=1e-12)


@each
def test_a_label_is_the_bin_that_holds_the_depth(bins):
    rng = np.random.default_rng(1)
    depth = rng.uniform(bins.least, bins.most, 2000)
    wanted = np.searchsorted(bins.edges, depth, "right") - 1
    distance = np.abs(bins.edges[:, None] - depth).min(0)
    clear = distance > 1e-5 * depth  # in single precision an edge is not sharp
    labels = np.asarray(bins.labels(depth.astype(np.float32)))
    assert labels.dtype == np.int32
    assert clear.sum() > 1900
    np.testing.assert_array_equal(labels[clear], wanted[clear])


@each
def test_the_bin_of_a_centre_is_its_own(bins):
    np.testing.assert_array_equal(
        bins.labels(bins.centres.astype(np.float32)), np.arange(bins.count)
    )


@each
def test_what_is_outside_counts_to_the_outer_bins(bins):
    given = [0, -3, np.nan, -np.inf, bins.least / 2, bins.least]
    np.testing.assert_array_equal(bins.labels(np.float32(given)), 0)
    given = [bins.most, 2 * bins.most, np.inf, 1e30]
    np.testing.assert_array_equal(bins.labels(np.float32(given)), bins.count - 1)


@pytest.mark.parametrize("name", ["log", "few"])
def test_a_label_loses_at_most_half_a_bin_of_the_logarithm(name):
    bins = BINS[name]
    width = np.log(bins.most / bins.least) / bins.count
    depth = np.exp(np.random.default_rng(2).uniform(*np.log([bins.least, bins.most])))
    depth = np.float32(depth * np.geomspace(1, bins.most / depth, 999))
    found = bins.centres[np.asarray(bins.labels(depth))]
    ratio = np.maximum(found / depth, depth / found)
    assert 1 < ratio.max() <= np.exp(width / 2) * (1 + 1e-6)
    # Specification, section 5: 1.3 % for NYUv2, 4.5 % for KITTI.
    assert ratio.max() - 1 == pytest.approx({"log": 0.013, "few": 0.045}[name], rel=0.1)


@each
@pytest.mark.parametrize("decoding", DECODINGS)
def test_certainty_of_a_bin_means_its_centre(bins, decoding):
    scores = np.where(np.eye(bins.count), 0, -1e4).astype(np.float32)
    found = depth_bins.decode(scores, bins, decoding)
    wanted = bins.centres
    if decoding == "median":  # the middle in the coordinate in which bins are equal
        edges = bins.edges
        shift = 1 - bins.least if bins.spacing == "increasing" else 0
        if bins.spacing == "uniform":
            wanted = (edges[1:] + edges[:-1]) / 2
        else:
            wanted = np.sqrt((edges[1:] + shift) * (edges[:-1] + shift)) - shift
    np.testing.assert_allclose(found, wanted, rtol=2e-6)


def _textbook_depth(scores, bins, decoding):
    """One pixel in float64."""
    shares = _softmax(scores)
    if decoding == "argmax":
        return bins.centres[np.argmax(shares)]
    if decoding == "expectation":
        return np.prod(bins.centres**shares)
    sums = np.concatenate([[0], np.cumsum(shares)])
    place = np.interp(0.5, sums, np.arange(bins.count + 1))
    ends = np.array([bins.least, bins.most])
    if bins.spacing == "uniform":
        return np.interp(place, [0, bins.count], ends)
    shift = 1 - bins.least if bins.spacing == "increasing" else 0
    return np.exp(np.interp(place, [0, bins.count], np.log(ends + shift))) - shift


@each
@pytest.mark.parametrize("decoding", DECODINGS)
def test_depth_is_that_of_the_definition(bins, decoding):
    scores = _scores(bins)
    found = jax.jit(lambda s: depth_bins.decode(s, bins, decoding))(scores)
    assert (found.shape, found.dtype) == ((3, 5), jnp.float32)
    wanted = [_textbook_depth(s, bins, decoding) for s in scores.reshape(15, -1)]
    np.testing.assert_allclose(np.ravel(found), wanted, rtol=1e-5)


def test_the_median_moves_smoothly_from_one_bin_to_the_next():
    bins = depth_bins.Bins(1, 16, 4)
    share = np.linspace(0.001, 0.999, 101)
    logs = np.log(np.stack([share, 1 - share, 0 * share + 1e-9, 0 * share + 1e-9], -1))
    found = np.asarray(depth_bins.decode(logs.astype(np.float32), bins, "median"))
    assert (np.diff(found) < 0).all()
    assert np.abs(np.diff(np.log(found))).max() < 0.03
    assert found[50] == pytest.approx(bins.edges[1], rel=1e-4)


@each
def test_ordinal_scores_are_counted(bins):
    scores = np.where(np.tri(bins.count + 1, bins.count, -1), 2.0, -1.0)
    found = depth_bins.decode(np.float32(scores), bins, "ordinal")
    wanted = bins.centres[[*range(bins.count), bins.count - 1]]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@each
def test_the_deviation_is_that_of_samples(bins):
    scores = _scores(bins, shape=(), seed=3)
    rng = np.random.default_rng(0)
    drawn = rng.choice(bins.count, 400_000, p=_softmax(scores))
    # ln d is spread evenly in a bin around the logarithm of its centre.
    widths = np.diff(np.log(bins.edges))
    logs = np.log(bins.centres)[drawn] + widths[drawn] * (rng.random(len(drawn)) - 0.5)
    found = depth_bins.log_deviation(scores, bins)
    np.testing.assert_allclose(found, logs.std(), rtol=0.01)


def test_the_deviation_of_certainty_is_that_within_a_bin():
    bins = BINS["log"]
    scores = np.where(np.eye(bins.count), 0, -1e4).astype(np.float32)
    width = np.log(bins.most / bins.least) / bins.count
    found = depth_bins.log_deviation(scores, bins)
    np.testing.assert_allclose(found, width / np.sqrt(12), rtol=1e-4)


def test_confidence_is_the_largest_share():
    bins = BINS["log"]
    scores = _scores(bins)
    wanted = _softmax(scores).max(-1)
    np.testing.assert_allclose(depth_bins.confidence(scores), wanted, rtol=1e-5)
    np.testing.assert_allclose(depth_bins.confidence(np.zeros(100)), 0.01, rtol=1e-5)


@pytest.mark.parametrize("decoding", depth_bins.Decoding.__args__)
def test_half_precision_scores_are_read_in_single(decoding):
    bins = BINS["log"]
    half = jnp.asarray(_scores(bins), jnp.bfloat16)
    found = depth_bins.decode(half, bins, decoding)
    assert found.dtype == depth_bins.log_deviation(half, bins).dtype == jnp.float32
    same = depth_bins.decode(half.astype(jnp.float32), bins, decoding)
    np.testing.assert_array_equal(found, same)


def test_a_common_factor_of_probabilities_changes_nothing():
    bins = BINS["few"]
    scores = _scores(bins)
    for decoding in DECODINGS:
        found = depth_bins.decode(scores + 1000, bins, decoding)
        wanted = depth_bins.decode(scores, bins, decoding)
        np.testing.assert_allclose(found, wanted, rtol=1e-3)  # 1000 rounds to 6e-5


def test_the_expectation_has_the_gradient_of_its_formula():
    bins = BINS["few"]
    scores = _scores(bins, shape=())
    slope = jax.grad(lambda s: depth_bins.decode(s, bins))(jnp.asarray(scores))
    shares, logs = _softmax(scores), np.log(bins.centres)
    mean = shares @ logs
    wanted = np.exp(mean) * shares * (logs - mean)
    np.testing.assert_allclose(slope, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ((0, 10, 5), "rise from above 0, in metres, got 0 to 10"),
        ((3, 2, 5), "rise from above 0"),
        ((1, np.inf, 5), "rise from above 0"),
        ((1, 2, 0), "count of at least 1, got 0"),
        ((1, 2, 2.5), "count of at least 1, got 2.5"),
        ((1, 2, 3, "logs"), "'logs'. Did you mean log"),
    ],
)
def test_bins_that_are_none_are_refused(fields, message):
    with pytest.raises(errors.UserError, match=message):
        depth_bins.Bins(*fields)


def test_scores_of_other_bins_are_refused():
    bins = BINS["few"]
    with pytest.raises(errors.UserError, match="with num_classes=50"):
        depth_bins.decode(jnp.zeros((2, 3, 1)), bins)
    with pytest.raises(errors.UserError, match="50 bins want"):
        depth_bins.log_deviation(jnp.zeros((2, 3, 49)), bins)
    with pytest.raises(errors.UserError, match="Did you mean expectation"):
        depth_bins.decode(jnp.zeros((2, 50)), bins, "expectaton")
