"""Names with bars: what a network thinks that an image shows."""

from collections.abc import Sequence

import numpy as np

_LINE = 44  # pixels for a name and its bar
_TEXT = 16
_BAR = 10
_MARGIN = 8
_INK = (32, 32, 32)
_PLAIN = (150, 160, 175)
_MARKED = (60, 150, 80)
_TRACK = (235, 235, 235)


def draw(
    names: Sequence[str],
    shares: Sequence[float],
    *,
    marked: str | None = None,
    size: tuple[int, int] = (240, 320),
) -> np.ndarray:
    """Returns a picture of names, each above a bar of its share.

    Args:
        names: from top to bottom.
        shares: 0 to 1, printed as percentages.
        marked: the name whose bar is green; the others are gray.
        size: height and width of the picture, pixels; 240 have room for five names.

    Returns:
        uint8 [h, w, 3].
    """
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    font = PIL.ImageFont.load_default(_TEXT)
    height, width = size
    page = PIL.Image.new("RGB", (width, height), "white")
    pen = PIL.ImageDraw.Draw(page)
    right = width - _MARGIN
    for i, (name, share) in enumerate(zip(names, shares, strict=True)):
        top = _MARGIN + i * _LINE
        number = f"{share:.1%}"
        room = right - _MARGIN - font.getlength(number) - _MARGIN
        pen.text((_MARGIN, top), _fit(name, font, room), _INK, font)
        pen.text((right - font.getlength(number), top), number, _INK, font)
        box = top + _TEXT + _MARGIN
        end = _MARGIN + round((right - _MARGIN) * min(max(share, 0.0), 1.0))
        pen.rectangle((_MARGIN, box, right, box + _BAR), _TRACK)
        if end > _MARGIN:
            colour = _MARKED if name == marked else _PLAIN
            pen.rectangle((_MARGIN, box, end, box + _BAR), colour)
    return np.array(page)


def _fit(name: str, font, room: float) -> str:
    if font.getlength(name) <= room:
        return name
    while name and font.getlength(name + "...") > room:
        name = name[:-1]
    return name + "..."
