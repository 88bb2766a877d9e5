"""Disparities as colours, with a bar in pixels and a legend of what is unknown."""

import numpy as np

from dpjax.viz import depth_maps

COLOURS = "turbo"  # near is red, as benchmarks of stereo show it

_QUANTILES = (0.005, 0.995)  # a few wrong matches would take the colours of all others
_TEXT = 14
_MARGIN = 6
_INK = (32, 32, 32)
_WIDEST = 1024  # wider pictures get larger letters, as their bar does


def picture(disparity: np.ndarray) -> np.ndarray:
    """Returns disparities as colours.

    Args:
        disparity: pixels, [h, w]; NaN or infinite where unknown, shown in grey.

    Returns:
        uint8 [h' + bar + legend, w', 3]; narrow maps are enlarged.
    """
    known = np.isfinite(disparity)
    least, most = _ends(disparity[known])
    scale = {"least": least, "most": most, "name": COLOURS}
    colours = depth_maps.colours(disparity, None, **scale)
    page = depth_maps.with_bar(colours, **scale, unit="px")
    if known.all():
        return page
    share = 100 * (1 - known.mean())
    return np.concatenate([page, _legend(page.shape[1], f"unknown, {share:.1f} %")])


def _ends(values: np.ndarray) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    least, most = (float(n) for n in np.quantile(values, _QUANTILES))
    return (least, most) if most > least else (least - 0.5, least + 0.5)


def _legend(width: int, label: str) -> np.ndarray:
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    scale = max(1.0, width / _WIDEST)
    text, margin = round(scale * _TEXT), round(scale * _MARGIN)
    page = PIL.Image.new("RGB", (width, text + 2 * margin), "white")
    pen = PIL.ImageDraw.Draw(page)
    box = (margin, margin, margin + text, margin + text)
    pen.rectangle(box, fill=depth_maps.INVALID, outline=_INK)
    place = (2 * margin + text, margin)
    pen.text(place, label, _INK, PIL.ImageFont.load_default(text))
    return np.array(page)
