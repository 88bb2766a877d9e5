"""What it costs to match the pixels of a rectified pair: whole numbers.

The left pixel (y, x) with disparity d is matched to the right pixel (y, x - d).  Larger
is closer; pairs that converge on a plane, as stereo movies do, have disparities of both
signs.  Costs of single pixels are

    absolute  sum_c |L(y, x, c) - R(y, x - d, c)|, at most `truncation` for each of the
              channels together
    census    how many of the 62 comparisons "a neighbour within 9 x 7 pixels is darker
              than the centre" come out differently (Zabih & Woodfill, ECCV 1994)

in levels of 255, summed over a square box.  Where either pixel lies beside its image or
is no number the cost is the largest there is, so the costs of the mirrored pair with
its roles exchanged are the same ones in other places.  Rows at the border are repeated.

Volumes are [b, h, n, w] for n disparities: vectors run along rows, the reduction over
disparities is between vectors, and no cost is far from those it is compared with.
"""

import functools
from collections.abc import Callable

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import images_in_turns

_CENSUS = (7, 9)  # rows and columns, as in libSGM
CENSUS_BITS = _CENSUS[0] * _CENSUS[1] - 1
_WORD = 32


def levels(images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Returns images in whole levels, and which pixels have some.

    Args:
        images: uint8, or float in [0, 1]; [..., h, w, c].

    Returns:
        int16 of 0 to 255, [..., h, w, c], and bool [..., h, w], False for pixels that
        are not finite; those have level 0.
    """
    if images.dtype == jnp.uint8:
        return images.astype(jnp.int16), jnp.ones(images.shape[:-1], bool)
    finite = jnp.isfinite(images)
    scaled = jnp.round(255 * jnp.clip(jnp.where(finite, images, 0), 0, 1))
    return scaled.astype(jnp.int16), finite.all(-1)


@functools.partial(
    jax.jit, static_argnames=("min_disparity", "disparities", "box", "truncation")
)
def absolute(
    left: jax.Array,
    right: jax.Array,
    *,
    min_disparity: int,
    disparities: int,
    box: int = 3,
    truncation: int = 40,
) -> jax.Array:
    """Returns truncated absolute differences, summed over channels and a box.

    Args:
        left: uint8, or float in [0, 1], [b, h, w, c].
        right: likewise.
        min_disparity: the first one, pixels; may be negative.
        disparities: n, how many there are.
        box: side of the box, pixels; odd.
        truncation: largest difference that counts, of the mean over channels, levels of
            255.

    Returns:
        [b, h, n, w], 0 to box^2 c truncation; int16, or int32 where that is too little.

    Raises:
        UserError: images of different or unusable shapes, no disparity that can be
            seen, an even box, or a truncation that is not 1 to 255.
    """
    check(left, right, min_disparity, disparities, box)
    if not 1 <= truncation <= 255:
        raise errors.UserError(
            f"A truncation is 1 to 255 levels, got {truncation}. Pass 40."
        )
    most = truncation * left.shape[-1]

    def distance(here, there):
        return jnp.minimum(sum(jnp.abs(here - there)), most)

    def of_one(left, right):
        left, right = (
            (jnp.moveaxis(value, -1, 0), seen)
            for value, seen in map(levels, (left, right))
        )
        first, count = min_disparity, disparities
        return _volume(left, right, distance, most, first, count, box)

    return images_in_turns.for_each(of_one, 1)(left, right)


@functools.partial(jax.jit, static_argnames=("min_disparity", "disparities", "box"))
def census(
    left: jax.Array,
    right: jax.Array,
    *,
    min_disparity: int,
    disparities: int,
    box: int = 1,
) -> jax.Array:
    """Returns Hamming distances of the census of 9 x 7 pixels, summed over a box.

    It depends only on which pixels are darker, so the two cameras may differ in
    exposure and contrast.  Colours are averaged, pixels beyond the border repeated.

    Args:
        left: as for `absolute`.
        right: as for `absolute`.
        min_disparity: as for `absolute`.
        disparities: as for `absolute`.
        box: as for `absolute`.

    Returns:
        [b, h, n, w], 0 to 62 box^2; int16, or int32 where that is too little.

    Raises:
        UserError: as `absolute`.
    """
    check(left, right, min_disparity, disparities, box)

    def distance(here, there):
        return sum(lax.population_count(here ^ there).astype(jnp.int16))

    def of_one(left, right):
        left, right = (
            (_census(gray(value)), seen) for value, seen in map(levels, (left, right))
        )
        first, count = min_disparity, disparities
        return _volume(left, right, distance, CENSUS_BITS, first, count, box)

    return images_in_turns.for_each(of_one, 1)(left, right)


def has_contrast(costs: jax.Array, *, min_disparity: int, box: int) -> jax.Array:
    """Returns whether the costs of a pixel speak for one disparity more than another.

    Only those count whose whole box is seen: what lies beside the image costs the most,
    which alone would make disparities that stay in the image the best ones of flat
    areas and of black bars.

    Args:
        costs: as `absolute` or `census` returns them, [b, h, n, w].
        min_disparity: as for `absolute`.
        box: as for `absolute`.

    Returns:
        bool [b, h, w].
    """
    _, _, count, width = costs.shape
    disparity = min_disparity + jnp.arange(count)[:, None]
    match = jnp.arange(width) - disparity
    reach = box // 2
    whole = (match >= reach) & (match < width - reach)
    limits = jnp.iinfo(costs.dtype)
    least = jnp.where(whole, costs, limits.max).min(2)
    return jnp.where(whole, costs, limits.min).max(2) > least


def gray(image: jax.Array) -> jax.Array:
    """Returns the mean of the channels, rounded down.

    Args:
        image: int, [..., h, w, c].

    Returns:
        int32 [..., h, w].
    """
    return image.astype(jnp.int32).sum(-1) // image.shape[-1]


def _census(values):
    """The comparisons as bits, uint32 [words, h, w]."""
    height, width = values.shape
    down, across = (side // 2 for side in _CENSUS)
    padded = jnp.pad(values, ((down, down), (across, across)), mode="edge")
    darker = [
        padded[i : i + height, j : j + width] < values
        for i in range(_CENSUS[0])
        for j in range(_CENSUS[1])
        if (i, j) != (down, across)
    ]
    words = [darker[k : k + _WORD] for k in range(0, len(darker), _WORD)]
    packed = [
        sum(bit.astype(jnp.uint32) << place for place, bit in enumerate(word))
        for word in words
    ]
    return jnp.stack(packed)


def _volume(
    left: tuple[jax.Array, jax.Array],
    right: tuple[jax.Array, jax.Array],
    distance: Callable[[jax.Array, jax.Array], jax.Array],
    most: int,
    first: int,
    count: int,
    box: int,
) -> jax.Array:
    """Distances of two feature maps [c, h, w], [h, w] over disparities, [h, n, w]."""
    reach = box // 2
    height, width = left[1].shape
    fits = most * box**2 <= jnp.iinfo(jnp.int16).max
    kind = jnp.int16 if fits else jnp.int32
    last = first + count - 1
    before, after = reach + max(last, 0), reach + max(-first, 0)
    left = _extended(left, reach, reach, reach)
    right = _extended(right, reach, before, after)

    def plane(disparity):
        start = before - reach - disparity
        there, seen_there = (
            lax.dynamic_slice_in_dim(x, start, width + 2 * reach, axis=-1)
            for x in right
        )
        here, seen_here = left
        cost = jnp.where(seen_here & seen_there, distance(here, there), most)
        cost = cost.astype(kind)
        # Else each distance is computed again for each box that it is in.
        cost = lax.optimization_barrier(cost)
        cost = sum(cost[i : i + height] for i in range(box))
        return sum(cost[:, i : i + width] for i in range(box))

    planes = lax.map(plane, jnp.arange(first, last + 1))
    return planes.transpose(1, 0, 2)


def _extended(features, reach, before, after):
    """Repeats rows at the border; beside them lie columns that nothing is seen in."""
    values, seen = (
        jnp.pad(x, ((0, 0),) * (x.ndim - 2) + ((reach, reach), (0, 0)), mode="edge")
        for x in features
    )
    wide = ((0, 0), (before, after))
    return jnp.pad(values, ((0, 0), *wide)), jnp.pad(seen, wide)


def check(
    left: jax.Array, right: jax.Array, min_disparity: int, disparities: int, box: int
) -> None:
    """Refuses pairs and ranges that cannot be matched.

    Args:
        left: as for `absolute`.
        right: as for `absolute`.
        min_disparity: as for `absolute`.
        disparities: as for `absolute`.
        box: as for `absolute`.

    Raises:
        UserError: as `absolute` says.
    """
    shape = left.shape
    if left.ndim != 4 or right.shape != shape or shape[-1] not in (1, 3) or 0 in shape:
        raise errors.UserError(
            "Stereo matching wants two rectified views [b, h, w, 1 or 3] of the same "
            f"size, got {list(left.shape)} and {list(right.shape)}. Add a batch axis, "
            "or resize one."
        )
    for view in (left, right):
        if view.dtype != jnp.uint8 and not jnp.issubdtype(view.dtype, jnp.floating):
            raise errors.UserError(
                f"Stereo matching wants uint8, or floats in [0, 1], got {view.dtype}. "
                "Cast the images."
            )
    width, last = shape[2], min_disparity + disparities - 1
    if disparities < 1 or min_disparity >= width or last <= -width:
        raise errors.UserError(
            "Stereo matching wants at least one disparity that both views can show, "
            f"between {1 - width} and {width - 1} for {width} columns, got "
            f"{disparities} from {min_disparity} on. Change the range."
        )
    if box < 1 or box % 2 == 0:
        raise errors.UserError(f"A box has an odd side, got {box}. Pass 3.")
