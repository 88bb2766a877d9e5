"""Crops and the eight symmetries of the square, on uint8 images of the host.

`dihedral` works on NumPy and JAX arrays alike, so that training, self-ensembles and
tests mean the same thing by index 5.
"""

from collections.abc import Mapping
from typing import Literal, TypeVar

import numpy as np

Array = TypeVar("Array")
SYMMETRIES = 8


def dihedral(image: Array, index: int) -> Array:
    """Returns one of the eight flips and rotations of an image.

    Bit 2 of `index` transposes, then bit 1 flips the rows, then bit 0 the columns.

    Args:
        image: NumPy or JAX array, [..., h, w, c].
        index: 0 (unchanged) to 7, static.

    Returns:
        The image, [..., h, w, c], or [..., w, h, c] for 4 to 7.

    Raises:
        ValueError: `index` is not in 0 ... 7.
    """
    _check_index(index)
    if index & 4:
        image = image.swapaxes(-3, -2)
    if index & 2:
        image = image[..., ::-1, :, :]
    if index & 1:
        image = image[..., ::-1, :]
    return image


def dihedral_inverse(image: Array, index: int) -> Array:
    """Returns the image that `dihedral` turned into this one.

    Args:
        image: NumPy or JAX array, [..., h, w, c].
        index: what was given to `dihedral`, 0 to 7, static.

    Returns:
        The image before, same type.

    Raises:
        ValueError: `index` is not in 0 ... 7.
    """
    _check_index(index)
    if index & 1:
        image = image[..., ::-1, :]
    if index & 2:
        image = image[..., ::-1, :, :]
    if index & 4:
        image = image.swapaxes(-3, -2)
    return image


def random_dihedral(
    images: Mapping[str, np.ndarray], rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Returns images under one random flip or rotation that keeps their shape.

    Args:
        images: [h, w, c] by name, all of one height and width.
        rng: the example's generator; one draw.

    Returns:
        [h, w, c] by the same names; one of eight symmetries if the images are square,
        of four if not.
    """
    height, width = next(iter(images.values())).shape[:2]
    index = int(rng.integers(SYMMETRIES if height == width else 4))
    return {
        name: np.ascontiguousarray(dihedral(image, index))
        for name, image in images.items()
    }


def random_crop(
    image: np.ndarray,
    size: tuple[int, int],
    *,
    rng: np.random.Generator,
    margin: int = 0,
    align: int = 1,
    border: Literal["symmetric", "edge"] = "symmetric",
) -> np.ndarray:
    """Returns a random crop together with its surroundings.

    Degrading the crop with its margin and cutting the margin off equals degrading the
    whole image and cropping, if the margin covers the operator's reach, the origin is
    a multiple of its stride, and `border` is how it continues the image.

    Args:
        image: [h, w, c]; cut at the right and bottom to a multiple of `align` first.
        size: height and width of the crop without margin, pixels.
        rng: the example's generator; two draws.
        margin: pixels around the crop.
        align: the crop's origin is a multiple of this.
        border: how the image continues beyond its sides; an image smaller than the
            crop is continued to the crop's size at the right and bottom.

    Returns:
        [size[0] + 2 margin, size[1] + 2 margin, c], same type.

    Raises:
        ValueError: the image is empty, or smaller than `align`.
    """
    if min(image.shape[:2]) < align:
        raise ValueError(
            f"The image must have at least {align}x{align} pixels to crop at multiples "
            f"of {align}, got {image.shape[0]}x{image.shape[1]}."
        )
    rows, row_pad = _window(image.shape[0], size[0], margin, align, rng)
    columns, column_pad = _window(image.shape[1], size[1], margin, align, rng)
    crop = image[rows, columns]
    if any(row_pad) or any(column_pad):
        crop = np.pad(crop, (row_pad, column_pad, (0, 0)), mode=border)
    return np.ascontiguousarray(crop)


def _window(
    length: int, size: int, margin: int, align: int, rng: np.random.Generator
) -> tuple[slice, tuple[int, int]]:
    """What to cut along one axis, and how much to add before and after."""
    length -= length % align
    origin = align * int(rng.integers(max(0, length - size) // align + 1))
    first, last = origin - margin, origin + size + margin
    inside = slice(max(first, 0), min(last, length))
    return inside, (max(-first, 0), max(last - length, 0))


def _check_index(index: int) -> None:
    if index not in range(SYMMETRIES):
        raise ValueError(f"A symmetry of the square is 0 to 7, got {index}.")
