"""Stereo pairs whose disparities are known, made of noise."""

import numpy as np
from scipy import ndimage

BEHIND, BEFORE = -3, 4  # disparities of the wall and of the board, pixels
BOARD = (slice(14, 40), slice(30, 62))  # in the left view


def texture(seed: int, height: int, width: int) -> np.ndarray:
    """Colourful noise that has something to match in each place, uint8 [h, w, 3]."""
    noise = np.random.default_rng(seed).uniform(0, 255, (height, width, 3))
    smooth = ndimage.gaussian_filter(noise, (1, 1, 0), mode="wrap")
    smooth = 128 + 50 * (smooth - smooth.mean()) / smooth.std()
    return np.clip(smooth, 30, 230).astype(np.uint8)


def pair(seed: int = 0, height: int = 56, width: int = 96):
    """A board before a wall: left and right view, and the disparity of the left one."""
    # Colours of their own, so that occlusions look like the wall and not the board.
    tints = np.array([[0, 0, 120], [120, 0, 0]], np.uint8)
    wall = texture(seed, height, width + 16) // 2 + tints[0]
    board = texture(seed + 1000, height, width) // 2 + tints[1]
    left, right = wall[:, 8 : 8 + width].copy(), wall[:, 8 + BEHIND :][:, :width].copy()
    rows, columns = BOARD
    left[BOARD] = board[BOARD]
    right[rows, columns.start - BEFORE : columns.stop - BEFORE] = board[BOARD]
    disparity = np.full((height, width), BEHIND)
    disparity[BOARD] = BEFORE
    return left, right, disparity
