"""What looks wrong with a pair or its range, told with numbers.

A pair that is swapped or not rectified gives disparities that mean nothing, so it is
refused; a range that seems too small, and few answers, are worth a warning.  Thresholds
are ours: Middlebury's pairs are far from all of them.
"""

import dataclasses

import numpy as np

from dpjax import errors
from dpjax.data.stereo import faults, points
from dpjax.inference.stereo import engines
from dpjax.ops.stereo import matching

_OFFSET_PX = 0.75  # between rows of the same point; rectified pairs stay below 0.4
_AT_END = 0.05  # share of points beyond the range, or of winners at its end
_FEW = 0.25  # share of pixels with an answer; swapped pairs have 0.2 to 0.6
_EXCHANGED = 1.5  # times as many answers with the sides exchanged
# Share of pixels with an answer, in the better order, that tells one scene: chance
# gives unlike pictures up to 0.57, the less the wider the range; the motorcycle has
# 0.76 to 0.93.
_ONE_SCENE = 0.6
_SPARE = 1.1  # what is advised, in parts of the largest disparity seen


@dataclasses.dataclass(frozen=True)
class Doubt:
    """Something that looks wrong.

    Attributes:
        text: what it is, and what to do.
        error: type of the error to refuse the pair with; None for a warning.
    """

    text: str
    error: type[errors.DpjaxError] | None = None


def of_views(left: np.ndarray, right: np.ndarray) -> list[Doubt]:
    """Returns whether both views are the same picture.

    Args:
        left: uint8 [h, w, 1 or 3].
        right: of the same shape.

    Returns:
        A doubt if all pixels are equal.
    """
    if not np.array_equal(left, right):
        return []
    return [
        Doubt(
            "Both views are the same picture, so that nothing is displaced and all "
            "disparities are 0. Name the other view of the pair."
        )
    ]


def of_points(seen: points.Points | None, settings: matching.Settings) -> list[Doubt]:
    """Returns what points that both views show say about a pair.

    Args:
        seen: from `points.match`; None if there are too few, which say nothing.
        settings: whose range they are compared with.

    Returns:
        Doubts about rows, sides and range.
    """
    if seen is None:
        return []
    return [
        *_rows(seen.offset),
        *(_sides(seen.disparity, settings) or _range(seen.disparity, settings)),
    ]


def of_winners(
    found: engines.Match, settings: matching.Settings, *, few_are_told: bool = False
) -> list[Doubt]:
    """Returns what the disparities say about the range.

    Args:
        found: by either engine.
        settings: of the matching.
        few_are_told: whether another doubt says already how few answers there are.

    Returns:
        Doubts about the ends of the range and the number of answers.
    """
    doubts = []
    first = settings.min_disparity
    last = first + settings.disparities - 1
    whole = np.rint(found.disparity[found.valid])
    ends = {last: whole >= last}
    if first:  # many real points are infinitely far
        ends[first] = whole <= first
    for end, at_end in ends.items():
        if at_end.size and at_end.mean() > _AT_END:
            doubts.append(
                Doubt(
                    f"{at_end.mean():.0%} of the disparities are {end}, an end of the "
                    f"range {first} to {last}: it is too small for the scene. Widen it "
                    "with --disparities or --min-disparity."
                )
            )
    if found.valid.mean() < _FEW and not few_are_told:
        doubts.append(
            Doubt(
                f"Only {found.valid.mean():.0%} of the pixels have an answer. Are "
                "these the views of one scene, rectified, and is the range right?"
            )
        )
    return doubts


def of_sides(found: engines.Match, exchanged: engines.Match) -> list[Doubt]:
    """Returns whether a pair looks swapped or unlike, by its consistent pixels.

    For pairs in which no points are found.

    Args:
        found: disparities of the pair as it is.
        exchanged: those with the right view as the left one.

    Returns:
        A doubt about the scene if they are few either way, or about the sides if there
        are far more with the sides exchanged.
    """
    ours, theirs = (float(x.valid.mean()) for x in (found, exchanged))
    if max(ours, theirs) < _ONE_SCENE:
        return [
            Doubt(
                "The views do not seem to show the same scene: no points are found in "
                f"both, {ours:.0%} of the pixels are consistent, and {theirs:.0%} with "
                f"the sides exchanged, wanted {_ONE_SCENE:.0%}. Are these the views of "
                "one pair, rectified, and is the range right?"
            )
        ]
    if theirs <= _EXCHANGED * ours:
        return []
    return [
        Doubt(
            f"The pair looks swapped: {ours:.0%} of the pixels are consistent, and "
            f"{theirs:.0%} with the sides exchanged. Name the left view first.",
            errors.UserError,
        )
    ]


def _rows(offset: np.ndarray) -> list[Doubt]:
    far = offset[np.abs(offset).argmax()]
    if abs(far) < _OFFSET_PX:
        return []
    least, middle, most = np.percentile(offset, (0, 50, 100))
    side = "below" if middle > 0 else "above"
    text = (
        f"The pair is not rectified: of {len(offset)} points that both views show, the "
        f"left one lies {abs(middle):.1f} rows {side} the right one (median; from "
        f"{least:+.1f} to {most:+.1f}), wanted 0. Rectify the pair"
    )
    # A turned view is not mended by moving it.
    is_moved = most - least < abs(middle)
    text += ", or move one view by that." if is_moved else "."
    return [Doubt(text, errors.DataError if abs(far) >= faults.ROWS else None)]


def _sides(disparity: np.ndarray, settings: matching.Settings) -> list[Doubt]:
    as_is, exchanged = (
        _is_within(side * disparity, settings).mean() for side in (1, -1)
    )
    negative = (disparity < 0).mean()
    # A range around 0 holds both, and movies have both signs: nothing can be told.
    is_swapped = exchanged >= faults.SWAPPED and as_is <= 1 - faults.SWAPPED
    if settings.min_disparity >= 0:
        is_swapped |= negative >= faults.SWAPPED
    if not is_swapped:
        return []
    return [
        Doubt(
            f"The pair looks swapped: {negative:.0%} of {len(disparity)} points that "
            "both views show lie further right in the right view. Name the left view "
            "first; views that are meant so want a negative --min-disparity.",
            errors.UserError,
        )
    ]


def _range(disparity: np.ndarray, settings: matching.Settings) -> list[Doubt]:
    first = settings.min_disparity
    last = first + settings.disparities - 1
    beyond = (disparity < first - 1) | (disparity > last + 1)
    if beyond.mean() <= _AT_END:
        return []
    low, high = np.percentile(disparity, (1, 99))  # without wrong matches
    start = min(first, int(np.floor(_SPARE * low)))
    count = int(np.ceil(_SPARE * max(high, last))) - start + 1
    how = f"--disparities {count}"
    if start < first:
        how = f"--min-disparity {start} {how}"
    return [
        Doubt(
            f"The range {first} to {last} is too small: {beyond.mean():.0%} of "
            f"{len(disparity)} points that both views show have disparities beyond it, "
            f"{low:.0f} to {high:.0f}. Try {how}."
        )
    ]


def _is_within(disparity: np.ndarray, settings: matching.Settings) -> np.ndarray:
    last = settings.min_disparity + settings.disparities - 1
    return (disparity >= settings.min_disparity - 1) & (disparity <= last + 1)
