"""Values for all pixels from those of a few, by the weights of colourisation.

Levin, Lischinski & Weiss (SIGGRAPH 2004): pixels that look the same as their neighbours
have the same value.  The form and the numbers are those that NYU's and DCNF-FCSP's
released codes fill depth with.  With the gray values g of the 3 x 3 pixels around i,

    s_i = max(0.6 var, -min_j (g_j - g_i)^2 / ln 0.01, 2e-6),
    w_ij ~ exp(-(g_i - g_j)^2 / s_i),  sum_j w_ij = 1,

and the values d solve (I - W + G) d = G v, where G is 1 at pixels whose value v is
known.  So these are drawn towards it but not held, and constants stay.  I - W + G is an
M-matrix, not symmetric but of a symmetric pattern, and needs no pivots.
"""

import itertools
import math

import numpy as np

from dpjax import errors
from dpjax.ops import colour

_VARIANCE = 0.6
_LEAST_WEIGHT = 0.01  # of the most similar neighbour
_LEAST = 2e-6
_OFFSETS = [offset for offset in itertools.product((-1, 0, 1), repeat=2) if any(offset)]


def fill(values: np.ndarray, known: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Returns values for all pixels.

    It is solved exactly, by a sparse LU: two seconds and half a gigabyte for 480 x 640.

    Args:
        values: v, [h, w]; of any value where they are not `known`.
        known: bool [h, w].
        image: RGB, uint8 or float in [0, 1], [h, w, 3].

    Returns:
        d, float64 [h, w], from the least to the largest of the known values.

    Raises:
        UserError: arrays of different sizes, a single pixel, no known value, or one
            that is not finite.
    """
    _check(values, known, image)
    from scipy import sparse
    from scipy.sparse import linalg

    scale = 255.0 if image.dtype == np.uint8 else 1.0
    matrix = _weights(colour.rgb_to_gray(image / scale)[..., 0])
    held = known.ravel().astype(float)
    system = sparse.diags_array(1 + held) - matrix
    factors = linalg.splu(
        system.tocsc(),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.0,
        options={"SymmetricMode": True},
    )
    return factors.solve(np.where(known, values, 0.0).ravel()).reshape(known.shape)


def _weights(gray):
    """W, sparse [h w, h w]; rows sum to 1."""
    from scipy import sparse

    height, width = gray.shape
    inside = np.pad(np.ones(gray.shape, bool), 1)
    padded = np.pad(gray, 1)
    number = np.pad(np.arange(gray.size, dtype=np.int32).reshape(gray.shape), 1)
    here, differences, neighbours = (
        np.stack(
            [
                array[1 + down : 1 + down + height, 1 + right : 1 + right + width]
                for down, right in _OFFSETS
            ],
            axis=-1,
        )
        for array in (inside, padded, number)
    )  # [h, w, 8]
    differences = np.where(here, differences - gray[..., None], 0)
    squares = np.square(differences)
    count = here.sum(-1) + 1  # the pixel itself belongs to its window
    variance = squares.sum(-1) / count - np.square(differences.sum(-1) / count)
    nearest = np.where(here, squares, np.inf).min(-1)
    spread = np.maximum(_VARIANCE * variance, -nearest / math.log(_LEAST_WEIGHT))
    spread = np.maximum(spread, _LEAST)
    weights = np.where(here, np.exp(-squares / spread[..., None]), 0)
    weights /= weights.sum(-1, keepdims=True)
    rows = np.concatenate([[0], np.cumsum(here.sum(-1).ravel())])
    return sparse.csr_array(
        (weights[here], neighbours[here], rows), shape=(gray.size, gray.size)
    )


def _check(values, known, image):
    size = known.shape
    if image.ndim != 3 or not values.shape == size == image.shape[:2] or known.size < 2:
        raise errors.UserError(
            "Filling wants values and known [h, w] and an image [h, w, 3] of the same "
            f"size and at least 2 pixels, got {list(values.shape)}, {list(size)} and "
            f"{list(image.shape)}."
        )
    if not known.any() or not np.isfinite(values[known]).all():
        raise errors.UserError(
            f"Filling wants at least one known value, all of them finite, got "
            f"{int(known.sum())} known, {int(np.isfinite(values[known]).sum())} finite."
        )
