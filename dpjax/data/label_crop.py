"""Random crops of a picture and its labels at a random size.

Labels are never blended: each pixel of the crop has the label of the source pixel that
its centre falls on.  Where a crop reaches beyond the picture it has no labels.
"""

import dataclasses

import numpy as np

from dpjax.data import label_files

# Beyond the picture; ImageNet's mean colour, which is 0 for the backbones.
_OUTSIDE = (124, 116, 104)


@dataclasses.dataclass(frozen=True)
class Window:
    """Where a crop lies in a resized picture.

    Attributes:
        size: height and width of the resized picture, pixels.
        top: row of the crop's first one, negative where it begins outside.
        left: column, likewise.
    """

    size: tuple[int, int]
    top: int
    left: int


def draw_window(
    labels: np.ndarray,
    rng: np.random.Generator,
    *,
    crop: tuple[int, int],
    scales: tuple[float, float] = (1.0, 1.0),
    step: float = 0.0,
    by_class: bool = False,
) -> Window:
    """Returns where to cut a picture, after resizing it.

    Args:
        labels: of the picture, [h, w].
        rng: the example's generator.
        crop: height and width of the crop, pixels.
        scales: smallest and largest factor of the size.
        step: distance of the factors that are drawn from; 0 draws from all.
        by_class: the crop has a pixel of a class in its middle, as far as the picture
            reaches; all classes of the picture are equally likely (RefineNet's code).

    Returns:
        The window; a picture smaller than the crop lies anywhere inside of it.
    """
    low, high = scales
    count = round((high - low) / step) if step else 0
    scale = low + step * rng.integers(count + 1) if step else rng.uniform(low, high)
    size = tuple(max(1, round(side * scale)) for side in labels.shape)
    slack = [side - wanted for side, wanted in zip(size, crop, strict=True)]
    place = [int(rng.integers(min(s, 0), max(s, 0) + 1)) for s in slack]
    if by_class:
        pixel = _pixel_of_a_class(labels, rng)
        if pixel is not None:
            middle = [int((p + 0.5) * scale) for p in pixel]
            place = [
                int(np.clip(m - wanted // 2, min(s, 0), max(s, 0)))
                for m, wanted, s in zip(middle, crop, slack, strict=True)
            ]
    return Window(size, *place)


def cut(
    image: np.ndarray,
    labels: np.ndarray,
    window: Window,
    crop: tuple[int, int],
    *,
    is_mirrored: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns a crop of a picture and of its labels.

    Args:
        image: uint8 RGB, [h, w, 3].
        labels: uint8 [h, w].
        window: from `draw_window`.
        crop: height and width of the crop, pixels.
        is_mirrored: exchange left and right.

    Returns:
        uint8 [*crop, 3] and uint8 [*crop]; `label_files.IGNORE` beyond the picture.
    """
    resized = resize(image, window.size)
    rows, columns = (
        start + np.arange(length)
        for start, length in zip((window.top, window.left), crop, strict=True)
    )
    inside = [
        slice(*np.searchsorted(places, (0, side)))
        for places, side in zip((rows, columns), window.size, strict=True)
    ]
    rows, columns = rows[inside[0]], columns[inside[1]]
    picture = np.empty((*crop, 3), np.uint8)
    picture[:] = _OUTSIDE
    picture[tuple(inside)] = resized[
        rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1
    ]
    named = np.full(crop, label_files.IGNORE, np.uint8)
    sources = [
        nearest(places, side, length)
        for places, side, length in zip(
            (rows, columns), window.size, labels.shape, strict=True
        )
    ]
    named[tuple(inside)] = labels[np.ix_(*sources)]
    if is_mirrored:
        picture, named = picture[:, ::-1], named[:, ::-1]
    return np.ascontiguousarray(picture), np.ascontiguousarray(named)


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


def _pixel_of_a_class(
    labels: np.ndarray, rng: np.random.Generator
) -> tuple[int, int] | None:
    present = np.flatnonzero(
        np.bincount(labels.ravel(), minlength=256)[: label_files.IGNORE]
    )
    if not len(present):
        return None
    places = np.flatnonzero(labels == rng.choice(present))
    return divmod(int(rng.choice(places)), labels.shape[1])
