"""Depth as colours with a bar that has its unit; errors and deviations beside it."""

import math
from collections.abc import Sequence

import numpy as np

from dpjax.ops import ordinal
from dpjax.viz import panels

DEPTH_COLOURS = "turbo"  # near is blue, far is red
ERROR_COLOURS = "magma"
INVALID = (160, 160, 160)

_SMALLEST = 240  # narrower maps are enlarged, or the bar would have no room for numbers
_WIDEST = 1024  # what a panel shrinks to; wider bars get larger letters
_TEXT = 14
_BAR = 12
_TICK = 4
_MARGIN = 6
_INK = (32, 32, 32)
_NICE = (1, 2, 5)
_DENSE = 0.25  # share of valid pixels below which points are shown as dots
_DOT = 2.5  # radius, pixels
_QUANTILE = 0.99
_LEAST_RATIO = 1.01  # of the ends of a range; closer ones would show rounding errors


def colours(
    values: np.ndarray,
    valid: np.ndarray | None = None,
    *,
    least: float,
    most: float,
    name: str = DEPTH_COLOURS,
    is_log: bool = False,
) -> np.ndarray:
    """Returns a map as colours.

    Args:
        values: [h, w]; those beyond the range get the colours of its ends.
        valid: False where there is no value, bool [h, w], shown in grey, as are values
            that are not finite.
        least: value of the first colour.
        most: value of the last one, above `least`.
        name: of matplotlib's colour maps; "turbo", "magma" and "viridis" are even steps
            to the eye, more or less.
        is_log: even ratios get even steps; `least` is above 0.

    Returns:
        uint8 [h, w, 3].
    """
    known = np.isfinite(values)
    if valid is not None:
        known &= valid
    share = _share(np.where(known, values, least), least, most, is_log)
    picture = _table(name)[np.rint(255 * share).astype(np.uint8)]
    picture[~known] = INVALID
    return picture


def ends(depth: np.ndarray) -> tuple[float, float]:
    """Returns the range whose colours show a map best.

    Args:
        depth: above 0, [h, w]; values that are not finite do not count.

    Returns:
        The quantiles that `ops.ordinal.RANGE` names, so that a few pixels do not take
        the colours of all others; at least 1 % apart.
    """
    known = depth[np.isfinite(depth)]
    least, most = np.quantile(known, ordinal.RANGE) if known.size else (1.0, 1.0)
    return float(least), float(max(most, _LEAST_RATIO * least))


def with_bar(
    picture: np.ndarray,
    *,
    least: float,
    most: float,
    unit: str = "m",
    name: str = DEPTH_COLOURS,
    is_log: bool = False,
) -> np.ndarray:
    """Returns a picture with a bar of its colours below it, labelled with values.

    Args:
        picture: uint8 [h, w, 3]; narrow ones are enlarged by repeating pixels.
        least: as for `colours`.
        most: as for `colours`.
        unit: written after the last number.
        name: as for `colours`.
        is_log: as for `colours`.

    Returns:
        uint8 [h' + bar, w', 3].
    """
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

    picture = _enlarged(picture)
    width = picture.shape[1]
    page = PIL.Image.new("RGB", (width, _bar_height(width)), "white")
    scale = _scale(width)
    text, bar, tick, margin = (round(scale * n) for n in (_TEXT, _BAR, _TICK, _MARGIN))
    strip = _table(name)[np.rint(np.linspace(0, 255, width)).astype(np.uint8)]
    page.paste(PIL.Image.fromarray(np.repeat(strip[None], bar, 0)), (0, margin))
    pen = PIL.ImageDraw.Draw(page)
    font = PIL.ImageFont.load_default(text)
    start = math.inf
    below = margin + bar
    marks = ticks(least, most, is_log=is_log)
    for value in reversed(marks):  # the last one has the unit
        label = f"{value:g}" + (f" {unit}" if value == marks[-1] else "")
        length = font.getlength(label)
        at = _share(np.array(value), least, most, is_log) * (width - 1)
        left = min(max(at - length / 2, 0), width - length)
        if left + length > start - margin:
            continue  # no room
        pen.line((at, below, at, below + tick), _INK, max(1, round(scale)))
        pen.text((left, below + tick), label, _INK, font)
        start = left
    return np.concatenate([picture, np.array(page)])


def with_margin(picture: np.ndarray) -> np.ndarray:
    """Returns a picture with white where others of its size have their bar.

    Args:
        picture: uint8 [h, w, 3]; narrow ones are enlarged as by `with_bar`.

    Returns:
        uint8 [h' + bar, w', 3].
    """
    picture = _enlarged(picture)
    height, width = _bar_height(picture.shape[1]), picture.shape[1]
    return np.concatenate([picture, np.full((height, width, 3), 255, np.uint8)])


def panel(
    image: np.ndarray,
    truth: np.ndarray,
    prediction: np.ndarray,
    valid: np.ndarray,
    *,
    deviation: np.ndarray | None = None,
    title: str = "",
    caption: str = "prediction",
    unit: str = "m",
    is_log: bool = True,
) -> np.ndarray:
    """Returns photograph, true depth, predicted depth and error side by side.

    Truth and prediction have the range of the truth.  The error is |d - g|; the
    deviation is shown as d s, in the same unit and colours: where a model knows what it
    does not know, the last two pictures look alike.  Points of a laser scanner become
    dots, or nobody would see them.

    Args:
        image: uint8 [h, w, 3].
        truth: g, in `unit`, [h, w].
        prediction: d, in `unit`, [h, w].
        valid: where there is truth, bool [h, w]; without it, grey.
        deviation: s, standard deviation of the natural logarithm of the prediction,
            [h, w]; None leaves it out.
        title: a line above the row.
        caption: below the prediction, such as its scores.
        unit: written after the last number of each bar.
        is_log: even ratios of depth get even steps of colour.

    Returns:
        uint8 [h', w', 3].
    """
    known = truth[valid]
    least, most = (known.min(), known.max()) if known.size else (1.0, 2.0)
    most = most if most > least else 1.01 * least
    depths = {"least": float(least), "most": float(most), "is_log": is_log}
    miss = np.abs(prediction - truth)
    tops = [_top(miss[valid])]
    maps = [
        ("truth", *_visible(truth, valid), depths),
        (caption, prediction, None, depths),
    ]
    misses = {"least": 0.0, "name": ERROR_COLOURS}
    maps.append(("error", *_visible(miss, valid), misses))
    if deviation is not None:
        spread = prediction * deviation
        tops.append(_top(spread))
        maps.append(("standard deviation", spread, None, misses))
    misses["most"] = max(tops) or 1.0
    parts = [("image", with_margin(image))]
    for label, values, where, scale in maps:
        picture = colours(values, where, **scale)
        parts.append((label, with_bar(picture, unit=unit, **scale)))
    return panels.compose(parts, title=title)


def _top(values: np.ndarray) -> float:
    """The end of a range from 0; few large values would leave all others dark."""
    values = values[np.isfinite(values)]
    return float(np.quantile(values, _QUANTILE)) if values.size else 0.0


def ticks(least: float, most: float, *, is_log: bool = False) -> Sequence[float]:
    """Returns round numbers within a range: 1, 2 or 5 times powers of ten.

    Args:
        least: lower end.
        most: upper end, above it.
        is_log: all of them within the range, if there are 3, instead of even steps.

    Returns:
        Rising numbers, about 5.
    """
    if is_log:
        powers = range(*(math.floor(math.log10(n)) for n in (least, 10 * most)))
        found = [digit * 10.0**power for power in powers for digit in _NICE]
        found = [n for n in found if least <= n <= most]
        if len(found) > 2:
            return [_rounded(n) for n in found]
    width = most - least
    powers = (math.floor(math.log10(width)) + n for n in (-1, 0))
    steps = [digit * 10.0**power for power in powers for digit in _NICE]
    step = min(steps, key=lambda n: abs(width / n - 5))
    # An end that is a whole number of steps is a tick, whatever its rounding.
    first, last = math.ceil(least / step - 1e-9), math.floor(most / step + 1e-9)
    return [_rounded(step * i) for i in range(first, last + 1)]


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")  # three steps of 0.1 are not 0.3


def _visible(values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and mask with single points as dots, where there are only points."""
    from scipy import ndimage

    if not valid.any() or valid.mean() > _DENSE:
        return values, valid
    away, nearest = ndimage.distance_transform_edt(~valid, return_indices=True)
    return values[tuple(nearest)], away <= _DOT


def _share(values: np.ndarray, least: float, most: float, is_log: bool) -> np.ndarray:
    """Where values lie between the ends, 0 to 1."""
    values = np.clip(np.asarray(values, np.float64), least, most)
    if is_log:
        values, least, most = np.log(values), math.log(least), math.log(most)
    return (values - least) / (most - least)


def _table(name: str) -> np.ndarray:
    from matplotlib import colormaps

    return colormaps[name](np.arange(256), bytes=True)[:, :3]


def _enlarged(picture: np.ndarray) -> np.ndarray:
    factor = -(-_SMALLEST // picture.shape[1])
    return np.repeat(np.repeat(picture, factor, 0), factor, 1)


def _scale(width: int) -> float:
    return max(1.0, width / _WIDEST)


def _bar_height(width: int) -> int:
    return round(_scale(width) * (2 * _MARGIN + _BAR + _TICK + _TEXT))
