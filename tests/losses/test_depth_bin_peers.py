"""Depth in bins beside public code: labels, centres, losses and decoders.

Every number comes from a run of the repository and commit that its test names, on
inputs of NumPy's frozen stream.  Where a definition differs on purpose the test says
how.
"""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.losses import depth_bins as losses
from dpjax.ops import depth_bins

# YvanYin/VNL_Monocular_Depth_Prediction, 10dd987, in float32: its two configurations
# resnext101_32x4d_{nyudv2,kitti}_class, whose depths are in units of 10 and of 80 m.
# The labels of what is not valid, 151 and 101 there, are -1 here.
VNL = {
    "nyu": {
        "bins": depth_bins.Bins(0.1, 17.0, 150),
        "labels": [
            [[81, 107, 89, -1], [61, 96, 63, 136], [147, 54, 120, 78]],
            [[84, 141, -1, 7], [0, 126, 117, 132], [149, 121, 67, 118]],
        ],
        # The first three, the one in the middle and the last two.
        "centres": [
            *(0.10172667, 0.105269968, 0.108936683),
            *(1.326353508, 16.148955291, 16.711448374),
        ],
        # Of each image and of both, and the slope along a direction.
        "normalised": {0: (6.5561175, 0.08750257), 1: (6.4349546, -0.00379027)},
        "raw": {0: (25.89007, 0.33853556), 1: (23.981071, -0.09111587)},
        "both": {"normalised": 6.4955364, "raw": 24.935572},
        "decoded": [
            [
                [1.4761348, 1.1149924, 1.3983636, 1.6919452],
                [1.7509149, 1.2185011, 1.3946836, 1.2232146],
                [1.1046637, 1.4487872, 1.1045878, 1.6264462],
            ],
            [
                [1.3917797, 1.4184968, 1.1831453, 1.1833321],
                [1.3677119, 1.0044312, 1.6272192, 1.077808],
                [1.2322934, 1.6209477, 1.2670527, 1.257056],
            ],
        ],
    },
    "kitti": {
        "bins": depth_bins.Bins(1.2, 80.0, 100),
        "labels": [
            [[53, 71, 59, -1], [40, 64, 41, 91], [98, 36, 80, 51]],
            [[56, 94, -1, 4], [0, 84, 78, 88], [99, 81, 44, 78]],
        ],
        "centres": [
            *(1.225464655, 1.278026553, 1.332842905),
            *(10.005877008, 75.115810194, 78.337632683),
        ],
        "normalised": {0: (5.8008094, -0.0090969), 1: (5.6431012, 0.03540754)},
        "raw": {0: (22.631105, -0.02758897), 1: (20.692865, 0.04579187)},
        "both": {"normalised": 5.7219548, "raw": 21.661985},
        "decoded": [
            [
                [11.732153, 7.7386622, 6.124286, 9.492537],
                [7.22661, 9.962263, 11.05846, 7.9794197],
                [7.962048, 9.257722, 10.034922, 9.340866],
            ],
            [
                [9.2444935, 10.695839, 9.286908, 9.250587],
                [9.521485, 11.066603, 9.495596, 8.589645],
                [9.111356, 9.32811, 9.789192, 10.152279],
            ],
        ],
    },
}
each_set = pytest.mark.parametrize("name", VNL)
SHAPE = (2, 3, 4)


def vnl_inputs(bins):
    """Depths from below the first bin to beyond the last one, and scores."""
    rng = np.random.RandomState(0)
    ratio = 1.4 * bins.most / bins.least
    depth = 0.8 * bins.least * ratio ** rng.random_sample(SHAPE)
    valid = rng.random_sample(SHAPE) < 0.8
    size = (*SHAPE, bins.count)
    scores = rng.uniform(-3, 3, size).astype(np.float32)
    return depth.astype(np.float32), valid, scores, rng.uniform(-1, 1, size)


@each_set
def test_labels_and_centres_are_those_of_vnl(name):
    bins, wanted = VNL[name]["bins"], np.array(VNL[name]["labels"])
    depth, valid, _, _ = vnl_inputs(bins)
    np.testing.assert_array_equal(valid, wanted >= 0)
    np.testing.assert_array_equal(np.asarray(bins.labels(depth))[valid], wanted[valid])
    places = [0, 1, 2, bins.count // 2, -2, -1]
    np.testing.assert_allclose(bins.centres[places], VNL[name]["centres"], rtol=1e-8)


@each_set
@pytest.mark.parametrize("kind", ["normalised", "raw"])
def test_information_gain_has_the_value_and_the_slope_of_wcel(name, kind):
    # WCEL_Loss divides each row of the rewards by its sum.  Given the rows as
    # lib/core/config.py makes them, `raw`, it is the loss of Cao, Wu & Shen.
    bins = VNL[name]["bins"]
    depth, valid, scores, direction = vnl_inputs(bins)

    def mean(scores):
        sums, counts = losses.information_gain(
            scores, bins.labels(depth), valid, is_normalised=kind == "normalised"
        )
        return (sums / counts).sum(), (sums, counts)

    slopes_of = jax.jit(jax.grad(mean, has_aux=True))
    slopes, (sums, counts) = slopes_of(jnp.asarray(scores))
    along = (np.asarray(slopes, np.float64) * direction).sum((1, 2, 3))
    for b, (value, slope) in VNL[name][kind].items():
        np.testing.assert_allclose(sums[b] / counts[b], value, rtol=1e-6)
        np.testing.assert_allclose(along[b], slope, rtol=1e-5, atol=1e-6)
    whole = sums.sum() / counts.sum()
    np.testing.assert_allclose(whole, VNL[name]["both"][kind], rtol=1e-6)


@each_set
def test_expectations_are_those_of_bins_to_depth(name):
    bins = VNL[name]["bins"]
    scores = vnl_inputs(bins)[2]
    found = depth_bins.decode(scores, bins, "expectation")
    np.testing.assert_allclose(found, VNL[name]["decoded"], rtol=2e-6)


def dorn_inputs():
    """Depths from 1 to 80 m, and the scores of yes and of no of 12 questions."""
    rng = np.random.RandomState(0)
    depth = (80 ** rng.random_sample(SHAPE)).astype(np.float32)
    valid = rng.random_sample(SHAPE) < 0.8
    return depth, valid, rng.uniform(-2, 2, (*SHAPE, 2, 12)).astype(np.float32)


def test_ordinal_regression_has_the_value_of_dorn_pytorch():
    # dontLoveBugs/DORN_pytorch, 1573ef8, OrdinalRegressionLayer in training and
    # OrdinalRegressionLoss(12, 80), in float32.  It answers question k by yes where
    # k <= label, the paper (eq. 2) and we where k < label: its labels are 1 behind.
    # Of its last bin that leaves no question to answer by no; it is left out.
    depth, valid, scores = dorn_inputs()
    labels = depth_bins.Bins(1, 80, 12).labels(depth)
    wanted = [
        [[6, 8, 7, 6], [5, 7, 5, 10], [11, 4, 9, 6]],
        [[6, 11, 0, 1], [0, 9, 9, 10], [11, 9, 5, 9]],
    ]
    np.testing.assert_array_equal(labels, wanted)
    counted = valid & (labels < 11)
    odds = scores[..., 0, :] - scores[..., 1, :]
    sums, counts = losses.ordinal(odds, labels + 1, counted)
    np.testing.assert_array_equal(counts, [10, 9])
    np.testing.assert_allclose(sums / counts, [11.3501453, 11.9668148], rtol=1e-6)


DORN_COUNTS = [  # of questions that are answered by yes
    [[6, 5, 3, 5], [7, 4, 7, 8], [6, 4, 8, 4]],
    [[3, 7, 6, 2], [5, 1, 6, 8], [5, 5, 5, 4]],
]


@pytest.mark.parametrize(
    ("spacing", "depths"),
    [
        (
            "increasing",
            [1.53324, 2.649784, 4.258452, 6.576154, 9.915398, 14.72644, 21.657986],
        ),
        (
            "uniform",
            [16.458334, 23.041668, 29.625, 36.208336, 42.791664, 49.375, 55.958336],
        ),
    ],
)
def test_depths_of_ordinal_scores_are_those_of_dorn_pytorch(spacing, depths):
    # The same repository, OrdinalRegressionLayer in inference and the lines after it in
    # dorn/models/dorn.py, "SID" and "UD", beta=80, gamma=1.  It begins at 0 m, where
    # our bins cannot.  What no depth here has, all 12 by yes, it places beyond the last
    # bin, and we in it.
    least = 1e-6
    bins = depth_bins.Bins(least, 79 + least, 12, spacing)
    _, _, scores = dorn_inputs()
    odds = scores[..., 0, :] - scores[..., 1, :]
    found = depth_bins.decode(odds, bins, "ordinal")
    depths = [0.758269 if spacing == "increasing" else 9.875, *depths]
    wanted = np.array([np.nan, *depths])[np.array(DORN_COUNTS)]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=2 * least)


@pytest.mark.parametrize(
    ("offset", "depths"),
    [
        # demo_nyuv2.py and demo_kitti.py: exp((n - 1) / 25 + offset) of n by yes
        (-0.36, [0.726149, 0.7557837, 0.7866278, 0.8187307, 0.8521437, 0.8869205]),
        (40 / 25, [5.155169, 5.365556, 5.584528, 5.812437, 6.049647, 6.296538]),
    ],
)
def test_depths_of_ordinal_scores_are_those_of_the_authors_of_dorn(offset, depths):
    # hufu6371/DORN, ce9ee7b, caffe/pylayer/ordinal_decode_layer.py and the lines after
    # it in the demonstrations.  Those place n on a grid of logarithms; bins whose
    # centres these places are decode to the same depths.
    width = 1 / 25
    least = np.exp(offset - 1.5 * width)
    bins = depth_bins.Bins(least, least * np.exp(12 * width), 12)
    _, _, scores = dorn_inputs()
    odds = scores[..., 0, :] - scores[..., 1, :]
    found = np.asarray(depth_bins.decode(odds, bins, "ordinal"))
    counts = np.array(DORN_COUNTS)
    shown = (counts >= 2) & (counts <= 7)
    wanted = np.array(depths)[counts[shown] - 2]
    np.testing.assert_allclose(found[shown], wanted, rtol=1e-6)
