"""Lowercase letters and digits as distances to their ink, for text of any size.

A distance can be sampled between its pixels and thresholded, so one small atlas serves
every size and every thickness of the pen.
"""

import functools

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

_FONT_PX = 32
_ROWS = slice(6, 40)  # from above the tallest letter to below the deepest
_WIDTH = 22


@functools.cache
def atlas() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the drawn letters and how much ink each pen leaves.

    Returns:
        Signed distance to the ink, in pixels of the atlas, negative inside, float32
        [36, 34, 22]; thresholds of that distance, increasing, float32 [p]; and the mean
        share of a cell below each threshold, float32 [p].  Read-only.
    """
    from PIL import Image, ImageDraw, ImageFont
    from scipy import ndimage

    font = ImageFont.load_default(size=_FONT_PX)
    cells = []
    for letter in LETTERS:
        left, _, right, _ = font.getbbox(letter)
        page = Image.new("L", (right - left, _ROWS.stop + 4))
        ImageDraw.Draw(page).text((-left, 0), letter, fill=255, font=font)
        if page.width > _WIDTH - 2:  # m and w are squeezed into the common width
            page = page.resize((_WIDTH - 2, page.height))
        cell = np.zeros((page.height, _WIDTH), bool)
        start = (_WIDTH - page.width) // 2
        cell[:, start : start + page.width] = np.asarray(page) > 127
        cells.append(cell)
    ink = np.stack(cells)[:, _ROWS]
    distance = np.stack(
        [
            ndimage.distance_transform_edt(~cell) - ndimage.distance_transform_edt(cell)
            for cell in ink
        ]
    ).astype(np.float32)
    pens = np.linspace(-2.0, 6.0, 33, dtype=np.float32)
    fills = np.array([(distance < pen).mean() for pen in pens], np.float32)
    for array in (distance, pens, fills):
        array.setflags(write=False)
    return distance, pens, fills
