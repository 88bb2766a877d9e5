"""The colour planes of a photograph that a restoration network sees.

Denoising works on rgb2gray, super-resolution and JPEG on the luma of rgb2ycbcr, the
other tasks on RGB (Mao, Shen & Yang, NIPS 2016, and its released code).
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from dpjax.ops import colour

Space = Literal["gray", "y", "rgb"]
Merge = Callable[[list[np.ndarray]], np.ndarray]


def channels(space: Space) -> int:
    """Returns how many channels a network of this space has.

    Args:
        space: "gray", "y" or "rgb".

    Returns:
        1 or 3.
    """
    return 3 if space == "rgb" else 1


def take(image: np.ndarray, space: Space) -> np.ndarray:
    """Returns a photograph in one of the spaces.

    Args:
        image: RGB, uint8 or float in [0, 1], [..., 3].
        space: "gray", "y" (16..235 of 255) or "rgb".

    Returns:
        [..., 1 or 3]; uint8 for uint8 (rounded as MATLAB rounds), else floats.
    """
    if space == "gray":
        return colour.rgb_to_gray(image)
    if space == "y":
        return colour.rgb_to_luma(image)
    return image


def split(image: np.ndarray, space: Space) -> tuple[list[np.ndarray], Merge]:
    """Returns what a network must see of a picture, and how to put it together again.

    A gray network restores each channel by itself; a luma network restores Y and leaves
    the colour differences as they are; an RGB network sees a gray picture three times.

    Args:
        image: float32 [h, w, 1 or 3] in [0, 1].
        space: of the network.

    Returns:
        Inputs, float32 [h, w, c] each, and the function from the list of outputs to the
        picture, float32 [h, w, 1 or 3], clipped to [0, 1].
    """
    if space == "gray":
        parts = [image[..., i : i + 1] for i in range(image.shape[-1])]
        return parts, lambda out: _clip(np.concatenate(out, axis=-1))
    is_gray = image.shape[-1] == 1
    rgb = np.repeat(image, 3, axis=-1) if is_gray else image
    if space == "rgb":
        if is_gray:
            return [rgb], lambda out: _clip(out[0].mean(-1, keepdims=True))
        return [rgb], lambda out: _clip(out[0])
    ycbcr = colour.rgb_to_ycbcr(rgb.astype(np.float64))

    def merge(out: list[np.ndarray]) -> np.ndarray:
        whole = np.concatenate([out[0], ycbcr[..., 1:]], axis=-1)
        merged = _clip(colour.ycbcr_to_rgb(whole))
        return merged[..., :1] if is_gray else merged

    return [ycbcr[..., :1].astype(np.float32)], merge


def _clip(image: np.ndarray) -> np.ndarray:
    return np.clip(image, 0.0, 1.0).astype(np.float32)
