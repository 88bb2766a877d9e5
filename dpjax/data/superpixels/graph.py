"""Which superpixels touch, and where they lie."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Size and place of n superpixels.

    Attributes:
        sizes: pixels, int32 [n].
        centroids: mean row and column, float64 [n, 2].
        boxes: first row, first column, last row, last column, int32 [n, 4].
    """

    sizes: np.ndarray
    centroids: np.ndarray
    boxes: np.ndarray

    @property
    def box_centres(self) -> np.ndarray:
        """Row and column half-way through the boxes, float64 [n, 2]."""
        return (self.boxes[:, :2] + self.boxes[:, 2:]) / 2

    @property
    def centroid_pixels(self) -> np.ndarray:
        """Row and column of the pixels nearest to the centroids, int32 [n, 2].

        Halves are rounded up; the pixel of a bent superpixel may belong to another, see
        `own_pixels`.
        """
        return np.floor(self.centroids + 0.5).astype(np.int32)


def adjacency(regions: np.ndarray) -> np.ndarray:
    """Returns the pairs of superpixels that touch, in a row or column of pixels.

    Args:
        regions: superpixel of each pixel, int [h, w], 0 or more.

    Returns:
        int32 [e, 2], p < q, each pair once, in increasing order.  Connected superpixels
        make a planar graph, so e <= 3 n - 6 from n = 3 on.
    """
    beside = regions[:, :-1].ravel(), regions[:, 1:].ravel()
    below = regions[:-1].ravel(), regions[1:].ravel()
    one, two = (np.concatenate(ends) for ends in zip(beside, below, strict=True))
    differ = one != two
    one, two = one[differ].astype(np.int64), two[differ].astype(np.int64)
    count = int(regions.max()) + 1
    codes = np.unique(np.minimum(one, two) * count + np.maximum(one, two))
    return np.stack(np.divmod(codes, count), -1).astype(np.int32)


def geometry(regions: np.ndarray) -> Geometry:
    """Returns the size and place of each superpixel.

    Args:
        regions: superpixel of each pixel, int [h, w], numbers 0 to n - 1, all of which
            occur.

    Returns:
        A `Geometry` of n superpixels.
    """
    from scipy import ndimage

    height, width = regions.shape
    flat = regions.ravel()
    sizes = np.bincount(flat)
    rows = np.bincount(flat, np.repeat(np.arange(height), width))
    columns = np.bincount(flat, np.tile(np.arange(width), height))
    boxes = [
        (down.start, right.start, down.stop - 1, right.stop - 1)
        for down, right in ndimage.find_objects(regions + 1)  # which leaves out 0
    ]
    return Geometry(
        sizes.astype(np.int32),
        np.stack([rows, columns], -1) / sizes[:, None],
        np.array(boxes, np.int32),
    )


def own_pixels(regions: np.ndarray, found: Geometry) -> np.ndarray:
    """Returns a pixel of each superpixel, at its centroid or as near as it has any.

    Args:
        regions: superpixel of each pixel, int [h, w].
        found: `geometry` of the regions.

    Returns:
        Row and column, int32 [n, 2]; `centroid_pixels` but for bent superpixels.
    """
    places = found.centroid_pixels.copy()
    for p in np.flatnonzero(regions[tuple(places.T)] != np.arange(len(places))):
        own = np.argwhere(regions == p)
        away = np.square(own - found.centroids[p]).sum(1)
        places[p] = own[away.argmin()]
    return places
