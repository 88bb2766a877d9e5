"""Colours of classes."""

import numpy as np


def palette(name: str, k: int) -> np.ndarray:
    """Returns colours.

    Args:
        name: of the palette.
        k: classes.

    Returns:
        uint8 [k, 3].
    """
    index = np.arange(k)
    out = np.zeros((k, 3), int)
    for bit in range(8):
        for c in range(3):
            out[:, c] |= ((index >> (3 * bit + c)) & 1) << (7 - bit)
    return out.astype(np.uint8)
