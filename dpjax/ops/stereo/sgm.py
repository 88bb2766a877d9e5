"""Semi-global matching (Hirschmueller, TPAMI 2008, section 2.2) in whole numbers.

A change of disparity by one between neighbours costs P1, a larger one P2.  The best of
all disparity maps under that energy is out of reach, the best along a line is not: for
each of eight directions r, with L = C at the pixels where a path enters the image,

    L(p, d) = C(p, d) + min(L(p-r, d), L(p-r, d-1) + P1, L(p-r, d+1) + P1,
                            min_k L(p-r, k) + P2) - min_k L(p-r, k).

The sum of the minima that were subtracted and L is the cost of the best path to p.  The
result is S = sum_r L, at most 8 (largest C + P2), so 16 bits hold what usual costs and
penalties give, in half the memory and time.

Pixels of a row do not depend on each other along six of the directions: a scan over
rows computes three of them at once, downwards and then upwards; the other two are a
scan over the columns of the transposed costs.  S is added up on the way.  Besides C and
S there are four volumes of h w n numbers for a time: all six take 470 MB for 480 x 640
pixels, 128 disparities and 16 bits.
"""

import functools

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import images_in_turns
from dpjax.ops.stereo import paths

PATHS = 8


@functools.partial(jax.jit, static_argnames=("p1", "p2", "largest"))
def aggregate(
    costs: jax.Array,
    *,
    p1: int,
    p2: int,
    guide: jax.Array | None = None,
    largest: int | None = None,
) -> jax.Array:
    """Returns the sum S of the costs of the best paths from eight directions.

    Args:
        costs: C, whole numbers from 0 on, [b, h, n, w] with the n disparities in order.
        p1: penalty for a disparity that changes by 1.
        p2: penalty for a larger change, `p1` or more.
        guide: intensities I, whole numbers, [b, h, w]; the second penalty is then
            max(P1, floor(P2 / max(1, |I(p) - I(p-r)|))), smaller across edges.  None
            keeps it.
        largest: a bound of the costs, which must be true; it lets 16 bits suffice where
            8 (largest + P2) < 2^15.  None counts with 32 bits.

    Returns:
        int16 or int32 [b, h, n, w].

    Raises:
        UserError: arrays that are not such volumes and images, penalties out of order,
            or costs too large for 32 bits.
    """
    _check(costs, guide, p1, p2, largest)
    kind = jnp.int16 if _bound(largest, p2) <= jnp.iinfo(jnp.int16).max else jnp.int32
    costs = costs.astype(kind)
    if guide is None:
        of_one = functools.partial(_of_one, guide=None, p1=p1, p2=p2)
        return images_in_turns.for_each(of_one, 1)(costs)
    of_one = functools.partial(_of_one, p1=p1, p2=p2)
    return images_in_turns.for_each(of_one, 1)(costs, guide.astype(jnp.int32))


def _of_one(costs, guide, p1, p2):
    across = _turned(costs)
    turned = None if guide is None else guide.T
    total = jnp.zeros_like(across)
    for backwards in (False, True):
        total = _sweep(across, turned, total, paths.ACROSS, p1, p2, backwards)
    total = _turned(total)
    for backwards in (False, True):
        total = _sweep(costs, guide, total, paths.DOWN, p1, p2, backwards)
    return total


def _turned(volume):
    """[h, n, w] to [w, n, h] and back."""
    # Else XLA moves it into the scans, which then read columns from far apart.
    return lax.optimization_barrier(volume.transpose(2, 1, 0))


def _sweep(costs, guide, total, slants, p1, p2, backwards):
    """Adds the paths that reach a line from the line before it.

    Args:
        costs: [lines, n, places].
        guide: [lines, places] or None.
        total: S so far, [lines, n, places].
        slants: how many places each path moves forward from line to line.
        p1: the first penalty.
        p2: the second.
        backwards: whether the last line is the first.

    Returns:
        S, [lines, n, places].
    """
    start = jnp.zeros_like(costs[0])
    seconds = [_second_penalties(guide, s, p1, p2, backwards) for s in slants]
    seconds = [jnp.full(len(costs), p2) if s is None else s for s in seconds]
    seconds = [s.astype(costs.dtype) for s in seconds]

    def advance(before, line):
        costs, total, seconds = line
        after = []
        for path, slant, second in zip(before, slants, seconds, strict=True):
            # Nothing lies before a path that enters here, so it starts with its costs.
            path = costs + _cheapest(paths.moved(path, slant), p1, p2, second)
            total = total + path
            after.append(path - path.min(0))
        return after, total

    lines = costs, total, seconds
    return lax.scan(advance, [start] * len(slants), lines, reverse=backwards)[1]


def _cheapest(path, p1, p2, second):
    """The best continuation of paths whose least cost is 0, [n, places]."""
    # P2 where there is no neighbour: P1 more is never the least.
    beyond = jnp.full_like(path[:1], p2)
    lower = jnp.concatenate([beyond, path[:-1]])
    upper = jnp.concatenate([path[1:], beyond])
    near = jnp.minimum(lower, upper) + jnp.asarray(p1, path.dtype)
    return jnp.minimum(jnp.minimum(path, near), second)


def _second_penalties(guide, slant, p1, p2, backwards):
    """The penalty of each pixel for one path, [lines, places]; None for a fixed one."""
    if guide is None:
        return None
    line_before = paths.moved(guide, -1 if backwards else 1, axis=0)
    before = paths.moved(line_before, slant)
    return jnp.maximum(p2 // jnp.maximum(jnp.abs(guide - before), 1), p1)


def _bound(largest, p2):
    # Without a bound of the costs, as if it were that of 16 bits.
    return PATHS * ((2**15 if largest is None else largest) + p2)


def _check(costs, guide, p1, p2, largest):
    whole = [x for x in (costs, guide) if x is not None]
    if any(not jnp.issubdtype(x.dtype, jnp.integer) for x in whole):
        raise errors.UserError(
            "Semi-global matching wants whole numbers, got "
            f"{' and '.join(str(x.dtype) for x in whole)}. Round them."
        )
    size = costs.shape
    if costs.ndim != 4 or 0 in size:
        raise errors.UserError(
            "Semi-global matching wants costs [b, h, n, w] and at least one of each, "
            f"got {list(size)}. See costs."
        )
    if guide is not None and guide.shape != (size[0], size[1], size[3]):
        raise errors.UserError(
            f"Costs {list(size)} want a guide {[size[0], size[1], size[3]]}, got "
            f"{list(guide.shape)}."
        )
    if not 0 <= p1 <= p2:
        raise errors.UserError(
            f"Semi-global matching wants 0 <= P1 <= P2, got {p1} and {p2}."
        )
    if (largest is not None and largest < 0) or _bound(largest, p2) >= 2**29:
        raise errors.UserError(
            f"8 (largest cost + P2) must be below 2^29 and costs from 0 on, got costs "
            f"up to {largest} and P2 = {p2}. Scale them down."
        )
