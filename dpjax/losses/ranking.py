"""Losses of ordinal depth: which of two points is farther, as sums and counts by image.

A network's output f is any number that grows with depth.  A pair i, j with the relation
r (`ops.ordinal`: +1 where i is farther) costs

    log(1 + exp(-r (f_i - f_j)))  if r is +1 or -1,   (f_i - f_j)^2  if r is 0

(Chen et al., NIPS 2016, eq. 2).  The losses below differ in which pairs count how much,
and in what is divided by what; where relations come from is left to their callers.
Cao et al. (TCSVT 2020) have no loss of their own: theirs is `diw` with relations by
differences of disparity.
"""

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.losses import depth as depth_losses
from dpjax.losses import gradient_matching
from dpjax.ops import pairs


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
    output: jax.Array, points: pairs.Pairs, relation: jax.Array, *, keep: float = 1.0
) -> tuple[jax.Array, jax.Array]:
    """Returns the sum over pairs and their number (Chen et al., NIPS 2016).

    Args:
        output: f, larger for farther, [b, h, w].
        points: the pairs, such as one that a person judged, [b, p].
        relation: r, -1, 0 or +1, int [b, p].
        keep: share of the ordered pairs that counts, see `hardest`; all in the paper.

    Returns:
        float32 [b] and float32 [b], both weighted; 0 and 0 for images without pairs.

    Raises:
        UserError: shapes that do not belong together, or a share out of range.
    """
    costs = pair_losses(output, points, relation)
    hard, equal = _parts(costs, points, relation, keep)
    weights = points.weight * (hard | equal)
    return (weights * costs).sum(1), weights.sum(1)


def redweb(
    output: jax.Array, points: pairs.Pairs, relation: jax.Array, *, keep: float = 0.75
) -> tuple[jax.Array, jax.Array]:
    """Returns the loss of Xian et al. (CVPR 2018) of each image, and whether it counts.

    The mean over pairs of equal depth and the mean over the hardest of the others are
    added.  Which share of the others is kept is not known to us; the code of Chen et
    al. (YouTube3D, CVPR 2019) means to keep three quarters, of all pairs, but cuts
    along an axis of length 1 and keeps every one.

    Args:
        output: f, larger for farther, [b, h, w].
        points: the pairs, [b, p].
        relation: r, -1, 0 or +1, int [b, p]; by ratios of 1.02 in the paper.
        keep: share of the ordered pairs that counts, see `hardest`.

    Returns:
        float32 [b] and float32 [b], the second 1 for an image with pairs; 0 and 0
        otherwise.

    Raises:
        UserError: shapes that do not belong together, or a share out of range.
    """
    costs = pair_losses(output, points, relation)
    parts = _parts(costs, points, relation, keep)
    total = sum(_mean(costs, points.weight * part) for part in parts)
    return total, (points.weight > 0).any(1).astype(jnp.float32)


def sgr(
    output: jax.Array,
    points: pairs.Pairs,
    relation: jax.Array,
    *,
    keep: float = 1.0,
    equal: float = 1.0,
    depth: jax.Array | None = None,
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
        points: the pairs, [b, p].
        relation: r, -1, 0 or +1, int [b, p]; by ratios of 1.03 in the paper.
        keep: share of the ordered pairs that counts, see `hardest`; all in the paper.
        equal: weight of pairs of equal depth.
        depth: positive where it is valid, for the gradient term, [b, h, w].
        valid: pixels with depth, for the gradient term, bool [b, h, w].
        gradient: weight of the gradient term.

    Returns:
        float32 [b] and float32 [b], the second 1 for an image with pairs; 0 and 0
        otherwise.

    Raises:
        UserError: shapes that do not belong together, options out of range, or a
            gradient term without depth and valid pixels.
    """
    has_map = depth is not None and valid is not None
    if not equal >= 0 or not gradient >= 0 or (gradient and not has_map):
        raise errors.UserError(
            "sgr wants weights of at least 0, and depth and valid pixels for its "
            f"gradient term, got {equal!r} and {gradient!r}, depth and valid "
            f"{'given' if has_map else 'missing'}."
        )
    costs = pair_losses(output, points, relation)
    hard, same = _parts(costs, points, relation, keep)
    costs = jnp.where(relation == 0, equal * costs, costs)
    value = _mean(costs, points.weight * (hard | same))
    has_pairs = (points.weight > 0).any(1)
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
    if keep == 1:  # two sorts less
        return counts
    falling = lax.stop_gradient(jnp.where(counts, -costs, jnp.inf))
    rank = jnp.argsort(jnp.argsort(falling, axis=1), axis=1)  # both sorts are stable
    kept = jnp.maximum(jnp.rint(keep * counts.sum(1)), 1)
    return counts & (rank < kept[:, None])


def _parts(costs, points, relation, keep):
    """The hardest of the ordered pairs, and the equal ones, bool [b, p] both."""
    counts = points.weight > 0
    hard = hardest(costs, counts & (relation != 0), keep=keep)
    return hard, counts & (relation == 0)


def _mean(costs, weights):
    """Weighted mean of each image, 0 without weights."""
    total = weights.sum(1)
    return (weights * costs).sum(1) / jnp.where(total > 0, total, 1.0)
