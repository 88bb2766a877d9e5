"""Labels as colours over a photograph, with a legend."""

from collections.abc import Sequence

import numpy as np

from dpjax.viz import palettes

_OPACITY = 0.55  # of the colours over the photograph
_TEXT = 14
_LINE = 20
_SWATCH = 14
_MARGIN = 8
_INK = (32, 32, 32)


def blend(
    image: np.ndarray,
    labels: np.ndarray,
    palette: np.ndarray,
    valid: np.ndarray | None = None,
) -> np.ndarray:
    """Returns a photograph under the colours of its labels.

    Args:
        image: uint8 [h, w, 3].
        labels: classes, int [h, w].
        palette: colour of each class, uint8 [k, 3].
        valid: False where there is no label; these pixels are under a colour of their
            own, `palettes.UNLABELLED`.

    Returns:
        uint8 [h, w, 3].
    """
    known = np.ones(labels.shape, bool) if valid is None else valid
    colours = palette[np.where(known, labels, 0)].astype(np.float32)
    # Black is VOC's background, and darker looks like a grey class.
    colours[~known] = palettes.UNLABELLED
    mixed = (1 - _OPACITY) * image.astype(np.float32) + _OPACITY * colours
    return np.rint(mixed).astype(np.uint8)


def with_legend(
    picture: np.ndarray, names: Sequence[str], colours: np.ndarray
) -> np.ndarray:
    """Returns a picture with the names of colours below it, in as many lines as needed.

    Args:
        picture: uint8 [h, w, 3].
        names: what the colours stand for.
        colours: uint8 [len(names), 3].

    Returns:
        uint8 [h + lines, w, 3]; the picture itself is not changed.
    """
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    font = PIL.ImageFont.load_default(_TEXT)
    width = picture.shape[1]
    places, x, y = [], _MARGIN, _MARGIN
    for name in names:
        length = _SWATCH + _MARGIN // 2 + int(font.getlength(name)) + 2 * _MARGIN
        if x > _MARGIN and x + length > width:
            x, y = _MARGIN, y + _LINE
        places.append((x, y))
        x += length
    page = PIL.Image.new("RGB", (width, y + _LINE + _MARGIN if names else 0), "white")
    draw = PIL.ImageDraw.Draw(page)
    for (left, top), name, colour in zip(places, names, colours, strict=True):
        box = (left, top, left + _SWATCH, top + _SWATCH)
        draw.rectangle(box, tuple(int(c) for c in colour), outline=_INK)
        draw.text((left + _SWATCH + _MARGIN // 2, top), name, _INK, font)
    return np.concatenate([picture, np.array(page).reshape(-1, width, 3)])
