"""Losses of ordinal depth: which of two points is farther, as sums and counts by image.

A network's output f is any number that grows with depth.  A pair i, j with the relation
r (`ops.ordinal`: +1 where i is farther) costs

    log(1 + exp(-r (f_i - f_j)))  if r is +1 or -1,   (f_i - f_j)^2  if r is 0

(Chen et al., NIPS 2016, eq. 2).  The losses below differ in where relations come from,
in which pairs count how much, and in what is divided by what.
"""

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.losses import depth as depth_losses
from dpjax.losses import gradient_matching
from dpjax.ops import ordinal, pairs


def pair_losses(
    output: jax.Array, points: pairs.Pairs, relation: jax.Array
) -> jax.Array:
    """Returns what each pair costs, finite for any finite difference.

    Args:
        output: f, larger for farther, [b, h, w].
        points: the pairs, [b, p].
        relation: r, -1, 0 or +1, int [b, p].

    Returns:
        float32 [b, p]; for pairs that do not count log 2 or 0, whose weight is 0.

    Raises:
        UserError: shapes that do not belong together.
    """
    if relation.shape != points.first.shape:
        raise errors.UserError(
            f"Pairs {list(points.first.shape)} want as many relations, got "
            f"{list(relation.shape)}."
        )
    first, second = pairs.values(output.astype(jnp.float32), points)
    difference = first - second
    ordered = jax.nn.softplus(-relation.astype(jnp.float32) * difference)
    return jnp.where(relation == 0, jnp.square(difference), ordered)


def diw(
    output: jax.Array, points: pairs.Pairs, relation: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the sum over pairs and their number (Chen et al., NIPS 2016).

    Args:
        output: f, larger for farther, [b, h, w].
        points: the pairs, such as one that a person judged, [b, p].
        relation: r, -1, 0 or +1, int [b, p].

    Returns:
        float32 [b] and float32 [b], both weighted; 0 and 0 for images without pairs.

    Raises:
        UserError: shapes that do not belong together.
    """
    costs = points.weight * pair_losses(output, points, relation)
    return costs.sum(1), points.weight.sum(1)


def rdis(
    output: jax.Array,
    disparity: jax.Array,
    confident: jax.Array,
    points: pairs.Pairs,
    *,
    threshold: float = 0.02,
) -> tuple[jax.Array, jax.Array]:
    """Returns the sum over pairs of a stereo film and their number.

    The loss of Chen et al. with relations by differences of disparity, as a share of
    the range that disparities of the image have.  Cao et al. (TCSVT 2020) pre-train on
    such pairs; their threshold is not known to us.

    Args:
        output: f, larger for farther, [b, h, w].
        disparity: of any sign and unit, larger for nearer, [b, h, w]; anything where it
            is not confident.
        confident: where a disparity is known, bool [b, h, w].
        points: pairs of confident pixels, [b, p].
        threshold: difference that makes an order, as a share of the range.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 for images without pairs.

    Raises:
        UserError: shapes that do not belong together, or a threshold out of range.
    """
    relation = ordinal.by_difference(disparity, confident, points, threshold=threshold)
    return diw(output, points, relation)


def redweb(
    output: jax.Array,
    depth: jax.Array,
    points: pairs.Pairs,
    *,
    threshold: float = 0.02,
    keep: float = 0.75,
) -> tuple[jax.Array, jax.Array]:
    """Returns the loss of Xian et al. (CVPR 2018) of each image, and whether it counts.

    The mean over pairs of equal depth and the mean over the hardest of the others are
    added.  Which share of the others is kept is not known to us; the code of Chen et
    al. (YouTube3D, CVPR 2019) means to keep three quarters, of all pairs, but cuts
    along an axis of length 1 and keeps every one.

    Args:
        output: f, larger for farther, [b, h, w].
        depth: positive wherever pairs count, in any unit, [b, h, w].
        points: the pairs, [b, p].
        threshold: least ratio of depths that makes an order, less 1.
        keep: share of the ordered pairs that counts, those of the largest loss, in
            (0, 1]; of an image with any at least one.

    Returns:
        float32 [b] and float32 [b], the second 1 for an image with pairs; 0 and 0
        otherwise.

    Raises:
        UserError: shapes that do not belong together, or options out of range.
    """
    relation = ordinal.by_ratio(depth, points, threshold=threshold)
    costs = pair_losses(output, points, relation)
    counts = points.weight > 0
    hard = hardest(costs, counts & (relation != 0), keep=keep)
    equal = counts & (relation == 0)
    parts = (_mean(costs, points.weight * part) for part in (hard, equal))
    return sum(parts), counts.any(1).astype(jnp.float32)


def sgr(
    output: jax.Array,
    depth: jax.Array,
    points: pairs.Pairs,
    *,
    threshold: float = 0.03,
    equal: float = 1.0,
    valid: jax.Array | None = None,
    gradient: float = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """Returns the loss of Xian et al. (CVPR 2020) of each image, and whether it counts.

    The mean over all pairs, at random and across edges, those of equal depth weighted;
    and, if wanted, `gradient_matching` of output and log depth on four scales.  The
    paper weights that by 0.2, of inverse depth; in logarithms it forgets the unit of
    depth, as the pairs do.

    Args:
        output: f, larger for farther; log depth if the gradient term is to make sense,
            [b, h, w].
        depth: positive wherever pairs count, in any unit, [b, h, w].
        points: the pairs, [b, p].
        threshold: least ratio of depths that makes an order, less 1.
        equal: weight of pairs of equal depth.
        valid: pixels with depth, for the gradient term, bool [b, h, w].
        gradient: weight of the gradient term.

    Returns:
        float32 [b] and float32 [b], the second 1 for an image with pairs; 0 and 0
        otherwise.

    Raises:
        UserError: shapes that do not belong together, options out of range, or a
            gradient term without valid pixels.
    """
    if not equal >= 0 or not gradient >= 0 or (gradient and valid is None):
        raise errors.UserError(
            "sgr wants weights of at least 0, and the valid pixels for its gradient "
            f"term, got {equal!r} and {gradient!r}, valid "
            f"{'missing' if valid is None else 'given'}."
        )
    relation = ordinal.by_ratio(depth, points, threshold=threshold)
    costs = pair_losses(output, points, relation)
    costs = jnp.where(relation == 0, equal * costs, costs)
    value, has_pairs = _mean(costs, points.weight), (points.weight > 0).any(1)
    if gradient:
        target = depth_losses.log_depth(depth, valid)
        slopes, _ = gradient_matching.gradient_matching(output, target, valid)
        value += gradient * jnp.where(has_pairs, slopes, 0.0)
    return value, has_pairs.astype(jnp.float32)


def hardest(costs: jax.Array, counts: jax.Array, *, keep: float) -> jax.Array:
    """Returns which pairs of an image are among those that cost most.

    Args:
        costs: of each pair, [b, p].
        counts: the pairs to choose from, bool [b, p].
        keep: share of them, in (0, 1], rounded to whole pairs, at least one.

    Returns:
        bool [b, p]; of equal costs the first ones.

    Raises:
        UserError: a share out of range.
    """
    if not 0 < keep <= 1:
        raise errors.UserError(f"The share of hard pairs is in (0, 1], got {keep!r}.")
    falling = lax.stop_gradient(jnp.where(counts, -costs, jnp.inf))
    rank = jnp.argsort(jnp.argsort(falling, axis=1), axis=1)  # both sorts are stable
    kept = jnp.maximum(jnp.rint(keep * counts.sum(1)), 1)
    return counts & (rank < kept[:, None])


def _mean(costs, weights):
    """Weighted mean of each image, 0 without weights."""
    total = weights.sum(1)
    return (weights * costs).sum(1) / jnp.where(total > 0, total, 1.0)
