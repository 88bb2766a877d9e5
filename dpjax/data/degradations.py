"""All degradations by name, and training on several of them at once."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from dpjax import errors
from dpjax.data import degradation, overlays, quality, weather

Degradation = degradation.Degradation
GaussianNoise = quality.GaussianNoise
Bicubic = quality.Bicubic
Jpeg = quality.Jpeg
Blur = quality.Blur
TextMask = overlays.TextMask
ScratchMask = overlays.ScratchMask
Haze = weather.Haze

TYPES: tuple[type[Degradation], ...] = (
    GaussianNoise,
    Bicubic,
    Jpeg,
    Blur,
    TextMask,
    ScratchMask,
    Haze,
)


def context(degradations: Sequence[Degradation]) -> tuple[int, int]:
    """Returns the margin and the alignment of crops that suit all of some degradations.

    Args:
        degradations: those that a crop may meet.

    Returns:
        Margin in pixels, a multiple of the alignment, so that an image padded by it
        keeps its grid; and the alignment.
    """
    align = math.lcm(*(d.align for d in degradations))
    margin = max((d.margin for d in degradations), default=0)
    return -(-margin // align) * align, align


def degrade_batch(
    degradations: Sequence[Degradation],
    clean: jax.Array,
    kind: jax.Array,
    keys: jax.Array,
    degraded: jax.Array | None = None,
) -> jax.Array:
    """Returns each image degraded in its own way, on the device.

    Every device degradation is computed for the whole batch and the wanted one chosen:
    shapes stay static, and the operators cost little beside a network.

    Args:
        degradations: those that `kind` counts.
        clean: float32 [b, h, w, c] in [0, 1].
        kind: which degradation each image gets, int32 [b].
        keys: one PRNG key for each image, [b].
        degraded: results of the degradations that run on the host, uint8 [b, h, w, c];
            read where `kind` says one of those.

    Returns:
        float32 [b, h, w, c].

    Raises:
        UserError: a degradation runs on the host and `degraded` is missing.
    """
    out = clean
    for i, operator in enumerate(degradations):
        if not operator.on_host:
            candidate = jax.vmap(operator.apply)(clean, keys)
        elif degraded is not None:
            candidate = degraded.astype(jnp.float32) / 255.0
        else:
            raise errors.UserError(
                f"{operator.label} runs on the host and its images are missing. Pass "
                "what apply_host gave as degraded."
            )
        chosen = (kind == i)[:, None, None, None]
        out = jnp.where(chosen, candidate, out)
    return out
