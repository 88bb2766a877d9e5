"""Blur kernels of MATLAB's fspecial and the blur of imfilter.

Kernels are float64 NumPy, non-negative and sum to 1.  The blur repeats edge pixels
beyond the border and keeps the size.
"""

import math
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import errors

Array = TypeVar("Array", np.ndarray, jax.Array)


def disk(radius: float) -> np.ndarray:
    """Returns the kernel of a lens out of focus: the share of each pixel in a circle.

    Args:
        radius: of the circle, in pixels.

    Returns:
        float64 [n, n] with n = 2 ceil(radius - 0.5) + 1.

    Raises:
        UserError: the radius is not positive.
    """
    if radius <= 0:
        raise errors.UserError(f"disk wants a positive radius, got {radius}. Pass 7.")
    reach = math.ceil(radius - 0.5)
    edges = np.arange(-reach, reach + 2) - 0.5
    corner = _quadrant_area(edges[:, None], edges[None, :], float(radius))
    area = corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1]
    area = np.maximum(area, 0.0)
    # Differences of areas leave 1e-16 where a pixel lies outside.
    gap = np.maximum(np.abs(np.arange(-reach, reach + 1)) - 0.5, 0.0)
    area[np.hypot(gap[:, None], gap[None, :]) >= radius] = 0.0
    return area / area.sum()


def gaussian(size: int, sigma: float) -> np.ndarray:
    """Returns exp(-(i^2 + j^2) / (2 sigma^2)) over a square window, normalised.

    Args:
        size: side of the window, in pixels; odd.
        sigma: standard deviation, in pixels.

    Returns:
        float64 [size, size].

    Raises:
        UserError: an even size, or a sigma that is not positive.
    """
    if size < 1 or size % 2 == 0 or sigma <= 0:
        raise errors.UserError(
            f"gaussian wants an odd size and a positive sigma, got {size}, {sigma}. "
            "Pass for example 25 and 1.6."
        )
    square = (np.arange(size) - size // 2) ** 2
    weight = np.exp(-(square[:, None] + square[None, :]) / (2.0 * sigma**2))
    weight[weight < np.finfo(float).eps * weight.max()] = 0.0
    return weight / weight.sum()


def motion(length: float, angle_deg: float) -> np.ndarray:
    """Returns the kernel of a straight camera motion.

    The weight of a pixel is max(0, 1 - its distance to the segment), the segment being
    centred, length - 1 long and turned counter-clockwise.

    Args:
        length: of the motion, in pixels.
        angle_deg: direction, in degrees counter-clockwise from the rows.

    Returns:
        float64, odd sides, trimmed to the pixels that carry weight.

    Raises:
        UserError: the length is below 1.
    """
    if length < 1:
        raise errors.UserError(
            f"motion wants a length of at least 1 pixel, got {length}. Pass 15."
        )
    half = (length - 1) / 2.0
    turn = math.radians(angle_deg % 180.0)
    reach = math.ceil(half + 1)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    # Rows count downwards, angles upwards.
    along = columns * math.cos(turn) - rows * math.sin(turn)
    across = columns * math.sin(turn) + rows * math.cos(turn)
    distance = np.hypot(np.maximum(np.abs(along) - half, 0.0), across)
    weight = np.maximum(0.0, 1.0 - distance)
    weight[weight < np.finfo(float).eps * 10] = 0.0  # cos(90 degrees) is 6e-17
    used = np.argwhere(weight > 0)
    keep = np.abs(used - reach).max(0)
    rows, columns = (slice(reach - k, reach + k + 1) for k in keep)
    weight = weight[rows, columns]
    return weight / weight.sum()


def blur(image: Array, kernel: np.ndarray) -> Array:
    """Returns the convolution of each channel with `kernel`, edge pixels repeated.

    Args:
        image: [h, w, c]; floats of any scale.
        kernel: float [kh, kw], odd sides.

    Returns:
        [h, w, c]; float64 for NumPy, float32 for JAX.

    Raises:
        UserError: another number of axes, or a kernel with an even side.
    """
    if image.ndim != 3 or kernel.ndim != 2 or not all(n % 2 for n in kernel.shape):
        raise errors.UserError(
            "blur wants an image [h, w, c] and a kernel with odd sides, got "
            f"{list(image.shape)} and {list(kernel.shape)}. Add an axis or a zero row."
        )
    if isinstance(image, jax.Array):
        return _blur_device(image, kernel)
    from scipy import ndimage

    planes = np.moveaxis(image.astype(np.float64), -1, 0)
    out = [ndimage.convolve(plane, kernel, mode="nearest") for plane in planes]
    return np.stack(out, axis=-1)


def _blur_device(image, kernel):
    up, left = (n // 2 for n in kernel.shape)
    padded = jnp.pad(image, ((up, up), (left, left), (0, 0)), mode="edge")
    planes = jnp.moveaxis(padded.astype(jnp.float32), -1, 0)[:, None]
    # XLA's "convolution" is a correlation, hence the flip.
    taps = jnp.asarray(kernel[::-1, ::-1], jnp.float32)[None, None]
    out = jax.lax.conv(planes, taps, (1, 1), "VALID", precision="highest")
    return jnp.moveaxis(out[:, 0], 0, -1)


def _quadrant_area(x, y, radius):
    """Area of the disc left of x and below y, by the antiderivative of its edge."""

    def under(u):  # integral of sqrt(r^2 - t^2) from 0 to u
        u = np.clip(u, -radius, radius)
        root = np.sqrt(np.maximum(radius**2 - u**2, 0.0))
        return 0.5 * (u * root + radius**2 * np.arcsin(u / radius))

    x, y = np.broadcast_arrays(np.clip(x, -radius, radius), np.clip(y, -radius, radius))
    chord = np.sqrt(np.maximum(radius**2 - y**2, 0.0))  # |t| < chord: edge beyond |y|
    # Columns t < x: height of {s < y, |s| < edge(t)} is y + edge(t) within the chord,
    # and 2 edge(t) or 0 outside it.
    inner = np.clip(x, -chord, chord)
    within = y * (inner + chord) + under(inner) - under(-chord)
    outside = under(np.minimum(x, -chord)) - under(-radius)
    outside = outside + np.where(x > chord, under(x) - under(chord), 0.0)
    return within + np.where(y > 0, 2.0 * outside, 0.0)
