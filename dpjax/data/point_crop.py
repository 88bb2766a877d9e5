"""Pairs of points in random crops, as many for every picture.

A point lies where the centre of its pixel comes to lie, so that it shows what it showed
before the picture was resized, cut and mirrored.
"""

import numpy as np

from dpjax.data import crop_window


def cut(
    points: np.ndarray,
    relation: np.ndarray,
    size: tuple[int, int],
    window: crop_window.Window,
    crop: tuple[int, int],
    *,
    count: int,
    rng: np.random.Generator,
    is_mirrored: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the pairs that a crop of their picture shows.

    Left out are pairs with a point outside of the crop, and those whose points come to
    lie on one pixel.

    Args:
        points: row and column of both points, pixels from 0, int [p, 2, 2].
        relation: which point is farther, -1, 0 or +1, int [p].
        size: height and width of the picture that they belong to, pixels.
        window: from `crop_window.draw`.
        crop: height and width of the crop, pixels.
        count: n, how many pairs there are room for.
        rng: the example's generator; draws which ones where there are more.
        is_mirrored: exchange left and right.

    Returns:
        Points in the crop, int32 [n, 2, 2]; relations, int8 [n]; and whether there is a
        pair, bool [n], first those that are: all else is 0.
    """
    places = np.asarray(points, np.int64).reshape(-1, 2, 2)
    sides = zip(size, window.size, (window.top, window.left), strict=True)
    moved = np.stack(
        [
            crop_window.nearest(places[..., axis], before, after) - start
            for axis, (before, after, start) in enumerate(sides)
        ],
        axis=-1,
    )
    is_inside = ((moved >= 0) & (moved < crop)).all((1, 2))
    shown = np.flatnonzero(is_inside & (moved[:, 0] != moved[:, 1]).any(1))
    if len(shown) > count:
        shown = np.sort(rng.choice(shown, count, replace=False))
    if is_mirrored:
        moved[..., 1] = crop[1] - 1 - moved[..., 1]
    found = np.zeros((count, 2, 2), np.int32)
    told = np.zeros(count, np.int8)
    found[: len(shown)], told[: len(shown)] = moved[shown], relation[shown]
    return found, told, np.arange(count) < len(shown)
