"""Whether pixels that are said to be uncertain are the wrong ones: AUSE.

Sparsification (Ilg et al., ECCV 2018): remove the most uncertain 0, 5, 10
... 95 % of the pixels of an image, average the errors of the rest, and divide by the
average of all.  The oracle removes the largest errors instead.  The area between the
two curves over the share removed, from 0 to 1, is the AUSE: 0 for an uncertainty that
orders pixels as their errors do.  Of T pixels, floor(q T / 20) are removed at step q;
the area is the trapezoidal one, and at 1, where no pixel is left, both curves meet.

Equal uncertainties come in random order; the curve has the expected value, which does
not depend on the order of pixels.  (A superpixel is one uncertainty.)
"""

import numpy as np

from dpjax import errors

STEPS = 20


def sums(error: np.ndarray, uncertainty: np.ndarray) -> np.ndarray:
    """Returns the sums of errors that are left at every step.

    Args:
        error: of each pixel, what is averaged, at least 0, [n].
        uncertainty: of each pixel, in any unit; only its order counts; [n].

    Returns:
        float64 [2, 20]: with the most uncertain pixels removed, and with the largest
        errors removed; zeros for no pixels.

    Raises:
        UserError: shapes that differ, or NaN in either.
    """
    error = np.asarray(error, np.float64)
    uncertainty = np.asarray(uncertainty, np.float64)
    if error.ndim != 1 or error.shape != uncertainty.shape:
        raise errors.UserError(
            "Sparsification wants errors and uncertainties of the same pixels, [n], "
            f"got {list(error.shape)} and {list(uncertainty.shape)}."
        )
    if np.isnan(error).any() or np.isnan(uncertainty).any():
        raise errors.UserError(
            "Sparsification cannot order NaN. Leave such pixels out of both."
        )
    if not error.size:
        return np.zeros((2, STEPS))
    _, group, sizes = np.unique(uncertainty, return_inverse=True, return_counts=True)
    expected = (np.bincount(group, error) / sizes)[group]
    orders = (expected[np.argsort(uncertainty)], np.sort(error))
    last = kept(np.array(error.size)) - 1
    return np.stack([np.cumsum(order)[last] for order in orders])


def kept(pixels: np.ndarray) -> np.ndarray:
    """Returns how many pixels are left at every step.

    Args:
        pixels: of each image, int [...].

    Returns:
        int64 [..., 20].
    """
    pixels = np.asarray(pixels, np.int64)[..., None]
    return pixels - np.arange(STEPS) * pixels // STEPS


def curves(found: np.ndarray, left: np.ndarray, *, is_root: bool) -> np.ndarray:
    """Returns both curves, which start at 1.

    Args:
        found: from `sums`, or sums of them over images, [..., 2, 20].
        left: from `kept`, or sums of them over the same images, [..., 20].
        is_root: take the square root of averages, as for squared errors.

    Returns:
        float64 [..., 2, 20], zeros where there are no errors at all; NaN without
        pixels.
    """
    with np.errstate(invalid="ignore"):
        means = np.asarray(found, np.float64) / np.asarray(left)[..., None, :]
    means = np.sqrt(means) if is_root else means
    whole = means[..., :1]
    return means / np.where(whole == 0, 1.0, whole)


def area(found: np.ndarray, left: np.ndarray, *, is_root: bool) -> np.ndarray:
    """Returns the AUSE.

    Args:
        found: see `curves`.
        left: see `curves`.
        is_root: see `curves`.

    Returns:
        float64 [...].
    """
    both = curves(found, left, is_root=is_root)
    # Trapezoids of equal width; the curves meet at both ends.
    return (both[..., 0, :] - both[..., 1, :]).sum(-1) / STEPS
