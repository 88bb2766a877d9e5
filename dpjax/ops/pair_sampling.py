"""Draws pairs of points on the device: at random, or across the edges of an image.

Each image has its own key and always gives the same number of pairs, so that shapes are
static and neither the batch nor the number of devices changes what is drawn.  Where an
image has too few pixels to draw from, pairs of weight 0 fill the place.
"""

import jax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import pairs

_EDGE_SHARE = 0.1
_NEAREST, _FARTHEST = 2, 30


def random(valid: jax.Array, keys: jax.Array, count: int) -> pairs.Pairs:
    """Returns pairs of different valid pixels, all ordered ones equally likely.

    Pairs are independent, so that one may be drawn twice (3000 for each image and step
    in Xian et al., CVPR 2018).

    Args:
        valid: the pixels to draw from, bool [b, h, w].
        keys: one for each image, [b].
        count: p, the number of pairs.

    Returns:
        [b, p]; weight 1, or 0 for images with fewer than 2 valid pixels.

    Raises:
        UserError: a count below 1, or shapes that do not belong together.
    """
    _check(valid, keys, count)

    def draw(valid, key):
        members = _Members(valid)
        n = jnp.maximum(members.count, 2)
        # One draw of all numbers: several take several times as long to compile.
        limits = jnp.stack([n, n - 1])[:, None]
        one, other = jax.random.randint(key, (2, count), 0, limits)
        other = other + (other >= one)  # all but the first
        weight = jnp.full(count, members.count >= 2, jnp.float32)
        return pairs.Pairs(members.pixels(one), members.pixels(other), weight)

    return jax.vmap(draw)(valid.reshape(len(valid), -1), keys)


def across_edges(
    guide: jax.Array,
    valid: jax.Array,
    keys: jax.Array,
    count: int,
    *,
    known: jax.Array | None = None,
    share: float = _EDGE_SHARE,
    distances: tuple[int, int] = (_NEAREST, _FARTHEST),
) -> pairs.Pairs:
    """Returns pairs of points in line across edges (Xian et al., CVPR 2020, 3.2).

    An edge is where the Sobel gradient of the guide has at least a share of its largest
    length in the image.  Through each of the pixels drawn from all edges goes a line
    along the gradient, and on it lie four points a, b | c, d, two on each side, whose
    distances from the edge are drawn from a range of whole pixels.  The pairs are
    (a, b), (b, c) and (c, d); only the second one crosses the edge.

    The released code differs in three ways.  It takes the vertical gradient with the
    wrong sign, so that points of an oblique edge lie along it and not across; the two
    points of a side are in no order; and points outside the image are moved to its
    border, whereas here their pairs have the weight 0.

    Args:
        guide: whose edges count, such as gray in [0, 1] or log depth, [b, h, w].
        valid: the pixels that may be compared, bool [b, h, w].
        keys: one for each image, [b].
        count: the number of lines, which may be the same.
        known: where the guide means something, bool [b, h, w]; an edge wants all pixels
            around it.  Everywhere, if it is None.
        share: of the largest gradient, in (0, 1].
        distances: smallest and largest one from the edge, pixels.

    Returns:
        [b, 3 count], (a, b) of all lines first; weight 1, or 0 where a point is outside
        the image or not valid, both are the same pixel, or the image has no edge.

    Raises:
        UserError: shapes that do not belong together, or options out of range.
    """
    _check(valid, keys, count)
    known = jnp.ones(guide.shape, bool) if known is None else known
    if not guide.shape == valid.shape == known.shape:
        raise errors.UserError(
            "Edges want guide, valid and known of one shape, got "
            f"{list(guide.shape)}, {list(valid.shape)} and {list(known.shape)}."
        )
    near, far = distances
    if not 0 < share <= 1 or not 0 < near < far:
        raise errors.UserError(
            "across_edges wants a share in (0, 1] and rising distances above 0, got "
            f"{share!r} and {distances}."
        )

    def draw(guide, valid, known, key):
        down, right, length = _gradient(guide, known)
        members = _Members(((length >= share * length.max()) & (length > 0)).ravel())
        # The edge, and two different distances on each side.
        number = jnp.maximum(members.count, 1)
        limits = jnp.stack([number, *[far + 1 - near] * 2, *[far - near] * 2])
        drawn = jax.random.randint(key, (5, count), 0, limits[:, None])
        edge, one, other = members.pixels(drawn[0]), drawn[1:3], drawn[3:]
        one, other = near + one, near + other + (other >= one)
        inner, outer = jnp.minimum(one, other), jnp.maximum(one, other)
        steps = jnp.stack([-outer[0], -inner[0], inner[1], outer[1]])  # a, b, c, d
        inside, pixels = True, 0
        scale = jnp.where(length > 0, length, 1.0).ravel()[edge]
        height, width = guide.shape
        for whole, slope, start in (
            (height, down, edge // width),
            (width, right, edge % width),
        ):
            place = start + jnp.rint(steps * slope.ravel()[edge] / scale).astype(int)
            inside = inside & (place >= 0) & (place < whole)
            pixels = pixels * whole + jnp.clip(place, 0, whole - 1)
        counts = inside & valid.ravel()[pixels] & (members.count > 0)
        first, second = pixels[:-1], pixels[1:]
        weight = counts[:-1] & counts[1:] & (first != second)
        return pairs.Pairs(
            first.ravel().astype(jnp.int32),
            second.ravel().astype(jnp.int32),
            weight.ravel().astype(jnp.float32),
        )

    return jax.vmap(draw)(guide.astype(jnp.float32), valid, known, keys)


class _Members:
    """The pixels of a mask by their number among themselves."""

    def __init__(self, mask: jax.Array):
        self._ends = jnp.cumsum(mask.astype(jnp.int32))
        self.count = self._ends[-1]

    def pixels(self, numbers: jax.Array) -> jax.Array:
        """The pixel of each number; the last pixel, where there is none."""
        found = jnp.searchsorted(self._ends, numbers, side="right")
        return jnp.minimum(found, len(self._ends) - 1).astype(jnp.int32)


def _gradient(guide, known):
    """Sobel's gradient downwards and to the right, and its length, 0 at the border."""
    guide = jnp.where(known, guide, 0.0)

    def smoothed(x, axis):
        lower, middle, upper = (_shifted(x, axis, by) for by in (-1, 0, 1))
        return lower + 2 * middle + upper

    def sloped(x, axis):
        return _shifted(x, axis, 1) - _shifted(x, axis, -1)

    around = jnp.ones(guide.shape, bool)
    for rows in (-1, 0, 1):
        for columns in (-1, 0, 1):
            around &= _shifted(_shifted(known, 0, rows), 1, columns)
    down, right = (
        jnp.where(around, smoothed(sloped(guide, axis), 1 - axis), 0.0)
        for axis in (0, 1)
    )
    return down, right, jnp.sqrt(jnp.square(down) + jnp.square(right))


def _shifted(x, axis, by):
    """x at the next place along an axis (or the one before), 0 outside."""
    if by == 0:
        return x
    pad = [(0, 0), (0, 0)]
    pad[axis] = (0, 1) if by > 0 else (1, 0)
    start = 1 if by > 0 else 0
    padded = jnp.pad(x, pad)
    return jax.lax.slice_in_dim(padded, start, start + x.shape[axis], axis=axis)


def _check(valid, keys, count):
    if valid.ndim != 3 or valid.dtype != bool or len(keys) != len(valid):
        raise errors.UserError(
            "Pairs are drawn from a mask, bool [b, h, w], by a key for each image, got "
            f"{valid.dtype} {list(valid.shape)} and {len(keys)} keys."
        )
    if count < 1:
        raise errors.UserError(f"Pairs want a count of at least 1, got {count}.")
