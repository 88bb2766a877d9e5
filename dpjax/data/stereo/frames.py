"""From stereo pairs to relative disparity, or to the reason why there is none.

The first step of RDIS (Cao, Zhao, Xian, Shen, Cao & Xu, TCSVT 2020) without the people
who corrected its result: colours of the right view are matched to the left one, bars
and a vertical offset are cut off, the views are matched by semi-global matching, holes
are filled as the image suggests, and frames that tell too little are rejected.  The
thresholds are this project's, and so are costs by census: absolute differences, as the
paper has them, put twice as many matched points of real pairs into wrong order.

What comes out depends on the pair and the settings alone, not on what it is computed
together with, so one machine and many give the same records.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dpjax import errors
from dpjax.data import image_files
from dpjax.data.stereo import (
    colours,
    faults,
    letterbox,
    ranges,
    relative,
    swapped,
    vertical,
)
from dpjax.ops.stereo import matching

THUMBNAIL = 320  # longest side of the pictures that rejections keep, pixels
_REACH = 15  # where no range is found: up to one in so many of the width
METHODS = {
    "census": dataclasses.replace(matching.CENSUS, fill="guided"),
    "absolute": dataclasses.replace(matching.ABSOLUTE, fill="guided"),
}
_GREY = 2.0  # mean difference of channels of a view without colour, levels of 255
_FEWEST_VOTES = 20
# Of one frame, where points tell nothing: 0.2 to 0.4 on Middlebury's pairs, and 0.4 to
# 0.8 swapped, so that this finds half of them.
_MOST_VOTES_BEFORE = 0.6


@dataclasses.dataclass(frozen=True)
class Settings:
    """How frames are matched and which are kept.

    Attributes:
        disparities: least and largest one, pixels of the width that is matched; None
            looks for those of each pair, see `ranges`.
        width: wider views are shrunk to it, pixels.
        rows: smaller vertical offsets are removed; pairs so far apart, which may be
            farther, are rejected.
        is_signed: whether disparities may all be negative, as in films, whose views
            converge; so they may with a range that begins below 0.
        confident: least share of pixels whose disparity passes all checks.
        spread: least distance of the 2nd from the 98th percentile of disparity, pixels.
        at_ends: largest share of confident pixels at an end of the range, which was
            then too small.
        has_grey: whether views without colour are taken.
        method: costs, penalties and checks, such as those of `METHODS`; its range is
            not used.
    """

    disparities: tuple[int, int] | None = None
    width: int = 960
    rows: int = 8
    is_signed: bool = False
    confident: float = 0.5
    spread: float = 2.0
    at_ends: float = 0.05
    has_grey: bool = False
    method: matching.Settings = METHODS["census"]

    def __post_init__(self):
        """Refuses ranges that nothing can show.

        Raises:
            UserError: a range that does not rise.
        """
        if self.disparities is not None and not (
            self.disparities[0] < self.disparities[1]
        ):
            raise errors.UserError(
                "Disparities go from the least to the largest, such as -64 64, got "
                f"{self.disparities[0]} {self.disparities[1]}."
            )

    def range_of(self, left: np.ndarray, right: np.ndarray) -> tuple[int, int]:
        """Returns the least and the largest disparity that a pair is matched with.

        Args:
            left: uint8 [h, w, 3].
            right: likewise.

        Returns:
            Both, included, pixels.
        """
        if self.disparities is not None:
            return self.disparities
        reach = max(left.shape[1] // _REACH, 1)
        return ranges.find(left, right, self.method) or (-reach, reach)


class Pair(NamedTuple):
    """Two views of one moment.

    Attributes:
        name: id of the record.
        left: uint8 RGB [h, w, 3].
        right: likewise.
        origin: file or files, for messages.
    """

    name: str
    left: np.ndarray
    right: np.ndarray
    origin: str


@dataclasses.dataclass(frozen=True)
class Frame:
    """A pair that became a record.

    Attributes:
        name: id of the record.
        image: left view, uint8 RGB [h, w, 3].
        disparity: (d - 2nd percentile) / (98th - 2nd percentile), larger is closer,
            float32 [h, w].
        confidence: 0 where the disparity was filled in, up to 255 where nothing else
            came near it, uint8 [h, w].
        rows: vertical offset that was removed.
        bars: rows and columns that were cut off, black bars.
        confident: share of pixels that were not filled in.
        spread: distance of the percentiles, pixels.
        disparities: least and largest one that was looked for, pixels.
        votes: how many holes look like what is behind, and like what is before; see
            `swapped.votes`.
    """

    name: str
    image: np.ndarray
    disparity: np.ndarray
    confidence: np.ndarray
    rows: int
    bars: tuple[int, int]
    confident: float
    spread: float
    disparities: tuple[int, int]
    votes: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Rejection:
    """A pair that did not.

    Attributes:
        name: the id that the record would have had.
        reason: a word or two, to count by.
        message: what was found, with the name of the file.
        picture: left view, shrunk, uint8 [h, w, 3]; None if there is none.
    """

    name: str
    reason: str
    message: str
    picture: np.ndarray | None = None


class _Aligned(NamedTuple):
    pair: Pair
    left: np.ndarray
    right: np.ndarray
    rows: int
    bars: tuple[int, int]
    disparities: tuple[int, int]


def process(
    pairs: Sequence[Pair], settings: Settings = Settings(), *, batch: int = 1
) -> list[Frame | Rejection]:
    """Returns what becomes of each pair.

    Args:
        pairs: of any sizes.
        settings: how they are matched.
        batch: how many frames of one size and range are matched together; those that
            remain go one by one, so that at most two programs are compiled for them.

    Returns:
        A frame or a rejection for each, in order.
    """
    found: dict[int, Frame | Rejection] = {}
    alike: dict[tuple[int, ...], list[int]] = {}
    aligned: dict[int, _Aligned] = {}
    for i, pair in enumerate(pairs):
        prepared = _prepare(pair, settings)
        if isinstance(prepared, Rejection):
            found[i] = prepared
        else:
            aligned[i] = prepared
            kind = (*prepared.left.shape, *prepared.disparities)
            alike.setdefault(kind, []).append(i)
    for places in alike.values():
        whole = len(places) - len(places) % batch
        groups = [places[k : k + batch] for k in range(0, whole, batch)]
        groups += [[place] for place in places[whole:]]
        for group in groups:
            results = _match([aligned[i] for i in group], settings)
            found |= dict(zip(group, results, strict=True))
    return [found[i] for i in range(len(pairs))]


def _prepare(pair: Pair, settings: Settings) -> _Aligned | Rejection:
    def rejected(reason, message):
        return _rejection(pair, reason, message)

    left, right = pair.left, pair.right
    fault = faults.of_views(left, right)
    if fault is not None:
        return rejected(*fault)
    for side, view in (("left", left), ("right", right)):
        if not settings.has_grey and _is_grey(view):
            return rejected(
                "monochrome", f"the {side} view has no colour; --grey takes it anyway"
            )
    window = letterbox.find(left).common(letterbox.find(right))
    bars = tuple(n - m for n, m in zip(left.shape[:2], window.size, strict=True))
    least = max(image_files.SMALLEST_SIDE, 2 * settings.rows + 1)
    if min(window.size) < least:
        return rejected(
            "black bars" if any(bars) else "too small",
            f"a picture of {window.size[0]}x{window.size[1]}, wanted at least {least} "
            f"pixels on a side; {bars[0]} rows and {bars[1]} columns are black bars",
        )
    left, right = (_shrunk(window.of(x), settings.width) for x in (left, right))
    height, width = left.shape[:2]
    right = colours.match_histogram(right, left)
    is_signed = settings.is_signed or (settings.disparities or (0,))[0] < 0
    fault = faults.of_points(
        left, right, is_signed=is_signed, is_shifted=settings.rows > 0
    )
    if fault is not None:
        return rejected(*fault)
    low, high = settings.range_of(left, right)
    if height <= 2 * settings.rows or max(-low, high) >= width:
        return rejected(
            "too small", f"{height}x{width} pixels show no disparities of {low}..{high}"
        )
    rows = vertical.offset(left, right, low=low, high=high, reach=settings.rows)
    if settings.rows and abs(rows) == settings.rows:
        return rejected(
            "vertical offset",
            f"the views are {abs(rows)} rows apart, or more; rectify them",
        )
    views = vertical.aligned(left, right, rows)
    return _Aligned(pair, *views, rows, bars, (low, high))


def _rejection(pair: Pair, reason: str, message: str) -> Rejection:
    height, width = pair.left.shape[:2]
    most = max(round(THUMBNAIL * width / max(height, width)), 1)
    picture = _shrunk(pair.left, most)
    return Rejection(pair.name, reason, f"{pair.origin}: {message}", picture)


def _is_grey(view: np.ndarray) -> bool:
    """Compression gives gray pictures some colour, so none is asked exactly."""
    return float(np.ptp(view, axis=-1).mean()) < _GREY


def _shrunk(view: np.ndarray, most: int) -> np.ndarray:
    import cv2

    height, width = view.shape[:2]
    if width <= most:
        return np.ascontiguousarray(view)
    size = (most, max(round(height * most / width), 1))
    return cv2.resize(view, size, interpolation=cv2.INTER_AREA)


def _match(group: list[_Aligned], settings: Settings) -> list[Frame | Rejection]:
    low, high = group[0].disparities
    changed = dataclasses.replace(
        settings.method, min_disparity=low, disparities=high - low + 1
    )
    views = (np.stack([getattr(x, side) for x in group]) for side in ("left", "right"))
    result = matching.match(*views, changed)
    maps = [np.asarray(x) for x in (result.disparity, result.confidence, result.valid)]
    return [
        _finish(aligned, *(x[i] for x in maps), settings)
        for i, aligned in enumerate(group)
    ]


def _finish(aligned, disparity, confidence, valid, settings):
    pair = aligned.pair

    def rejected(reason, message):
        return _rejection(pair, reason, message)

    first, last = aligned.disparities
    share = float(valid.mean())
    if share < settings.confident or not valid.any():
        return rejected(
            "not confident",
            f"{100 * share:.0f} % of the pixels can be matched, wanted "
            f"{100 * settings.confident:.0f} %; are the views rectified, and "
            f"{first}..{last} all of their disparities?",
        )
    low, high = relative.ends(disparity, valid)
    if high - low < settings.spread:
        return rejected(
            "low spread",
            f"disparities spread over {high - low:.1f} pixels, wanted "
            f"{settings.spread:g}",
        )
    known = disparity[valid]
    is_at_end = known > last - 1
    if first != 0 or settings.is_signed:  # at 0 is what is far away, and nothing beyond
        is_at_end |= known < first + 1
    at_ends = float(is_at_end.mean())
    if at_ends > settings.at_ends:
        return rejected(
            "range too small",
            f"{100 * at_ends:.0f} % of the disparities are at an end of {first}..{last}"
            "; pass a wider range with --disparities",
        )
    votes = swapped.votes(aligned.left, disparity, valid)
    before, count = votes.before, sum(votes)
    if count >= _FEWEST_VOTES and before > _MOST_VOTES_BEFORE * count:
        return rejected(
            "swapped views",
            f"{before} of {count} occlusions look like what is nearer: left and right "
            "are probably exchanged",
        )
    levels = np.clip(np.rint(255 * confidence), 1, 255)
    return Frame(
        name=pair.name,
        image=aligned.left,
        disparity=relative.normalise(disparity, low, high),
        confidence=np.where(valid, levels, 0).astype(np.uint8),
        rows=aligned.rows,
        bars=aligned.bars,
        confident=share,
        spread=high - low,
        disparities=aligned.disparities,
        votes=tuple(votes),
    )
