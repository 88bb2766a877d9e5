"""Pictures side by side with captions: input, output, truth."""

from collections.abc import Sequence

import numpy as np

from dpjax import errors

_GAP = 12  # pixels around everything
_TEXT = 16  # height of letters
_TITLE = 20
_INK = (32, 32, 32)
_SMALLEST = 192  # narrower pictures are enlarged, or their captions would not fit


def compose(
    parts: Sequence[tuple[str, np.ndarray]], *, title: str = "", largest: int = 1024
) -> np.ndarray:
    """Returns pictures in one row on white, each with a caption below it.

    All are shown at the height and width of the largest; small ones are enlarged by
    repeating pixels, so that what a person sees is what the network gave.

    Args:
        parts: captions (which may have several lines) and pictures, uint8 [h, w],
            [h, w, 1] or [h, w, 3].
        title: a line above the row.
        largest: longest side of one picture, pixels; larger ones are shrunk.

    Returns:
        uint8 [h, w, 3].

    Raises:
        UserError: no picture, or one that is not uint8 grey or RGB.
    """
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    pictures = [_as_rgb(label, picture) for label, picture in parts]
    if not pictures:
        raise errors.UserError("A panel wants at least one picture, got none.")
    height, width = _common_size(pictures, largest)
    text = PIL.ImageFont.load_default(_TEXT)
    large = PIL.ImageFont.load_default(_TITLE)
    line = _TEXT + _TEXT // 2
    captions = [_wrap(label, text, width) for label, _ in parts]
    below = max(caption.count("\n") + 1 for caption in captions) * line
    above = _GAP + (_TITLE + _GAP if title else 0)
    page = PIL.Image.new(
        "RGB",
        (_GAP + len(pictures) * (width + _GAP), above + height + _GAP // 2 + below),
        "white",
    )
    draw = PIL.ImageDraw.Draw(page)
    draw.text((_GAP, _GAP // 2), title, _INK, large)
    for i, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left = _GAP + i * (width + _GAP)
        page.paste(_fit(picture, height, width), (left, above))
        draw.multiline_text(
            (left, above + height + _GAP // 2), caption, _INK, text, spacing=_TEXT // 4
        )
    return np.array(page)


def _as_rgb(label: str, picture: np.ndarray) -> np.ndarray:
    picture = np.asarray(picture)
    if picture.ndim == 2:
        picture = picture[..., None]
    if (
        picture.dtype != np.uint8
        or picture.ndim != 3
        or picture.shape[-1] not in (1, 3)
        or not picture.size
    ):
        raise errors.UserError(
            f"Panel {label!r} wants a picture uint8 [h, w, 1] or [h, w, 3], got "
            f"{picture.dtype} {list(picture.shape)}."
        )
    return np.broadcast_to(picture, (*picture.shape[:2], 3))


def _common_size(pictures: Sequence[np.ndarray], largest: int) -> tuple[int, int]:
    height = max(p.shape[0] for p in pictures)
    width = max(p.shape[1] for p in pictures)
    # A whole factor: enlarged pixels stay squares.
    factor = max(1, min(_SMALLEST // width, largest // max(height, width)))
    if max(height, width) > largest:
        factor = largest / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _fit(picture: np.ndarray, height: int, width: int):
    import PIL.Image

    image = PIL.Image.fromarray(np.ascontiguousarray(picture))
    grows = picture.shape[0] <= height and picture.shape[1] <= width
    how = PIL.Image.Resampling.NEAREST if grows else PIL.Image.Resampling.BOX
    return image.resize((width, height), how)


def _wrap(label: str, font, width: int) -> str:
    lines = []
    for line in label.split("\n"):
        lines.append("")
        for word in line.split(" "):
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and font.getlength(longer) > width:
                lines.append(word)
            else:
                lines[-1] = longer
    return "\n".join(lines)
