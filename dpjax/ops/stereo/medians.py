"""Medians of the valid disparities around each pixel, plain and guided by an image.

Both are values that are there: of an even number, the lower of the two in the middle,
which is farther away.
"""

import functools

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import images_in_turns
from dpjax.ops.stereo import cost

_ROWS = 16  # at a time: their windows stay in a processor's cache
_WEIGHT = 255  # of a pixel of the same colour; whole weights add up exactly
_BITS = 32


def smooth(values: jax.Array, valid: jax.Array) -> jax.Array:
    """Returns the median of the valid pixels among the 3 x 3 around each valid pixel.

    Args:
        values: float [b, h, w]; finite where they are valid.
        valid: bool [b, h, w].

    Returns:
        [b, h, w]; as they were where they are not valid.

    Raises:
        UserError: arrays that are not maps of the same size.
    """
    _check(values, valid, None)
    height, width = values.shape[1:]
    around = ((0, 0), (1, 1), (1, 1))
    padded = jnp.pad(jnp.where(valid, values, jnp.inf), around, constant_values=jnp.inf)
    window = [
        padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)
    ]
    count = sum(jnp.isfinite(x).astype(jnp.int32) for x in window)
    middle = of_rank(window, jnp.maximum(count - 1, 0) // 2)
    return jnp.where(valid, middle, values)


def of_rank(values: list[jax.Array], rank: jax.Array) -> jax.Array:
    """Returns the smallest values but so many, in each place.

    Args:
        values: arrays of the same shape, without NaN.
        rank: 0 for the smallest, int of that shape.

    Returns:
        Of that shape.
    """
    values = list(values)
    # Odd-even transposition: minima and maxima of whole maps, faster than a sort.
    for turn in range(len(values)):
        for i in range(turn % 2, len(values) - 1, 2):
            low, high = values[i], values[i + 1]
            values[i], values[i + 1] = jnp.minimum(low, high), jnp.maximum(low, high)
    found = values[0]
    for i, value in enumerate(values):
        found = jnp.where(rank == i, value, found)
    return found


@functools.partial(jax.jit, static_argnames=("radius", "stride", "sigma_255"))
def fill(
    values: jax.Array,
    known: jax.Array,
    images: jax.Array,
    *,
    radius: int = 7,
    stride: int = 3,
    sigma_255: float = 10.0,
) -> jax.Array:
    """Returns weighted medians of what is known around each pixel that is not.

    A known pixel q near p weighs exp(-|I_p - I_q| / sigma), the difference being the
    mean over channels, in steps of 1 / 255 (Ma, He, Wei, Sun & Wu, ICCV 2013, with this
    weight).

    Args:
        values: float [b, h, w].
        known: bool [b, h, w].
        images: uint8, or float in [0, 1], [b, h, w, c].
        radius: of the window, samples; its side is 2 radius + 1.
        stride: pixels from sample to sample: occlusions are wider than windows that can
            be looked through pixel by pixel.
        sigma_255: difference of colours that weighs 1 / e, levels of 255.

    Returns:
        [b, h, w]; as they were where they are known, or where nothing within the window
        has a weight.

    Raises:
        UserError: arrays of different sizes, a radius or stride below 1, or a sigma
            that is not positive.
    """
    _check(values, known, images)
    if min(radius, stride) < 1 or not sigma_255 > 0:
        raise errors.UserError(
            "A guided median wants a radius and stride of at least 1 and a positive "
            f"sigma, got {radius}, {stride} and {sigma_255}. Pass 7, 3 and 10."
        )
    channels = images.shape[-1]
    steps = np.arange(_WEIGHT * channels + 1) / (channels * sigma_255)
    table = jnp.asarray(np.round(_WEIGHT * np.exp(-steps)), jnp.int32)
    of_one = functools.partial(_fill_one, radius=radius, stride=stride, table=table)
    return images_in_turns.for_each(of_one, 1)(values, known, images)


def _fill_one(values, known, image, radius, stride, table):
    height, width = values.shape
    side = 2 * radius + 1
    levels = cost.levels(image)[0].astype(jnp.int32)
    keys = _ordered(values.astype(jnp.float32))
    reach = radius * stride
    around = ((reach, reach), (reach, reach))
    keys, seen = jnp.pad(keys, around), jnp.pad(known, around)
    beside = jnp.pad(levels, (*around, (0, 0)))

    def of_row(y):
        def window(array):
            band = lax.dynamic_slice_in_dim(array, y, 2 * reach + 1)[::stride]
            # A loop, as hundreds of slices take a minute to compile.
            columns = stride * jnp.arange(side)
            return lax.map(
                lambda x: lax.dynamic_slice_in_dim(band, x, width, axis=1), columns
            )

        steps = jnp.abs(window(beside) - levels[y]).sum(-1)
        weight = jnp.where(window(seen), table[steps], 0)
        return _weighted_median(window(keys), weight), weight.sum((0, 1))

    found, total = lax.map(of_row, jnp.arange(height), batch_size=_ROWS)
    found = _from_ordered(found).astype(values.dtype)
    return jnp.where(known | (total == 0), values, found)


def _weighted_median(keys, weights):
    """The least key that half of the weight does not exceed, by its bits, [w].

    It is the largest number that has less than half of the weight below it.
    """
    total = weights.sum((0, 1))

    def try_bit(i, found):
        larger = found | (jnp.uint32(1) << (_BITS - 1 - i).astype(jnp.uint32))
        below = jnp.where(keys < larger, weights, 0).sum((0, 1))
        return jnp.where(2 * below < total, larger, found)

    start = jnp.zeros(keys.shape[2:], jnp.uint32)
    return lax.fori_loop(0, _BITS, try_bit, start)


def _ordered(values):
    """float32 as uint32 in the same order."""
    bits = lax.bitcast_convert_type(values, jnp.uint32)
    sign = jnp.uint32(1 << (_BITS - 1))
    return jnp.where(bits >= sign, ~bits, bits | sign)


def _from_ordered(keys):
    sign = jnp.uint32(1 << (_BITS - 1))
    bits = jnp.where(keys >= sign, keys ^ sign, ~keys)
    return lax.bitcast_convert_type(bits, jnp.float32)


def _check(values, valid, images):
    shape = values.shape
    if (
        values.ndim != 3
        or valid.shape != shape
        or valid.dtype != bool
        or not jnp.issubdtype(values.dtype, jnp.floating)
    ):
        raise errors.UserError(
            "Medians want floats [b, h, w] and bool of the same size, got "
            f"{values.dtype} {list(shape)} and {valid.dtype} {list(valid.shape)}."
        )
    if images is not None and (images.ndim != 4 or images.shape[:3] != shape):
        raise errors.UserError(
            f"Values {list(shape)} want images {[*shape, 'c']}, got "
            f"{list(images.shape)}."
        )
