"""Random crops of a picture and its labels at a random size.

Labels are never blended: each pixel of the crop has the label of the source pixel that
its centre falls on.  Where a crop reaches beyond the picture it has no labels.
"""

import numpy as np

from dpjax.data import crop_window, label_files


def draw_window(
    labels: np.ndarray,
    rng: np.random.Generator,
    *,
    crop: tuple[int, int],
    scales: tuple[float, float] = (1.0, 1.0),
    step: float = 0.0,
    by_class: bool = False,
    short_side: tuple[int, int] = (0, 0),
) -> crop_window.Window:
    """Returns where to cut a picture, after resizing it.

    Args:
        labels: of the picture, [h, w].
        rng: the example's generator.
        crop: height and width of the crop, pixels.
        scales: smallest and largest factor of the size.
        step: distance of the factors that are drawn from; 0 draws from all.
        by_class: the crop has a pixel of a class in its middle, as far as the picture
            reaches; all classes of the picture are equally likely (RefineNet's code).
        short_side: least and most pixels of the picture's short side, to which it is
            brought before `scales` counts; 0 for no bound.

    Returns:
        The window; a picture smaller than the crop lies anywhere inside of it.
    """
    fit = crop_window.fit_short_side(labels.shape, short_side)
    scales = (fit * scales[0], fit * scales[1])
    window = crop_window.draw(
        labels.shape, rng, crop=crop, scales=scales, step=fit * step
    )
    pixel = _pixel_of_a_class(labels, rng) if by_class else None
    return window if pixel is None else crop_window.centred(window, pixel, crop)


def cut(
    image: np.ndarray,
    labels: np.ndarray,
    window: crop_window.Window,
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
    picture = crop_window.cut_picture(image, window, crop)
    named = crop_window.cut_map(labels, window, crop, label_files.IGNORE)
    if is_mirrored:
        picture, named = picture[:, ::-1], named[:, ::-1]
    return np.ascontiguousarray(picture), np.ascontiguousarray(named)


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
