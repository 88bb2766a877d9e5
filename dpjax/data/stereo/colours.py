"""Colours of one view as the other has them: the two cameras of a rig differ."""

import numpy as np

from dpjax import errors

_LEVELS = 256


def match_histogram(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Returns an image with the distribution of levels of another, by channel.

    A level v becomes the least level u of the reference with F_reference(u) >= F(v), F
    being the share of pixels up to a level (Gonzalez & Woods, Digital Image Processing,
    section 3.3).  The map never falls, so edges stay where they are, and an image that
    has the distribution already stays as it is.

    Args:
        image: uint8 [h, w, c].
        reference: uint8 [h', w', c].

    Returns:
        uint8 [h, w, c]; every level of it occurs in the reference.

    Raises:
        UserError: other types, no pixels, or another number of channels.
    """
    for array in (image, reference):
        if array.dtype != np.uint8 or array.ndim != 3 or not array.size:
            raise errors.UserError(
                "Matching colours wants uint8 [h, w, c], got "
                f"{array.dtype} {list(array.shape)}."
            )
    if image.shape[-1] != reference.shape[-1]:
        raise errors.UserError(
            f"Matching colours wants as many channels in both images, got "
            f"{image.shape[-1]} and {reference.shape[-1]}."
        )
    matched = np.empty_like(image)
    for channel in range(image.shape[-1]):
        given, wanted = (_cumulated(x[..., channel]) for x in (image, reference))
        # Whole numbers: shares as fractions would round, and a level slip.
        table = np.searchsorted(wanted * given[-1], given * wanted[-1])
        matched[..., channel] = table[image[..., channel]]
    return matched


def _cumulated(plane: np.ndarray) -> np.ndarray:
    """How many pixels have a level up to each, int64 [256]."""
    return np.cumsum(np.bincount(plane.ravel(), minlength=_LEVELS))
