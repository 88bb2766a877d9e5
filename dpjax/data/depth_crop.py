"""Random crops of a picture and its depth under a random zoom.

What a camera sees s times as large is s times as near: with the picture enlarged by s,
depth is divided by s (Eigen, Puhrsch & Fergus, NIPS 2014, on data augmentation).
Depth is never blended: each pixel of the crop has the depth of the source pixel that
its centre falls on.  Where a crop reaches beyond the picture it has no depth.

`crop_window.draw` draws where to cut.  Its size is that of the picture at zoom 1, so
that pictures which a network sees at another size than they are stored in, as all of
Make3D's, are resized once, and their depth stays but for the zoom.
"""

import numpy as np

from dpjax.data import crop_window, depth_files


def cut(
    image: np.ndarray,
    depth: np.ndarray,
    window: crop_window.Window,
    crop: tuple[int, int],
    *,
    is_mirrored: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns a crop of a picture and of its depth.

    Args:
        image: uint8 RGB, [h, w, 3].
        depth: metres, 0 or NaN where nothing was measured, [h', w']: it shows the view
            of the picture, in a size of its own.
        window: from `crop_window.draw`; its scale is the zoom.
        crop: height and width of the crop, pixels.
        is_mirrored: exchange left and right.

    Returns:
        The picture, uint8 [*crop, 3]; depth, float32 [*crop], metres, 0 where there is
        none; and where there is some, bool [*crop].
    """
    picture = crop_window.cut_picture(image, window, crop)
    stored = crop_window.cut_map(depth, window, crop, 0)
    known = depth_files.has_depth(stored)
    metres = np.where(known, stored / np.float32(window.scale), np.float32(0))
    if is_mirrored:
        picture, metres, known = (a[:, ::-1] for a in (picture, metres, known))
    return (
        np.ascontiguousarray(picture),
        np.ascontiguousarray(metres, np.float32),
        np.ascontiguousarray(known),
    )
