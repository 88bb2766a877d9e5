"""Whether the disparities of both views agree, and why not (Hirschmueller, TPAMI 2008).

Sections 2.3 and 2.4: a match counts if the right view leads back to where it started.
A pixel that fails is occluded if no pixel of the right view has a match there, else it
is a mismatch.  Larger disparities are closer: the left pixel x and the right pixel
x - d show the same point.
"""

import jax
from jax import numpy as jnp

from dpjax import errors


def is_inside(left: jax.Array) -> jax.Array:
    """Returns whether the matches of the left pixels lie in the right image.

    Args:
        left: disparities of the left view, whole numbers [b, h, w], pixels.

    Returns:
        bool [b, h, w].

    Raises:
        UserError: disparities that are not whole numbers [b, h, w].
    """
    _check(left, left, 0)
    match = _columns(left) - left
    return (match >= 0) & (match < left.shape[-1])


def is_consistent(
    left: jax.Array, right: jax.Array, *, tolerance: int = 1
) -> jax.Array:
    """Returns whether |d(x) - d_right(x - d(x))| is at most the tolerance.

    Args:
        left: disparities of the left view, whole numbers [b, h, w], pixels.
        right: disparities of the right view, likewise.
        tolerance: pixels.

    Returns:
        bool [b, h, w]; False where the match lies outside the image.

    Raises:
        UserError: disparities that are not whole numbers [b, h, w] of the same size, or
            a negative tolerance.
    """
    _check(left, right, tolerance)
    match = _columns(left) - left
    there = jnp.clip(match, 0, left.shape[-1] - 1)
    back = jnp.take_along_axis(right, there, axis=-1)
    return is_inside(left) & (jnp.abs(left - back) <= tolerance)


def is_seen(right: jax.Array, *, tolerance: int = 1) -> jax.Array:
    """Returns which left pixels some pixel of the right view is matched with.

    Where a left pixel has failed `is_consistent`, True says that it is a mismatch and
    False that it is occluded.

    Args:
        right: disparities of the right view, whole numbers [b, h, w], pixels.
        tolerance: by which a match may miss, pixels.

    Returns:
        bool [b, h, w].

    Raises:
        UserError: disparities that are not whole numbers [b, h, w], or a negative
            tolerance.
    """
    _check(right, right, tolerance)
    width = right.shape[-1]
    target = _columns(right) + right
    # Beyond the end, which is dropped; below 0 would count from the end.
    target = jnp.where(target < 0, width, target).reshape(-1, width)
    rows = jnp.arange(len(target))[:, None]
    hit = jnp.zeros(target.shape, bool).at[rows, target].set(True, mode="drop")
    seen = hit = hit.reshape(right.shape)
    for miss in range(1, min(tolerance, width - 1) + 1):
        beside = ((0, 0), (0, 0))
        seen |= jnp.pad(hit[..., miss:], (*beside, (0, miss)))
        seen |= jnp.pad(hit[..., :-miss], (*beside, (miss, 0)))
    return seen


def _columns(like):
    return jnp.arange(like.shape[-1], dtype=like.dtype)


def _check(left, right, tolerance):
    kinds = (left.dtype, right.dtype)
    if (
        left.ndim != 3
        or left.shape != right.shape
        or not all(jnp.issubdtype(kind, jnp.signedinteger) for kind in kinds)
    ):
        raise errors.UserError(
            "Checks want disparities of both views, signed whole numbers [b, h, w], "
            f"got {left.dtype} {list(left.shape)} and {right.dtype} "
            f"{list(right.shape)}."
        )
    if tolerance < 0:
        raise errors.UserError(
            f"A tolerance is 0 pixels or more, got {tolerance}. Pass 1."
        )
