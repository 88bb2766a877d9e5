"""Ranking losses against float64 loops over pairs, and PyTorch's gradients."""

import math

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.losses import ranking
from dpjax.ops import ordinal, pairs

RNG = np.random.default_rng(0)
SHAPE, COUNT = (4, 9, 10), 60
OUTPUT = RNG.normal(0, 1.5, SHAPE).astype(np.float32)
DEPTH = np.exp(RNG.normal(0, 0.04, SHAPE)).astype(np.float32)
VALID = np.ones(SHAPE, bool)
VALID[0, 2:5, 3:8] = False
DEPTH[3] = 2.0  # nothing but equal pairs
POINTS = pairs.Pairs(
    *(RNG.integers(0, 90, (4, COUNT)).astype(np.int32) for _ in range(2)),
    (RNG.random((4, COUNT)) < 0.8).astype(np.float32),
)
POINTS.weight[2] = 0
for pixels in POINTS[:2]:
    POINTS.weight[~np.take_along_axis(VALID.reshape(4, -1), pixels, 1)] = 0
RELATION = RNG.integers(-1, 2, (4, COUNT)).astype(np.int32)


def by_ratio(threshold):
    return np.asarray(ordinal.by_ratio(DEPTH, POINTS, threshold=threshold))


# What the task hands over: ratios of depth, and differences of a disparity.
AT_2, AT_3, AT_5 = (by_ratio(threshold) for threshold in (0.02, 0.03, 0.05))
APART = np.asarray(ordinal.by_difference(1 / DEPTH - 5, VALID, POINTS, threshold=0.02))
SLOPES = {"depth": DEPTH, "valid": VALID, "gradient": 0.2}
LOSSES = {
    "diw": lambda f: ranking.diw(f, POINTS, RELATION),
    "diw, half": lambda f: ranking.diw(f, POINTS, RELATION, keep=0.5),
    "rdis": lambda f: ranking.diw(f, POINTS, APART),
    "rdis, half": lambda f: ranking.diw(f, POINTS, APART, keep=0.5),
    "redweb": lambda f: ranking.redweb(f, POINTS, AT_2),
    "redweb, all": lambda f: ranking.redweb(f, POINTS, AT_5, keep=1.0),
    "redweb, few": lambda f: ranking.redweb(f, POINTS, AT_2, keep=0.1),
    "redweb, said": lambda f: ranking.redweb(f, POINTS, RELATION),
    "sgr": lambda f: ranking.sgr(f, POINTS, AT_3),
    "sgr, half": lambda f: ranking.sgr(f, POINTS, AT_3, keep=0.5),
    "sgr, equal": lambda f: ranking.sgr(f, POINTS, AT_3, equal=0.3),
    "sgr, slopes": lambda f: ranking.sgr(f, POINTS, AT_3, **SLOPES),
}
KEEP = {"redweb": 0.75, "redweb, said": 0.75, "redweb, few": 0.1}
KEEP |= {name: 0.5 for name in LOSSES if name.endswith("half")}
LOSSES = {name: jax.jit(loss) for name, loss in LOSSES.items()}
each_loss = pytest.mark.parametrize("name", LOSSES)


def gradient(name):
    """That of the sum over images; compiled once, as the test of each loss wants it."""
    return jax.jit(jax.grad(lambda f: LOSSES[name](f)[0].sum()))


def pairs_of(b):
    """Pixels of the pairs of an image that count, as indices."""
    return [
        (int(i), int(j), p)
        for p, (i, j, w) in enumerate(zip(*(x[b] for x in POINTS), strict=True))
        if w
    ]


def relation_of(name, b, i, j, p):
    if name.startswith("diw") or name.endswith("said"):
        return int(RELATION[b, p])
    g = DEPTH[b].astype(np.float64).ravel()
    if name.startswith("rdis"):
        g = (1 / DEPTH[b] - 5).astype(np.float64)
        low, high = np.quantile(g[VALID[b]], (0.02, 0.98))
        gap = g.ravel()[i] - g.ravel()[j]
        return -int(np.sign(gap)) if abs(gap) > 0.02 * (high - low) else 0
    tau = {"redweb, all": 0.05}.get(name, 0.03 if "sgr" in name else 0.02)
    return int(g[i] >= (1 + tau) * g[j]) - int(g[j] >= (1 + tau) * g[i])


def textbook(name, b, f, log1pexp=lambda x: math.log1p(math.exp(x))):
    """One image, a pair at a time; f may hold numbers of PyTorch."""
    costs = {-1: [], 0: [], 1: []}
    for i, j, p in pairs_of(b):
        r, gap = relation_of(name, b, i, j, p), f[i] - f[j]
        costs[r].append(gap * gap if r == 0 else log1pexp(-r * gap))
    ordered, equal = costs[-1] + costs[1], costs[0]
    hard = sorted(ordered, key=lambda c: float(getattr(c, "data", c)), reverse=True)
    hard = hard[: max(1, round(KEEP.get(name, 1.0) * len(hard)))]
    n = len(hard) + len(equal)
    if n == 0:
        return 0.0, 0.0
    if name.startswith(("diw", "rdis")):
        return sum(hard) + sum(equal), n
    if name.startswith("redweb"):
        value = sum(hard) / max(len(hard), 1) + sum(equal) / max(len(equal), 1)
        return value, 1.0
    weight = 0.3 if name == "sgr, equal" else 1.0
    value = (sum(hard) + weight * sum(equal)) / n
    if name == "sgr, slopes":
        value = value + 0.2 * slopes_of(f, b)
    return value, 1.0


def slopes_of(f, b):
    """The multi-scale term in logarithms, two neighbours at a time."""
    total = 0.0
    for step in (1, 2, 4, 8):
        known = [
            (y, x)
            for y in range(0, 9, step)
            for x in range(0, 10, step)
            if VALID[b, y, x]
        ]
        miss = {(y, x): f[10 * y + x] - math.log(DEPTH[b, y, x]) for y, x in known}
        for (y, x), r in miss.items():
            for other in ((y + step, x), (y, x + step)):
                if other in miss:
                    total = total + abs(miss[other] - r) / len(miss)
    return total


@each_loss
def test_values_are_those_of_loops_over_pairs(name):
    found = LOSSES[name](jnp.asarray(OUTPUT))
    wanted = [textbook(name, b, OUTPUT[b].astype(float).ravel()) for b in range(4)]
    assert wanted[2] == (0, 0)
    for one, other in zip(found, np.transpose(wanted), strict=True):
        assert one.dtype == jnp.float32
        np.testing.assert_allclose(one, other, rtol=3e-6, atol=1e-6)


@pytest.mark.torch
@each_loss
def test_gradients_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    slopes = gradient(name)(jnp.asarray(OUTPUT))
    for b in (0, 1, 3):
        f = torch.tensor(OUTPUT[b].ravel(), dtype=torch.float64, requires_grad=True)
        textbook(name, b, f, torch.nn.functional.softplus)[0].backward()
        wanted = f.grad.reshape(9, 10)
        np.testing.assert_allclose(slopes[b], wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(slopes[2], 0)


@each_loss
def test_what_no_pair_points_at_changes_nothing(name):
    read = np.zeros((4, 90), bool)
    for b in range(4):
        for i, j, _ in pairs_of(b):
            read[b, [i, j]] = True
    read = read.reshape(SHAPE)
    if name == "sgr, slopes":
        read |= VALID
    dirty = jnp.where(read, OUTPUT, jnp.nan)

    for one, other in zip(
        LOSSES[name](dirty), LOSSES[name](jnp.asarray(OUTPUT)), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    slope, plain = (gradient(name)(f) for f in (dirty, jnp.asarray(OUTPUT)))
    np.testing.assert_array_equal(slope, plain)


@pytest.mark.parametrize("gap", [1e4, -1e4, 3e9])
@pytest.mark.parametrize("relation", [-1, 0, 1])
def test_far_apart_numbers_neither_overflow_nor_vanish(gap, relation):
    drawn = pairs.Pairs(jnp.array([[0]]), jnp.array([[1]]), jnp.ones((1, 1)))

    def cost(f):
        return ranking.diw(f, drawn, jnp.array([[relation]]))[0].sum()

    value, slope = jax.value_and_grad(cost)(jnp.array([[[gap, 0.0]]]))
    wanted = gap**2 if relation == 0 else max(-relation * gap, 0)
    pull = 2 * gap if relation == 0 else -relation * (relation * gap < 0)
    np.testing.assert_allclose(value, wanted, rtol=1e-6)
    np.testing.assert_allclose(slope, [[[pull, -pull]]], rtol=1e-6)


def test_a_large_margin_of_the_right_order_costs_nothing():
    drawn = pairs.Pairs(jnp.array([[0]]), jnp.array([[1]]), jnp.ones((1, 1)))
    value, _ = ranking.diw(jnp.array([[[1e4, 0.0]]]), drawn, jnp.array([[1]]))
    assert value[0] == 0


@each_loss
def test_only_differences_count(name):
    grid = np.rint(OUTPUT * 64) / 64  # so that a shift loses no digit
    for one, other in zip(
        LOSSES[name](jnp.asarray(grid)),
        LOSSES[name](jnp.asarray(grid + 8)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
    slope = gradient(name)(jnp.asarray(OUTPUT))
    np.testing.assert_allclose(slope.sum((1, 2)), 0, atol=1e-4)


def test_a_pair_and_its_turned_twin_cost_the_same():
    turned = pairs.Pairs(POINTS.second, POINTS.first, POINTS.weight)
    for loss in (ranking.diw, ranking.redweb, ranking.sgr):
        for one, other in zip(
            loss(OUTPUT, POINTS, RELATION),
            loss(OUTPUT, turned, -RELATION),
            strict=True,
        ):
            np.testing.assert_allclose(one, other, rtol=1e-6)


def test_the_right_direction_is_downhill():
    # Farther points get larger numbers.
    f = jnp.zeros((1, 1, 2))
    drawn = pairs.Pairs(jnp.array([[0]]), jnp.array([[1]]), jnp.ones((1, 1)))
    for loss in (ranking.diw, ranking.redweb, ranking.sgr):
        slope = jax.grad(lambda f, loss=loss: loss(f, drawn, jnp.array([[1]]))[0].sum())
        np.testing.assert_allclose(slope(f), [[[-0.5, 0.5]]], err_msg=loss.__name__)


@pytest.mark.parametrize("keep", [0.01, 0.3, 0.75, 1.0])
def test_the_hardest_are_the_first_of_a_sorted_list(keep):
    costs = np.rint(RNG.random((5, 40)) * 20).astype(np.float32)  # many are equal
    counts = RNG.random((5, 40)) < [[0.0], [0.2], [0.5], [0.9], [1.0]]
    found = ranking.hardest(costs, counts, keep=keep)
    for b in range(5):
        chosen = sorted(np.flatnonzero(counts[b]), key=lambda p: (-costs[b, p], p))
        n = max(1, round(keep * len(chosen)))
        assert set(np.flatnonzero(found[b])) == set(chosen[:n])


def test_half_precision_is_compared_in_single():
    f = jnp.asarray(OUTPUT).astype(jnp.bfloat16)
    for one, other in zip(
        ranking.diw(f, POINTS, RELATION),
        ranking.diw(f.astype(jnp.float32), POINTS, RELATION),
        strict=True,
    ):
        assert one.dtype == jnp.float32
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (
            lambda: ranking.diw(OUTPUT, POINTS, RELATION[:, :3]),
            r"relations, got \[4, 3",
        ),
        (lambda: ranking.diw(OUTPUT[..., None], POINTS, RELATION), r"\.\.\., 0"),
        (lambda: ranking.redweb(OUTPUT, POINTS, AT_2, keep=0.0), r"\(0, 1\], got 0"),
        (lambda: ranking.diw(OUTPUT, POINTS, AT_2, keep=1.5), r"\(0, 1\], got 1.5"),
        (lambda: ranking.sgr(OUTPUT, POINTS, AT_3, equal=-1.0), "at least 0.*-1.0"),
        (lambda: ranking.sgr(OUTPUT, POINTS, AT_3, gradient=0.2), "valid missing"),
    ],
)
def test_what_makes_no_sense_is_refused(loss, message):
    with pytest.raises(errors.UserError, match=message):
        loss()
