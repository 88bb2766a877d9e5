"""Colour conversions with MATLAB's definitions (rgb2gray, rgb2ycbcr, ycbcr2rgb).

Published restoration scores use these.  JPEG's full-range YCbCr is another matrix and
is not offered here, so that the two cannot be mixed.  Every function takes NumPy and
JAX arrays and keeps the kind: NumPy is computed in float64, JAX in float32.  uint8 in
gives uint8 out, rounded half up; floats are in [0, 1] and are neither rounded nor
clipped.
"""

from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import errors

Array = TypeVar("Array", np.ndarray, jax.Array)

# Luminance row of the inverse NTSC matrix that MATLAB's rgb2gray uses.
_GRAY = np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])

# ITU-R BT.601 on a scale where R, G, B are in [0, 1] and the result in 0..255.
_YCBCR = np.array(
    [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]]
)
_YCBCR_OFFSET = np.array([16.0, 128.0, 128.0])
_RGB = np.linalg.inv(_YCBCR)


def rgb_to_gray(image: Array) -> Array:
    """Returns the gray picture of rgb2gray, 0.2989 R + 0.5870 G + 0.1140 B.

    Args:
        image: RGB, [..., 3], uint8 or float in [0, 1].

    Returns:
        [..., 1]; uint8 for uint8, else floats.

    Raises:
        UserError: the last axis is not 3.
    """
    return _convert(image, _GRAY[None], np.zeros(3), np.zeros(1))


def rgb_to_luma(image: Array) -> Array:
    """Returns Y of rgb2ycbcr, (16 + 65.481 R + 128.553 G + 24.966 B) / 255.

    Args:
        image: RGB, [..., 3], uint8 or float in [0, 1].

    Returns:
        [..., 1]; uint8 in 16..235 for uint8, else floats in [16 / 255, 235 / 255].

    Raises:
        UserError: the last axis is not 3.
    """
    return _to_ycbcr(image, 1)


def rgb_to_ycbcr(image: Array) -> Array:
    """Returns Y, Cb, Cr of rgb2ycbcr (Y 16..235, Cb and Cr 16..240 of 255).

    Args:
        image: RGB, [..., 3], uint8 or float in [0, 1].

    Returns:
        [..., 3]; uint8 for uint8, else floats.

    Raises:
        UserError: the last axis is not 3.
    """
    return _to_ycbcr(image, 3)


def ycbcr_to_rgb(image: Array) -> Array:
    """Returns R, G, B of ycbcr2rgb, the inverse of `rgb_to_ycbcr`.

    Args:
        image: Y, Cb, Cr, [..., 3], uint8 or float in [0, 1].

    Returns:
        [..., 3]; uint8 (clipped) for uint8; floats are not clipped.

    Raises:
        UserError: the last axis is not 3.
    """
    return _convert(image, _RGB * 255.0, _YCBCR_OFFSET / 255.0, np.zeros(3))


def _to_ycbcr(image, rows):
    """The first `rows` of Y, Cb, Cr."""
    if image.dtype != np.uint8:
        matrix = _YCBCR[:rows] / 255.0
        return _convert(image, matrix, np.zeros(3), _YCBCR_OFFSET[:rows] / 255.0)
    # In whole thousandths, since floats put ties such as 115.5 on either side.
    _check(image)
    xp = jnp if isinstance(image, jax.Array) else np
    thousandths = np.rint(_YCBCR[:rows] * 1000).astype(np.int32)
    r, g, b = (image[..., i].astype(np.int32) for i in range(3))
    one = 1000 * 255
    out = [
        int(end)
        + (2 * (int(row[0]) * r + int(row[1]) * g + int(row[2]) * b) + one) // (2 * one)
        for row, end in zip(thousandths, _YCBCR_OFFSET, strict=False)
    ]
    return xp.stack(out, axis=-1).astype(np.uint8)


def _check(image):
    if image.ndim < 1 or image.shape[-1] != 3:
        raise errors.UserError(
            f"A colour conversion wants an image [..., 3], got {list(image.shape)}. "
            "Repeat a gray channel three times, or do not convert it."
        )


def _convert(image, matrix, before, after):
    """matrix (image - before) + after over the last axis, in the kind of `image`."""
    _check(image)
    xp, dtype = (jnp, jnp.float32) if isinstance(image, jax.Array) else (np, np.float64)
    scale = 255.0 if image.dtype == np.uint8 else 1.0
    values = image.astype(dtype) - before.astype(dtype) * dtype(scale)
    # Products and sums, not a matmul: accelerators round the inputs of a matmul.
    rows = [
        sum(values[..., i] * dtype(row[i]) for i in range(3)) + dtype(end * scale)
        for row, end in zip(matrix, after, strict=True)
    ]
    out = xp.stack(rows, axis=-1)
    if image.dtype == np.uint8:
        out = xp.clip(xp.floor(out + dtype(0.5)), 0, 255).astype(np.uint8)
    return out
