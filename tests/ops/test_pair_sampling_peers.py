"""Pairs across edges beside those that the released sampler draws.

aim-uofa/AdelaiDepth, d851819, LeReS/Train/lib/models/ranking_loss.py: `getEdge` and,
after torch.manual_seed(1), `edgeGuidedSampling` on the guide below, with `idx / cols`
as the whole division that it was in the PyTorch of its day.
"""

import functools

import jax
import numpy as np

from dpjax.ops import pair_sampling

SIZE = (36, 64)
GUIDE = np.zeros(SIZE, np.float32)
GUIDE[14:17, 30:33] = [[1, 2, 0], [4, 7, 3], [0, 5, 9]]
# Where its gradient is at least a tenth of the largest, and the angle from the right.
EDGES = """862 863 925 926 927 928 929 989 990 991 992
    993 1053 1054 1055 1056 1057 1118 1119 1120 1121"""
EDGES = np.array(EDGES.split(), int)
ANGLES = """-1.10715 -1.76819 -0.588 -0.93805 -1.71269 -2.27305 -2.35619
    0.11066 -0.04758 -1.1659 -2.35619 -2.60117 0.7854 0.72298
    0.89028 2.48875 2.9997 0.7854 1.12842 1.78486 2.35619"""
ANGLES = np.array(ANGLES.split(), float)
# The edge pixels of its first lines, and their four points a, b | c, d.
CROSSED = [989, 1118, 1119, 1118, 992, 1054, 1055, 928, 1055, 926, 993, 929]
LINES = [
    [916, 858, 796, 338, 1902, 794, 925, 1771, 15, 2128, 1453, 2229],
    [839, 923, 861, 598, 1252, 11, 601, 1966, 13, 1875, 1453, 1644],
    [1136, 1898, 2021, 1963, 15, 2292, 1639, 20, 1833, 799, 797, 799],
    [992, 2288, 2280, 1313, 11, 1705, 1639, 215, 2092, 44, 7, 17],
]


def places(pixels):
    """Rows and columns, [..., 2]."""
    return np.stack(np.divmod(np.array(pixels), SIZE[1]), -1)


def test_edges_and_directions_are_those_of_adelaidepth_upside_down():
    count, near = 1000, 7
    options = {"count": count, "distances": (near, near + 1)}
    draw = jax.jit(functools.partial(pair_sampling.across_edges, **options))
    keys = jax.random.split(jax.random.key(0), 1)
    drawn = draw(GUIDE[None], np.ones((1, *SIZE), bool), keys)
    # b and c of each line: the nearer ones, both `near` pixels from its edge.
    assert (drawn.weight[0, count : 2 * count] == 1).all()
    nearer, farther = (
        places(x[0, count : 2 * count]) for x in (drawn.first, drawn.second)
    )
    edges = (nearer + farther) // 2 @ (SIZE[1], 1)
    np.testing.assert_array_equal(np.unique(edges), EDGES)
    # Its vertical gradient has the wrong sign, so that its rows are turned.
    slopes = np.stack([-np.sin(ANGLES), np.cos(ANGLES)], -1)
    wanted = 2 * np.rint(near * slopes)[np.searchsorted(EDGES, edges)]
    np.testing.assert_array_equal(farther - nearer, wanted)


def test_points_of_its_lines_turned_upside_down_are_among_ours():
    count, lines = 2000, len(CROSSED)
    edges, drawn = places(CROSSED), places(LINES)
    # Where only the pixels around one edge pixel are known there is no other edge.
    rows, columns = np.indices(SIZE)
    known = np.abs(np.stack([rows, columns], -1) - edges[:, None, None]).max(-1) <= 1
    keys = jax.random.split(jax.random.key(0), lines)
    draw = jax.jit(functools.partial(pair_sampling.across_edges, count=count))
    ours = draw(
        np.broadcast_to(GUIDE, known.shape), np.ones_like(known), keys, known=known
    )
    first, second, weight = (np.asarray(x).reshape(lines, 3, count) for x in ours)

    compared = 0
    turned = np.stack([2 * edges[:, 0] - drawn[..., 0], drawn[..., 1]], -1)
    for line in range(lines):
        counts = weight[line] > 0
        before = first[line, :2][counts[:2]]  # a and b
        beyond = second[line, 1:][counts[1:]]  # c and d
        for k, side in enumerate((before, before, beyond, beyond)):
            if is_within(drawn[k, line]) and is_within(turned[k, line]):
                assert turned[k, line] @ (SIZE[1], 1) in side
                compared += 1
    assert compared > 25
    assert not is_within(drawn).all()  # it moves what is outside to the border
    # The two points of a side are in no order.
    both = is_within(drawn[0]) & is_within(drawn[1])
    far = np.square(drawn[:2] - edges).sum(-1)[:, both]
    assert 0 < (far[0] < far[1]).sum() < both.sum()


def is_within(points):
    """Whether points [..., 2] are off the border."""
    return ((points > 0) & (points < np.array(SIZE) - 1)).all(-1)
