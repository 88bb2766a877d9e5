"""Photographs on their way into networks, as tasks that look at them share it."""

import itertools
import math
from collections.abc import Sequence

import jax
import numpy as np
from jax import numpy as jnp

from dpjax import config, errors
from dpjax.ops import jitter

_STEP = 16  # pixels; sides are multiples, so that 240 x 320 can be turned
_SHORTEST = 32  # pixels, as the coarsest maps of most networks want
_SAME_ASPECT = 0.03  # natural logarithm; nobody sees a picture squeezed by less


def check_upright(evaluation: config.Evaluation, advice: str = "Leave it out.") -> None:
    """Raises if photographs were to be turned.

    Args:
        evaluation: of the run.
        advice: what to do about it, a sentence.

    Raises:
        UserError: the self-ensemble, which turns and mirrors images in eight ways.
    """
    if evaluation.ensemble:
        raise errors.UserError(
            "The self-ensemble turns images upside down, which rooms and streets never "
            f"are. {advice}"
        )


def rules(
    size: Sequence[int], zooms: tuple[float, float], jitter: float
) -> tuple[config.Rule, ...]:
    """Returns what the fields of a task must be that say how photographs are shown.

    Args:
        size: height and width that they are brought to first, or none.
        zooms: smallest and largest factor of a training image's size.
        jitter: largest change of colours.

    Returns:
        For `config.check_rules`.
    """
    return (
        (
            "size",
            size,
            "height and width, or none",
            lambda v: not v or (len(v) == 2 and min(v) >= 1),
        ),
        ("zooms", zooms, "rising, above 0", lambda v: 0 < v[0] <= v[1]),
        ("jitter", jitter, "in [0, 1]", lambda v: 0 <= v <= 1),
    )


def batch_spec(
    data: config.Data, batch_size: int, **targets: jnp.dtype
) -> dict[str, jax.ShapeDtypeStruct]:
    """Returns shapes and types of a batch of crops with targets for their pixels.

    Args:
        data: crop size.
        batch_size: leading axis.
        **targets: type of each target, which has a number for every pixel.

    Returns:
        image, the targets, valid, position.
    """
    shapes = {
        "image": ((*data.crop, 3), jnp.uint8),
        **{name: (tuple(data.crop), dtype) for name, dtype in targets.items()},
        "valid": ((), jnp.bool_),
        "position": ((), jnp.int32),
    }
    return {
        name: jax.ShapeDtypeStruct((batch_size, *shape), dtype)
        for name, (shape, dtype) in shapes.items()
    }


def coloured(images: jax.Array, keys: jax.Array, strength: float) -> jax.Array:
    """Returns images under random colours, on the device.

    Args:
        images: RGB, uint8 [b, h, w, 3].
        keys: one PRNG key for each, [b].
        strength: largest change of brightness, contrast and saturation; 0 for none.

    Returns:
        float32 [b, h, w, 3] in [0, 1].
    """
    images = images.astype(jnp.float32) / 255
    if not strength:
        return images
    return jnp.clip(jitter.jitter(images, keys, strength), 0, 1)


def in_8_bits(image: np.ndarray) -> np.ndarray:
    """Returns a user's picture as records have theirs.

    Args:
        image: [h, w, 1 or 3] in [0, 1]; what is outside is cut off.

    Returns:
        RGB, uint8 [h, w, 3]; grey is repeated.
    """
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(levels, (*levels.shape[:2], 3)))


def size_for(
    shape: tuple[int, int],
    size: Sequence[int],
    image_size: tuple[int, int] | None = None,
) -> tuple[int, ...]:
    """Returns the size at which a network is to see a user's photograph.

    Networks learn at one size, into which a portrait or a panorama would be squeezed.
    They see it with its own aspect instead, at about as many pixels: sides are
    multiples of 16, and of those around the exact ones the pair of the nearest aspect.

    Args:
        shape: height and width of the photograph, pixels.
        size: what the network learned at; none where it sees every image as it is.
        image_size: the only size that the network takes, if there is one.

    Returns:
        Height and width, pixels; `size` itself where the aspect is the same within 3 %,
        where there is none, and where the network takes only one.
    """
    if not size or image_size is not None:
        return tuple(size)
    aspect, pixels = shape[0] / shape[1], size[0] * size[1]
    if abs(math.log(aspect * size[1] / size[0])) <= _SAME_ASPECT:
        return tuple(size)
    # A strip may be thinner than the least side; it must not become longer for that.
    longest = max(pixels / _SHORTEST, _SHORTEST)
    height = min(max(math.sqrt(pixels * aspect), _SHORTEST), longest)
    sides = (_around(side) for side in (height, max(pixels / height, _SHORTEST)))

    def misses(pair: tuple[int, int]) -> tuple[float, float]:
        rows, columns = pair
        off = abs(math.log(rows / columns / aspect))
        return off, abs(math.log(rows * columns / pixels))

    return min(itertools.product(*sides), key=misses)


def _around(side: float) -> set[int]:
    """The multiples of the step next to a side, none too short."""
    steps = (math.floor(side / _STEP), math.ceil(side / _STEP))
    return {max(_STEP * count, _SHORTEST) for count in steps}
