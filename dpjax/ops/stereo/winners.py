"""The best disparity of each pixel from the totals of semi-global matching.

Hirschmueller (TPAMI 2008, section 2.3), and the ratio test of the public codes.
"""

import functools
from typing import NamedTuple

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors

_PERCENT = 100


class Winners(NamedTuple):
    """What the totals say of each pixel; a pytree.

    Attributes:
        index: the disparity with the least total, the first one of several, counted
            from the first disparity, int32 [b, h, w].
        offset: from it to the vertex of the parabola through its total and those beside
            it, -0.5 to 0.5, [b, h, w]; 0 at the ends of the range.
        ratio: least total over the least of those that are not beside it, 0 to 1, [b,
            h, w]; 1 if both are 0, and 0 where there is no other.
        is_unique: whether that ratio is below the limit, bool [b, h, w].
    """

    index: jax.Array
    offset: jax.Array
    ratio: jax.Array
    is_unique: jax.Array


@functools.partial(jax.jit, static_argnames=("uniqueness",))
def select(totals: jax.Array, *, uniqueness: int | None = 95) -> Winners:
    """Returns the best disparities and how clear they are.

    Args:
        totals: S, whole numbers from 0 on, [b, h, n, w].
        uniqueness: limit of the ratio, per cent, exclusive; 1 to 100.  None takes all.

    Returns:
        The winners.

    Raises:
        UserError: totals that are not such a volume, or an unusable limit.
    """
    _check(totals)
    if uniqueness is not None and not 1 <= uniqueness <= _PERCENT:
        raise errors.UserError(
            f"A limit of the ratio is 1 to 100 per cent, got {uniqueness}. Pass 95, or "
            "None for no limit."
        )
    count = totals.shape[2]
    totals = totals.astype(jnp.int32)
    best = totals.min(2, keepdims=True)
    index = _first(totals, best)
    place = lax.broadcasted_iota(jnp.int32, totals.shape, 2)
    none = jnp.iinfo(jnp.int32).max
    others = jnp.where(jnp.abs(place - index) > 1, totals, none)
    second = others.min(2)
    index, best = index[:, :, 0], best[:, :, 0]
    alone = second == none
    ratio = best / jnp.maximum(second, 1)
    ratio = jnp.where(alone, 0, jnp.where(second == 0, 1, ratio))
    unique = alone
    if uniqueness is not None:
        unique |= _is_less(best, second, uniqueness)
    else:
        unique = jnp.ones_like(alone)
    below, above = (
        jnp.take_along_axis(totals, jnp.clip(i, 0, count - 1)[:, :, None], 2)[:, :, 0]
        for i in (index - 1, index + 1)
    )
    inside = (index > 0) & (index < count - 1)
    offset = jnp.where(inside, _vertex(below, best, above), 0)
    return Winners(index, offset, ratio.astype(jnp.float32), unique)


@functools.partial(jax.jit, static_argnames=("min_disparity",))
def of_right_view(totals: jax.Array, *, min_disparity: int) -> jax.Array:
    """Returns the best disparities of the right view from the totals of the left.

    The right pixel x takes the least S(x + d, d).  Its own paths may say otherwise:
    they bend at edges of the right image.

    Args:
        totals: as for `select`.
        min_disparity: the first disparity, pixels.

    Returns:
        Index of the disparity, int32 [b, h, w]; 0 where no match lies in the image.

    Raises:
        UserError: totals that are not a volume.
    """
    _check(totals)
    _, _, count, width = totals.shape
    last = min_disparity + count - 1
    before, after = max(-min_disparity, 0), max(last, 0)
    worst = jnp.iinfo(totals.dtype).max
    wide = ((0, 0), (0, 0), (0, 0), (before, after))
    totals = jnp.pad(totals, wide, constant_values=worst)
    # Disparity number i moves i columns further than number 0: in a row that is one
    # longer than the one that is there.
    length = width + count - 1
    totals = lax.slice_in_dim(totals, min_disparity + before, None, axis=3)
    totals = totals[..., :length].reshape(*totals.shape[:2], count * length)
    totals = jnp.pad(totals, ((0, 0), (0, 0), (0, count)), constant_values=worst)
    totals = totals.reshape(*totals.shape[:2], count, length + 1)[..., :width]
    return _first(totals, totals.min(2, keepdims=True))[:, :, 0]


def _first(totals, best):
    """The first place of the minimum; unlike argmin, two reductions that vectorise."""
    place = lax.broadcasted_iota(jnp.int32, totals.shape, 2)
    return jnp.where(totals == best, place, totals.shape[2]).min(2, keepdims=True)


def _is_less(best, second, percent):
    """100 best < percent second without overflow: whole parts first, then the rest."""
    whole, rest = best // percent, best % percent
    units, part = second // _PERCENT, second % _PERCENT
    # best = whole percent + rest and percent second / 100 = units percent + ...
    return (whole < units) | ((whole == units) & (_PERCENT * rest < percent * part))


def _vertex(below, best, above):
    bend = below - 2 * best + above
    return jnp.where(bend > 0, (below - above) / (2 * jnp.maximum(bend, 1)), 0)


def _check(totals):
    if (
        totals.ndim != 4
        or 0 in totals.shape
        or not jnp.issubdtype(totals.dtype, jnp.integer)
    ):
        raise errors.UserError(
            "Winners want totals [b, h, n, w] of whole numbers, got "
            f"{totals.dtype} {list(totals.shape)}. See sgm.aggregate."
        )
