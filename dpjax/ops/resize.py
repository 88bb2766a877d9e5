"""Resampling that equals MATLAB's imresize, bit for bit on uint8 images.

Published super-resolution inputs are made with it, and other bicubic resamplers differ
by up to several gray levels at the border or everywhere.  The kernel is Keys' cubic
with a = -0.5, or a triangle, widened by 1 / scale when shrinking; away from the border
Pillow's resampling is the same but for rounding.  The resampling is separable; each
axis is a sparse linear map whose weights are built in float64 NumPy.
"""

import functools
import math
from typing import Literal, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import errors

Array = TypeVar("Array", np.ndarray, jax.Array)
Border = Literal["reflect", "replicate"]
Kernel = Literal["cubic", "linear"]


def imresize(
    image: Array,
    *,
    scale: float | tuple[float, float] | None = None,
    size: tuple[int, int] | None = None,
    antialias: bool = True,
    border: Border = "reflect",
    pass_round: bool = True,
    kernel: Kernel = "cubic",
    window: tuple[slice, slice] | None = None,
) -> Array:
    """Returns `image` resampled by MATLAB's imresize.

    The axis with the smaller scale goes first, rows on a tie.  uint8 images are rounded
    half up and clipped; floats are neither rounded nor clipped.  NumPy arrays are
    computed in float64; JAX arrays in float32, also under jit.

    Args:
        image: [h, w], [h, w, c] or [b, h, w, c]; uint8 or float.
        scale: output size over input size, for both axes or (rows, columns); the output
            size is the next integer above.
        size: output (rows, columns) in pixels, instead of `scale`.
        antialias: widen the kernel when shrinking.
        border: beyond the edge, "reflect" mirrors the image with its edge pixel
            repeated, "replicate" repeats the edge pixel (older MATLAB).
        pass_round: for uint8, round after each of the two passes as MATLAB does; False
            rounds once, after both.
        kernel: "cubic" or "linear".
        window: rows and columns of the result that are wanted; the others are not
            computed.

    Returns:
        The same kind of array with rows and columns resampled; uint8 for uint8, else
        float64 (NumPy) or float32 (JAX).

    Raises:
        UserError: both or none of `scale` and `size`, a value that is not positive, or
            an image of another number of axes.
    """
    if image.ndim not in (2, 3, 4):
        raise errors.UserError(
            "imresize wants [h, w], [h, w, c] or [b, h, w, c], got "
            f"{list(image.shape)}. Reshape the image."
        )
    first = max(image.ndim - 3, 0)
    lengths = image.shape[first : first + 2]
    scales, sizes = _targets(lengths, scale, size)
    is_host = not isinstance(image, jax.Array)
    is_levels = image.dtype == np.uint8
    out = image.astype(np.float64 if is_host else np.float32)
    axes = (0, 1) if scales[0] <= scales[1] else (1, 0)
    for axis in axes:
        part = slice(None) if window is None else window[axis]
        if scales[axis] == 1.0 and sizes[axis] == lengths[axis]:
            out = out[(slice(None),) * (axis + first) + (part,)]
            continue
        taps = (lengths[axis], sizes[axis], scales[axis], antialias, border, kernel)
        apply = _apply_host if is_host else _apply_device
        out = apply(out, axis + first, taps, part)
        if is_levels and pass_round:
            out = _to_levels(out)
    return _to_levels(out).astype(np.uint8) if is_levels else out


@functools.lru_cache(maxsize=256)
def weights(
    length: int,
    out_length: int,
    scale: float,
    antialias: bool = True,
    border: Border = "reflect",
    kernel: Kernel = "cubic",
) -> tuple[np.ndarray, np.ndarray]:
    """Returns taps along one axis: out[i] = sum_p w[i, p] x[index[i, p]].

    Args:
        length: samples of the input.
        out_length: samples of the output.
        scale: output sampling density over input sampling density.
        antialias: widen the kernel when shrinking.
        border: what lies beyond the edge, as in `imresize`.
        kernel: "cubic" or "linear".

    Returns:
        w float64 [out_length, p], each row summing to 1, and index int64
        [out_length, p]; both read-only.
    """
    shrink = min(scale, 1.0) if antialias else 1.0
    shape, support = _KERNELS[kernel]
    width = support / shrink
    # MATLAB counts from 1; the constants below are its own.
    centre = np.arange(1, out_length + 1) / scale + 0.5 * (1 - 1 / scale)
    left = np.floor(centre - width / 2)
    index = left[:, None] + np.arange(math.ceil(width) + 2)
    w = shrink * shape(shrink * (centre[:, None] - index))
    w /= w.sum(1, keepdims=True)
    index = index.astype(np.int64) - 1
    if border == "reflect":
        index %= 2 * length
        index = np.where(index < length, index, 2 * length - 1 - index)
    elif border == "replicate":
        index = index.clip(0, length - 1)
    else:
        raise errors.unknown_name("border", border, ("reflect", "replicate"))
    used = (w != 0).any(0)
    w, index = np.ascontiguousarray(w[:, used]), np.ascontiguousarray(index[:, used])
    w.setflags(write=False)
    index.setflags(write=False)
    return w, index


def _cubic(t):
    t = np.abs(t)
    near = 1.5 * t**3 - 2.5 * t**2 + 1
    far = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, near, np.where(t <= 2, far, 0.0))


def _linear(t):
    return np.maximum(1 - np.abs(t), 0.0)


_KERNELS = {"cubic": (_cubic, 4.0), "linear": (_linear, 2.0)}


def _targets(lengths, scale, size):
    """The scale and the output length of both axes."""
    if (scale is None) == (size is None):
        raise errors.UserError(
            f"imresize wants either scale or size, got scale={scale}, size={size}. "
            "Pass one of them."
        )
    if size is None:
        pair = scale if isinstance(scale, tuple) else (scale, scale)
        if min(pair) <= 0:
            raise errors.UserError(
                f"imresize wants a positive scale, got {scale}. Pass 0.5 to halve."
            )
        pair = tuple(float(s) for s in pair)
        return pair, tuple(math.ceil(s * n) for s, n in zip(pair, lengths, strict=True))
    if min(size) <= 0:
        raise errors.UserError(
            f"imresize wants a size of at least 1 x 1, got {size}. "
            "Pass (rows, columns)."
        )
    return tuple(m / n for m, n in zip(size, lengths, strict=True)), tuple(size)


def _apply_host(image, axis, taps, part):
    """Sums in MATLAB's order: a tie may fall on either side in another order."""
    w, index = (values[part] for values in weights(*taps))
    shape = [1] * image.ndim
    shape[axis] = len(w)
    out = 0.0
    for p in range(w.shape[1]):
        out = out + w[:, p].reshape(shape) * image.take(index[:, p], axis=axis)
    return out


def _apply_device(image, axis, taps, part):
    w, index = (values[part] for values in weights(*taps))
    dense = np.zeros((len(w), taps[0]))
    np.add.at(dense, (np.arange(len(w))[:, None], index), w)
    out = jnp.tensordot(
        image, jnp.asarray(dense, jnp.float32), (axis, 1), precision="highest"
    )
    return jnp.moveaxis(out, -1, axis)


def _to_levels(image):
    xp = jnp if isinstance(image, jax.Array) else np
    return xp.clip(xp.floor(image + 0.5), 0, 255)
