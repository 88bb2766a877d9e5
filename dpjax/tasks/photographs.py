"""Photographs on their way into networks, as tasks that look at them share it."""

import jax
import numpy as np
from jax import numpy as jnp

from dpjax import config
from dpjax.ops import jitter


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
