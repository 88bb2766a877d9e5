"""The depth of superpixels, for training: one number for each, where it is known."""

from typing import Literal

import numpy as np

from dpjax import errors
from dpjax.data.superpixels import graph

How = Literal["centroid", "mean", "median"]


def log_depths(
    depth: np.ndarray,
    valid: np.ndarray,
    regions: np.ndarray,
    geometry: graph.Geometry,
    how: How = "centroid",
    *,
    least: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the depth of each superpixel, and where there is one.

    Args:
        depth: metres, [h, w]; of any value where it is not `valid`.
        valid: where depth is known, bool [h, w].
        regions: superpixel of each pixel, int [h, w], numbers 0 to n - 1.
        geometry: of the regions.
        how: "centroid" is the depth of the pixel nearest to the centroid (the paper);
            "mean" and "median" are those of log-depth over the superpixel's pixels of
            known depth, which suits sparse depth.
        least: pixels of known depth that a superpixel needs for "mean" and "median".

    Returns:
        log_depth, natural logarithm of metres, float32 [n], 0 where unknown; and
        labelled, bool [n].

    Raises:
        UserError: an unknown way, arrays of different sizes, or a known depth that is
            not finite or not above 0.
    """
    if how not in How.__args__:
        raise errors.unknown_name("depth of superpixels", how, How.__args__)
    if not depth.shape == valid.shape == regions.shape:
        raise errors.UserError(
            f"Regions {list(regions.shape)} want depth and valid of the same size, got "
            f"{list(depth.shape)} and {list(valid.shape)}. Resize them to the image."
        )
    known = depth[valid]
    if not (np.isfinite(known) & (known > 0)).all():
        raise errors.UserError(
            "Known depths want to be finite and above 0 metres, got some from "
            f"{known.min()} to {known.max()}. Make them False in valid."
        )
    count = len(geometry.sizes)
    if how == "centroid":
        places = tuple(geometry.centroid_pixels.T)
        labelled = valid[places]
        log_depth = np.log(np.where(labelled, depth[places], 1))
    else:
        inside, logs = regions[valid], np.log(known.astype(np.float64))
        counts = np.bincount(inside, minlength=count)
        labelled = counts >= max(least, 1)
        log_depth = {"mean": _means, "median": _medians}[how](logs, inside, counts)
    return np.where(labelled, log_depth, 0).astype(np.float32), labelled


def _means(values, regions, counts):
    return np.bincount(regions, values, len(counts)) / np.maximum(counts, 1)


def _medians(values, regions, counts):
    """The middle of the sorted values, or half-way between the two."""
    found = np.zeros(len(counts))
    if len(values):
        values = values[np.lexsort((values, regions))]
        ends = np.cumsum(counts)
        low = np.minimum(ends - counts + (counts - 1) // 2, len(values) - 1)
        high = np.minimum(ends - counts + counts // 2, len(values) - 1)
        found = (values[low] + values[high]) / 2
    return found
