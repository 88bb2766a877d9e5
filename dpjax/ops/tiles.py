"""Where to cut an image that is too large, or oddly sized, for one call of a network.

A network whose output depends on at most `halo` pixels around each pixel gives the
same answer from a window as from the whole image, except within `halo` of a cut.  A
plan lists windows of one static size whose *cores*, the parts kept, lie at least `halo`
from every cut and together cover the image exactly once.  The border of the image is no
cut: there windows end with the image, so that the layers pad as they would for the
whole image.  Everything here is arithmetic on sizes.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Span:
    """One window along one axis, in pixels of the image.

    Attributes:
        origin: first pixel of the window.
        start: first pixel of the core.
        stop: one past the last pixel of the core.
    """

    origin: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to cut one image.

    Attributes:
        size: height and width of every window; larger than the image where the image is
            padded to a bucket.
        image: height and width of the image.
        rows: windows along the vertical axis.
        columns: windows along the horizontal axis; every pair of spans is a window.
    """

    size: tuple[int, int]
    image: tuple[int, int]
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]

    @property
    def windows(self) -> tuple[tuple[Span, Span], ...]:
        """Returns every window as its (row span, column span), row by row."""
        return tuple((r, c) for r in self.rows for c in self.columns)


def round_up(value: int, multiple: int) -> int:
    """Returns the smallest multiple of `multiple` that is at least `value`.

    Args:
        value: an integer, at least 0.
        multiple: a positive integer.

    Returns:
        An integer.
    """
    return -(-value // multiple) * multiple


def plan(
    height: int,
    width: int,
    limit: int,
    *,
    halo: int,
    stride: int = 1,
    bucket: int = 64,
) -> Plan:
    """Returns windows of one size that reproduce the whole image.

    Along an axis that fits in `limit`, the one window is the axis rounded up to a
    bucket; a longer axis gets the fewest windows possible, as small as that allows.

    Args:
        height: rows of the image, a multiple of `stride`.
        width: columns of the image, a multiple of `stride`.
        limit: longest side of a window, pixels, a multiple of `bucket`.
        halo: pixels of context that the network needs.
        stride: window origins and sizes are multiples of it.
        bucket: window sides are multiples of it; a multiple of `stride`.

    Returns:
        A `Plan` whose cores partition the image.

    Raises:
        ValueError: sizes that are not multiples, or a limit that leaves no core.
    """
    if bucket % stride or limit % bucket or limit < 1:
        raise ValueError(
            f"limit must be a multiple of bucket and bucket of stride, got "
            f"limit {limit}, bucket {bucket}, stride {stride}."
        )
    row_size, rows = _plan_axis(height, limit, round_up(halo, stride), stride, bucket)
    col_size, cols = _plan_axis(width, limit, round_up(halo, stride), stride, bucket)
    return Plan((row_size, col_size), (height, width), rows, cols)


def smallest_limit(*, halo: int, stride: int = 1, bucket: int = 64) -> int:
    """Returns the smallest window limit with which an image of any size can be cut.

    Args:
        halo: pixels of context that the network needs.
        stride: multiple of window origins.
        bucket: multiple of window sides.

    Returns:
        Pixels, a multiple of `bucket`.
    """
    return round_up(2 * round_up(halo, stride) + stride, bucket)


def feather(spans: tuple[Span, ...], size: int, length: int) -> list[np.ndarray]:
    """Returns blending weights of overlapping windows along one axis, which sum to one.

    For networks with unbounded context, where no halo makes windows exact.  A window
    fades in and out linearly over what it shares with its neighbours, never at the
    border of the image.

    Args:
        spans: windows of the axis, by origin.
        size: pixels in a window.
        length: pixels of the axis.

    Returns:
        For each window its weights, float64 [size]; 0 beyond the axis.
    """
    total = np.zeros(length)
    weights = []
    for i, span in enumerate(spans):
        x = np.arange(size) + span.origin
        weight = (x < length).astype(np.float64)
        if i > 0:
            shared = spans[i - 1].origin + size - span.origin
            weight *= np.minimum(1.0, (x - span.origin + 0.5) / shared)
        if i < len(spans) - 1:
            end = span.origin + size
            shared = end - spans[i + 1].origin
            weight *= np.minimum(1.0, (end - x - 0.5) / shared)
        inside = x[x < length]
        total[inside] += weight[: len(inside)]
        weights.append(weight)
    for span, weight in zip(spans, weights, strict=True):
        inside = np.arange(span.origin, min(span.origin + size, length))
        weight[: len(inside)] /= total[inside]
    return weights


def _plan_axis(length, limit, margin, stride, bucket):
    if length < 1 or length % stride:
        raise ValueError(
            f"An image side must be a positive multiple of {stride}, got {length}."
        )
    if length <= limit:
        return round_up(length, bucket), (Span(0, 0, length),)
    if limit < 2 * margin + stride:
        raise ValueError(
            f"A window of {limit} pixels has no core with a halo of {margin}; "
            f"it must be at least {2 * margin + stride}."
        )
    # n windows of side s that overlap by 2 margins cover n (s - 2 margin) + 2 margin.
    count = math.ceil((length - 2 * margin) / (limit - 2 * margin))
    size = math.ceil((length - 2 * margin) / count) + 2 * margin
    size = min(round_up(size, bucket), limit)
    step = size - 2 * margin
    count = math.ceil((length - 2 * margin) / step)
    spans = []
    for i in range(count):
        is_last = i == count - 1
        # The last window ends with the image, so that nothing is padded there.
        origin = length - size if is_last else i * step
        start = spans[-1].stop if spans else 0
        stop = length if is_last else origin + size - margin
        spans.append(Span(origin, start, stop))
    return size, tuple(spans)
