"""Ranking losses beside what public code says of the same maps and pairs.

Every number comes from a run of the repository and commit that its test names, on the
inputs below.  Where a definition differs on purpose the test says how.
"""

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax.losses import ranking
from dpjax.ops import ordinal, pairs

RNG = np.random.RandomState(0)  # NumPy froze its stream
OUTPUT = RNG.uniform(-2, 2, (2, 5, 6)).astype(np.float32)
DEPTH = RNG.uniform(1, 1.1, (2, 5, 6)).astype(np.float32)
FIRST = RNG.randint(0, 30, (2, 16))
SECOND = (FIRST + RNG.randint(1, 30, (2, 16))) % 30
RELATION = RNG.randint(-1, 2, (2, 16))
POINTS = pairs.Pairs(
    FIRST.astype(np.int32), SECOND.astype(np.int32), np.ones((2, 16), np.float32)
)


def test_diw_has_the_value_and_the_slopes_of_relative_depth():
    # princeton-vl/relative_depth, d4ef0fd, relative_depth.lua, updateOutput2 and
    # updateGradInput2, by Lua 5.1 on plain tables for Torch's arrays, in double
    # precision; princeton-vl/YouTube3D, a7368ee, RelativeLoss.py says the same.  Both
    # divide by the pairs of the batch.
    def mean(f):
        sums, counts = ranking.diw(f, POINTS, RELATION)
        return sums.sum() / counts.sum()

    value, slopes = jax.jit(jax.value_and_grad(mean))(jnp.asarray(OUTPUT))
    np.testing.assert_allclose(value, 1.4070288627362568, rtol=1e-6)
    wanted = [
        [0.0022242, 0.01295154, 0.0, -0.06356885, -0.01886603, -0.07335332],
        [-0.02780657, 0.0, -0.01273217, 0.0, 0.0, 0.03471122],
        [0.0, 0.23922251, -0.21364014, 0.0, 0.0, 0.09278512],
        [0.09087371, 0.06876167, 0.00207834, 0.10337823, -0.09278512, 0.0],
        [0.0, -0.0513599, 0.0, 0.01384445, -0.01584519, -0.09087371],
    ]
    np.testing.assert_allclose(slopes[0], wanted, rtol=1e-5, atol=1e-7)


def test_the_hardest_three_quarters_are_those_of_youtube3d():
    # princeton-vl/YouTube3D, a7368ee, RelativeLoss(b_sort=True) is to keep 12 of the 16
    # pairs of each image.  Where a quarter is no whole number it rounds down, we to
    # the nearest.
    costs = ranking.pair_losses(OUTPUT, POINTS, RELATION)
    kept = ranking.hardest(costs, POINTS.weight > 0, keep=0.75)
    np.testing.assert_array_equal(kept.sum(1), 12)
    # With its cut moved to the axis of the pairs:
    found = jnp.where(kept, costs, 0.0).sum() / kept.sum()
    np.testing.assert_allclose(found, 1.820970867228611, rtol=1e-6)
    # As released it cuts an axis of length 1, and divides the sum of all by 12.
    found = costs.sum() / kept.sum()
    np.testing.assert_allclose(found, 1.8760384836483424, rtol=1e-6)


def test_redweb_without_selection_has_the_values_of_two_ports():
    # wtr850/depth-ranking-loss, 97530c1, Ranking_Loss: `calculate_l`, and
    # `calculate_phi` with the 16 pairs of an image as its batch; and, given those
    # relations, A-Jacobson/Depth_in_The_Wild, 3f47f20, RelativeDepthLoss.  Neither
    # knows hard pairs.
    relation = [
        [0, 0, 0, 0, 1, -1, -1, 1, -1, -1, 0, -1, 0, 1, 1, 0],
        [-1, 0, 1, -1, 0, 0, 1, 0, 0, 0, 1, -1, -1, -1, 1, 1],
    ]
    found = ordinal.by_ratio(jnp.asarray(DEPTH), POINTS, threshold=0.02)
    np.testing.assert_array_equal(found, relation)

    def total(f):
        values, counts = ranking.redweb(f, POINTS, jnp.asarray(relation), keep=1.0)
        return values.sum(), (values, counts)

    slopes_of = jax.jit(jax.grad(total, has_aux=True))
    slopes, (values, counts) = slopes_of(jnp.asarray(OUTPUT))
    wanted = [3.1985669381091557, 2.248575753992334]
    np.testing.assert_allclose(values, wanted, rtol=1e-6)
    np.testing.assert_array_equal(counts, 1)
    wanted = [
        [0.0878657, -0.1130353, 0.0, 0.0295103, 0.0440319, -0.1421199],
        [-0.0677141, 0.0, -0.0452699, 0.0, 0.0, -0.0359786],
        [0.0, 0.9564891, -0.9766406, 0.0, 0.0, 0.4241606],
        [0.0900678, 0.1241837, 0.3352935, 0.1524755, -0.4241606, 0.0],
        [0.0, -0.6550894, 0.0, 0.3140515, -0.0080533, -0.0900678],
    ]
    np.testing.assert_allclose(slopes[0], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("equal", "mask", "value", "slope"),
    [
        (1.0, "all", 2.0249710083, 0.013161107994),
        (0.3, "all", 1.0085320473, -0.046879955639),
        (1.0, "holes", 1.3826701641, -0.051476085510),
        (0.3, "holes", 0.6075146794, -0.024691908590),
    ],
)
def test_sgr_has_the_value_of_adelaidepth_on_the_pairs_it_drew(
    equal, mask, value, slope
):
    # aim-uofa/AdelaiDepth, d851819, LeReS/Train/lib/models/ranking_loss.py,
    # EdgeguidedRankingLoss(alpha=equal) without its gradient term, as released, after
    # torch.manual_seed(0); `idx / cols` as the whole division that it was in the
    # PyTorch of its day.  The guide was 0 but for 1 and 3 at (11, 14) and (11, 15).
    # The four points of each line, then the pairs at random:
    lines = [
        [187, 657, 330, 545, 359, 719, 351, 359, 693, 409, 336, 709],
        [280, 564, 334, 690, 352, 657, 350, 349, 691, 502, 330, 707],
        [714, 0, 359, 29, 330, 0, 330, 344, 23, 1, 351, 13],
        [717, 0, 359, 29, 337, 192, 344, 330, 21, 99, 359, 12],
    ]
    drawn = [
        [499, 501, 75, 34, 648, 277, 390, 170, 543, 91, 702, 98],
        [468, 717, 415, 601, 49, 483, 205, 491, 703, 204, 674, 676],
    ]
    rng, size = np.random.RandomState(0), (24, 30)
    output, depth = (rng.uniform(*ends, size) for ends in ((-2, 2), (1, 1.1)))
    valid = rng.random_sample(size) < 0.8
    direction = rng.uniform(-1, 1, size)
    valid = valid if mask == "holes" else np.ones(size, bool)
    first, second = (
        np.concatenate([np.ravel(lines[k : k + 3]), drawn[k]]) for k in (0, 1)
    )
    weight = valid.ravel()[first] & valid.ravel()[second]
    points = pairs.Pairs(
        *(x[None].astype(np.int32) for x in (first, second)),
        weight[None].astype(np.float32),
    )

    relation = ordinal.by_ratio(jnp.float32(depth[None]), points, threshold=0.03)

    def loss(f):
        return ranking.sgr(f[None], points, relation, equal=equal)[0].sum()

    # It divides by all pairs, also by those that do not count; here those do not.
    share = weight.mean()
    assert (share == 1) == (mask == "all")
    found, slopes = jax.jit(jax.value_and_grad(loss))(jnp.float32(output))
    np.testing.assert_allclose(found * share, value, rtol=1e-6)
    found = (np.asarray(slopes, np.float64) * direction).sum() * share
    np.testing.assert_allclose(found, slope, rtol=1e-5, atol=1e-6)
