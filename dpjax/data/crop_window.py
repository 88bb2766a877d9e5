"""Where a random crop lies in a resized picture, and what of a map lies there.

Pictures are blended when they are resized; maps, such as labels or depth, never are:
each pixel of a crop has the value of the source pixel that its centre falls on.
"""

import dataclasses

import numpy as np

# Beyond the picture; ImageNet's mean colour, which is 0 for the backbones.
OUTSIDE = (124, 116, 104)


@dataclasses.dataclass(frozen=True)
class Window:
    """Where a crop lies in a resized picture.

    Attributes:
        size: height and width of the resized picture, pixels.
        top: row of the crop's first one, negative where it begins outside.
        left: column, likewise.
        scale: factor of the size that was drawn.
    """

    size: tuple[int, int]
    top: int
    left: int
    scale: float = 1.0


def draw(
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    crop: tuple[int, int],
    scales: tuple[float, float] = (1.0, 1.0),
    step: float = 0.0,
) -> Window:
    """Returns where to cut a picture, after resizing it.

    Args:
        size: height and width of the picture at scale 1, pixels.
        rng: the example's generator; three draws.
        crop: height and width of the crop, pixels.
        scales: smallest and largest factor of the size.
        step: distance of the factors that are drawn from; 0 draws from all.

    Returns:
        The window; a picture smaller than the crop lies anywhere inside of it.
    """
    low, high = scales
    count = round((high - low) / step) if step else 0
    scale = low + step * rng.integers(count + 1) if step else rng.uniform(low, high)
    size = tuple(max(1, round(side * scale)) for side in size)
    slack = [side - wanted for side, wanted in zip(size, crop, strict=True)]
    place = [int(rng.integers(min(s, 0), max(s, 0) + 1)) for s in slack]
    return Window(size, *place, float(scale))


def centred(window: Window, pixel: tuple[int, int], crop: tuple[int, int]) -> Window:
    """Returns a window of the same size around a pixel, as far as the picture reaches.

    Args:
        window: from `draw`.
        pixel: row and column in the picture at scale 1.
        crop: height and width of the crop, pixels.

    Returns:
        The window.
    """
    place = []
    for p, side, wanted in zip(pixel, window.size, crop, strict=True):
        middle, slack = int((p + 0.5) * window.scale), side - wanted
        place.append(int(np.clip(middle - wanted // 2, min(slack, 0), max(slack, 0))))
    return dataclasses.replace(window, top=place[0], left=place[1])


def cut_picture(image: np.ndarray, window: Window, crop: tuple[int, int]) -> np.ndarray:
    """Returns a crop of a picture, ImageNet's mean colour beyond it.

    Args:
        image: uint8 RGB, [h, w, 3].
        window: where.
        crop: height and width of the crop, pixels.

    Returns:
        uint8 [*crop, 3].
    """
    (rows, columns), inside = _places(window, crop)
    picture = np.empty((*crop, 3), np.uint8)
    picture[:] = OUTSIDE
    picture[inside] = resize(image, window.size)[
        rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1
    ]
    return picture


def cut_map(
    values: np.ndarray, window: Window, crop: tuple[int, int], outside: float
) -> np.ndarray:
    """Returns a crop of a map by its nearest pixels.

    Args:
        values: [h, w], of the picture's view; its size need not be the picture's.
        window: where.
        crop: height and width of the crop, pixels.
        outside: value beyond the picture.

    Returns:
        [*crop], of the type of `values`.
    """
    places, inside = _places(window, crop)
    found = np.full(crop, outside, values.dtype)
    sources = [
        nearest(along, side, length)
        for along, side, length in zip(places, window.size, values.shape, strict=True)
    ]
    found[inside] = values[np.ix_(*sources)]
    return found


def fit_short_side(size: tuple[int, int], bounds: tuple[int, int]) -> float:
    """Returns the factor that brings the short side of a picture between two bounds.

    Args:
        size: height and width, pixels.
        bounds: least and most pixels of the short side; 0 for no bound.

    Returns:
        The factor, 1 for a picture within the bounds.
    """
    short, (least, most) = min(size), bounds
    wanted = max(short, least)
    return (min(wanted, most) if most else wanted) / short


def nearest(places: np.ndarray, size: int, source: int) -> np.ndarray:
    """Returns which pixels of a source the centres of resized pixels fall on.

    floor((place + 1/2) source / size), in whole numbers.

    Args:
        places: pixels of the resized side, int [n].
        size: its length.
        source: length of the side before.

    Returns:
        int [n], 0 to source - 1.
    """
    return (2 * np.asarray(places) + 1) * source // (2 * size)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns a picture at another size: linear to enlarge, by areas to shrink.

    Args:
        image: uint8 [h, w, 3].
        size: height and width, pixels.

    Returns:
        uint8 [*size, 3].
    """
    import cv2

    if image.shape[:2] == tuple(size):
        return image
    shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, size[::-1], interpolation=how)


def _places(
    window: Window, crop: tuple[int, int]
) -> tuple[list[np.ndarray], tuple[slice, slice]]:
    """Rows and columns of the resized picture in a crop, and where they lie in it."""
    found, inside = [], []
    for start, side, length in zip(
        (window.top, window.left), window.size, crop, strict=True
    ):
        along = start + np.arange(length)
        inside.append(slice(*np.searchsorted(along, (0, side)).tolist()))
        found.append(along[inside[-1]])
    return found, tuple(inside)
