"""The clean-up after SLIC: small and stray parts of regions join their neighbours.

The rule is VLFeat's: parts are visited in the order of their first pixels, and one that
goes takes the region of what lies above its first pixel, in the first row of what lies
below if that was visited, else of what lies to the left.  VLFeat lets only small parts
go, so a region can be in several places.  It leaves a small part in the first corner,
where nothing was visited before; here that one joins what it touches.
"""

import numpy as np

from dpjax.data.superpixels import graph


def clean(labels: np.ndarray, least: int, *, connected: bool = True) -> np.ndarray:
    """Returns regions without small parts, numbered anew.

    Args:
        labels: region of each pixel, int [h, w], 0 or more.
        least: pixels; connected parts of fewer join a neighbour.
        connected: so does every part but the largest of its region; False is VLFeat.

    Returns:
        int32 [h, w], numbers 0 to n - 1 in the order of the given ones.  Where
        `connected`, each is 4-connected and has `least` pixels, unless it is the only
        one.
    """
    numbers, first = _parts(labels)
    sizes = np.bincount(numbers.ravel())
    regions = labels.ravel()[first]
    stays = sizes >= least
    if connected:
        stays &= _is_largest(sizes, regions)
    into = np.where(stays, np.arange(len(first)), _visited_neighbour(numbers, first))
    while not np.array_equal(into, into[into]):  # what is joined may go itself
        into = into[into]
    if connected and not stays[0]:
        into = _without_first(into, numbers)
    return _renumber(regions[into][numbers])


def _parts(labels):
    """4-connected parts, numbered by their first pixels, and those, [h, w] and [m]."""
    from skimage import measure

    numbers = measure.label(labels, background=-1, connectivity=1) - 1
    first = np.empty(numbers.max() + 1, np.intp)
    # Of several values for one place the last stays, which is the first pixel.
    first[numbers.ravel()[::-1]] = np.arange(numbers.size)[::-1]
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[numbers], first[order]


def _is_largest(sizes, regions):
    """True for the largest part of each region, the first of equals."""
    order = np.lexsort((-sizes, regions))
    largest = np.zeros(len(sizes), bool)
    largest[order[np.unique(regions[order], return_index=True)[1]]] = True
    return largest


def _visited_neighbour(numbers, first):
    """The part that each one would join; the first part has none but itself."""
    width = numbers.shape[1]
    flat = numbers.ravel()
    above = flat[np.maximum(first - width, 0)]
    left = flat[np.maximum(first - 1, 0)]
    below = flat[np.minimum(first + width, flat.size - 1)]
    beside = np.where(below < np.arange(len(first)), below, left)
    return np.where(first >= width, above, beside)


def _without_first(into, numbers):
    """The first part, and what joined it, join the next region that they touch."""
    edges = graph.adjacency(into[numbers])
    touched = edges[edges[:, 0] == 0, 1]
    if len(touched):
        into = np.where(into == 0, touched[0], into)
    return into


def _renumber(labels):
    used = np.bincount(labels.ravel()) > 0
    return (np.cumsum(used, dtype=np.int32) - np.int32(1))[labels]
