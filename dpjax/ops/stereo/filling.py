"""Disparities for pixels without one, from the nearest pixels in eight directions.

Hirschmueller (TPAMI 2008, section 2.5.3): an occluded pixel belongs to what lies
behind, so it takes the second lowest of the eight disparities; a mismatch takes their
median.  `medians.fill` lets the image decide, where something is near;
`colourisation.fill` solves for a whole map on the host.
"""

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import images_in_turns
from dpjax.ops.stereo import medians, paths


def from_directions(
    values: jax.Array, valid: jax.Array, occluded: jax.Array
) -> jax.Array:
    """Returns the map with its holes filled.

    Args:
        values: disparities, larger is closer, float [b, h, w]; finite where valid.
        valid: bool [b, h, w].
        occluded: which of the others lie behind something, bool [b, h, w].

    Returns:
        [b, h, w]; as they were where they are valid, NaN where no line of the eight
        meets a valid pixel.

    Raises:
        UserError: arrays that are not maps of the same size.
    """
    shape = values.shape
    if (
        values.ndim != 3
        or not jnp.issubdtype(values.dtype, jnp.floating)
        or any(x.shape != shape or x.dtype != bool for x in (valid, occluded))
    ):
        raise errors.UserError(
            "Filling wants floats [b, h, w] and two bool of the same size, got "
            f"{values.dtype} {list(shape)}, {valid.dtype} {list(valid.shape)} and "
            f"{occluded.dtype} {list(occluded.shape)}."
        )
    return images_in_turns.for_each(_fill, 1)(values, valid, occluded)


def _fill(values, valid, occluded):
    known = jnp.where(valid, values, jnp.inf)
    found = []
    for backwards in (False, True):
        found += [x.T for x in _nearest(known.T, paths.ACROSS, backwards)]
        found += _nearest(known, paths.DOWN, backwards)
    count = sum(jnp.isfinite(x).astype(jnp.int32) for x in found)
    behind = jnp.minimum(1, count - 1)
    middle = (count - 1) // 2
    rank = jnp.maximum(jnp.where(occluded, behind, middle), 0)
    filled = medians.of_rank(found, rank)
    filled = jnp.where(count > 0, filled, jnp.nan)
    return jnp.where(valid, values, filled)


def _nearest(known, slants, backwards):
    """The last known value along each path; infinity where there was none."""

    def advance(values, line):
        values = [
            jnp.where(
                jnp.isfinite(line),
                line,
                paths.moved(value, slant, entering=jnp.inf),
            )
            for value, slant in zip(values, slants, strict=True)
        ]
        return values, values

    start = [jnp.full_like(known[0], jnp.inf)] * len(slants)
    return lax.scan(advance, start, known, reverse=backwards)[1]
