"""Lowercase letters and digits as distances to their ink, for text of any size.

A distance can be sampled between its pixels and thresholded, so one small atlas serves
every size and every thickness of the pen.
"""

import functools

import numpy as np

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"

_FINE = 4  # letters are drawn that much larger than they are stored
_FONT_PX = 32 * _FINE
_ROWS = slice(6 * _FINE, 40 * _FINE)  # above the tallest letter, below the deepest
_WIDTH = 22 * _FINE
_GAP = 2 * _FINE


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
        page = Image.new("L", (right - left, _ROWS.stop))
        ImageDraw.Draw(page).text((-left, 0), letter, fill=255, font=font)
        if page.width > _WIDTH - _GAP:  # m and w are squeezed into the common width
            page = page.resize((_WIDTH - _GAP, page.height))
        start = (_WIDTH - page.width) // 2
        ink = np.zeros((_ROWS.stop, _WIDTH), bool)
        ink[:, start : start + page.width] = np.asarray(page) > 127
        outside = ndimage.distance_transform_edt(~ink)
        inside = ndimage.distance_transform_edt(ink)
        cells.append((outside - inside)[_ROWS])
    distance = np.stack(cells) / _FINE
    shape = (len(cells), -1, _FINE, _WIDTH // _FINE, _FINE)
    distance = distance.reshape(shape).mean((2, 4)).astype(np.float32)
    pens = np.linspace(-2.0, 6.0, 33, dtype=np.float32)
    between = ndimage.zoom(distance, (1, 3, 3), order=1)  # as it will be sampled
    fills = np.array([(between < pen).mean() for pen in pens], np.float32)
    for array in (distance, pens, fills):
        array.setflags(write=False)
    return distance, pens, fills
