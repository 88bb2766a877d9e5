"""Random crops of any share of a picture, at one size: the usual way to ImageNet.

Szegedy et al. (CVPR 2015), with the numbers of the Torch code that the ResNets and
"Wider or Deeper" were trained with.
"""

import math

import numpy as np

TRIES = 10


def draw_window(
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    area: tuple[float, float] = (0.08, 1.0),
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> tuple[int, int, int, int]:
    """Returns where to cut a picture.

    Ten times a share of the area and a ratio of the sides are drawn, the sides swapped
    half of the time; the first window that fits is placed anywhere.  If none fits it is
    the largest square in the middle.

    Args:
        size: height and width of the picture, pixels.
        rng: the example's generator.
        area: smallest and largest share of the picture's area, drawn uniformly.
        aspect: smallest and largest ratio of the sides, drawn uniformly.

    Returns:
        Top, left, height, width, pixels.
    """
    for _ in range(TRIES):
        pixels = rng.uniform(*area) * size[0] * size[1]
        ratio = rng.uniform(*aspect)
        sides = round(math.sqrt(pixels * ratio)), round(math.sqrt(pixels / ratio))
        if rng.random() < 0.5:
            sides = sides[::-1]
        if 1 <= sides[0] <= size[0] and 1 <= sides[1] <= size[1]:
            top = int(rng.integers(size[0] - sides[0] + 1))
            left = int(rng.integers(size[1] - sides[1] + 1))
            return top, left, *sides
    side = min(size)
    return (size[0] - side) // 2, (size[1] - side) // 2, side, side


def cut(image: np.ndarray, window: tuple[int, int, int, int], side: int) -> np.ndarray:
    """Returns a window of a picture at another size, bicubic, without aliasing.

    Args:
        image: uint8 RGB, [h, w, 3].
        window: top, left, height, width, pixels.
        side: height and width of the result.

    Returns:
        uint8 [side, side, 3].
    """
    import PIL.Image

    top, left, height, width = window
    part = np.ascontiguousarray(image[top : top + height, left : left + width])
    # OpenCV's bicubic has another kernel, and skips pixels when it shrinks.
    picture = PIL.Image.fromarray(part)
    return np.array(picture.resize((side, side), PIL.Image.Resampling.BICUBIC))
