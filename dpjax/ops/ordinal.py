"""Which of two points is farther, from depth or from disparity.

A relation is +1 where the first point of a pair is farther than the second, -1 where it
is nearer, and 0 where they are about equally far, or where the pair does not count.
"""

import jax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import pairs, quantiles

RANGE = (0.02, 0.98)  # of disparities in an image that are no outliers


def by_ratio(depth: jax.Array, points: pairs.Pairs, *, threshold: float) -> jax.Array:
    """Returns relations from the ratio of depths, whose unit does not matter.

    +1 where d_i / d_j >= 1 + threshold, -1 where d_j / d_i is (Xian et al., CVPR 2018
    with 0.02; CVPR 2020, eq. 3, with 0.03).  Of positive disparities, which are
    inverse depths, it gives the negative relation; of those that may be negative, as
    in 3-D films, ratios say nothing.

    Args:
        depth: positive wherever pairs count, [b, h, w].
        points: the pairs, [b, p].
        threshold: above 0.

    Returns:
        int32 [b, p].

    Raises:
        UserError: a threshold that is not above 0.
    """
    _check(threshold)
    first, second = pairs.values(depth.astype(jnp.float32), points)
    factor = 1 + threshold
    farther = (first >= factor * second).astype(jnp.int32)
    nearer = (second >= factor * first).astype(jnp.int32)
    # Pairs that do not count hold 0 and 0, which are both.
    return farther - nearer


def by_difference(
    disparity: jax.Array,
    valid: jax.Array,
    points: pairs.Pairs,
    *,
    threshold: float,
    ends: tuple[float, float] = RANGE,
) -> jax.Array:
    """Returns relations from differences of disparity, as a share of its range.

    -sign(g_i - g_j) where |g_i - g_j| > threshold * range: larger disparities are
    nearer.  The range lies between two quantiles of the image.  A common shift, which
    films have because their screen plane is arbitrary, and a factor change nothing.

    Args:
        disparity: g, of any sign and unit, [b, h, w]; anything where it is not valid.
        valid: the pixels that the range is taken over, bool [b, h, w].
        points: the pairs, [b, p].
        threshold: above 0.
        ends: lower and upper quantile of the range.

    Returns:
        int32 [b, p].

    Raises:
        UserError: a threshold that is not above 0, ends that do not rise within [0, 1],
            or shapes that differ.
    """
    _check(threshold)
    if not 0 <= ends[0] < ends[1] <= 1:
        raise errors.UserError(
            f"The ends of a range of disparities rise within [0, 1], got {ends}."
        )
    low, high = quantiles.quantiles(disparity, valid, ends)
    first, second = pairs.values(disparity.astype(jnp.float32), points)
    difference = first - second
    differs = jnp.abs(difference) > (threshold * (high - low))[:, None]
    return jnp.where(differs, -jnp.sign(difference), 0.0).astype(jnp.int32)


def _check(threshold):
    if not threshold > 0:
        raise errors.UserError(
            f"An ordinal relation wants a threshold above 0, got {threshold!r}."
        )
