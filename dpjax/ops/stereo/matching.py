"""Disparities of rectified pairs by semi-global matching (Hirschmueller, TPAMI 2008).

The first step of RDIS (Cao, Zhao, Xian, Shen, Cao & Xu, TCSVT 2020), which makes
relative depth from stereo movies: matching costs, paths from eight directions, the best
disparity with a fraction, three checks (is it clear, does the other view agree, is it
no speckle), and disparities for what fails them.  Everything but the last fraction is
in whole numbers, so results do not depend on the batch or on how it is compiled.

Views of movies converge on the screen: what is behind it has negative disparities, and
all of them are known up to a shift.  Use differences, never ratios; larger is closer.
"""

import dataclasses
import functools
from typing import Literal, NamedTuple

import jax
import numpy as np
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import images_in_turns
from dpjax.ops.stereo import checks, cost, filling, medians, sgm, speckles, winners

Cost = Literal["absolute", "census"]
RightView = Literal["own", "shared"]
Fill = Literal["none", "directions", "guided"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a pair is matched.

    Attributes:
        min_disparity: the first disparity, pixels; negative for what lies behind the
            plane that the views converge on.
        disparities: how many there are from it on.
        cost: "absolute", truncated absolute differences, or "census".
        box: side of the square that costs are summed over, pixels; odd.
        truncation: largest absolute difference that counts, of the mean over channels,
            levels of 255.
        p1: penalty for a disparity that changes by one between neighbours, in the unit
            of the cost of a pixel: levels of 255, or differing bits of the census.
        p2: penalty for a larger change, likewise; `p1` or more.
        is_adaptive: whether `p2` is divided by the difference of gray levels.
        uniqueness: a best total must be below this part of the best one elsewhere, per
            cent; None takes all.
        right_view: disparities of the right view come from paths of its "own", for the
            price of a second matching, or from the totals that are "shared".
        tolerance: by how much the views may disagree, pixels; None does not ask.
        has_fraction: whether a parabola refines whole disparities.
        has_median: whether the valid ones get the median of 3 x 3.
        speckle_size: islands up to this number of pixels are removed; 0 keeps them.
        speckle_difference: up to which neighbours belong together, pixels.
        fill: what becomes of the others: "none", NaN; "directions", from the nearest
            valid ones, behind for occluded pixels; "guided", after that by the median
            of near ones of similar colour.
        fill_radius: of the window of that median, samples.
        fill_stride: pixels from sample to sample.
        fill_sigma_255: tolerance of its colours, levels of 255.
    """

    min_disparity: int = 0
    disparities: int = 64
    cost: Cost = "absolute"
    box: int = 3
    truncation: int = 40
    p1: int = 8
    p2: int = 32
    is_adaptive: bool = False
    uniqueness: int | None = 95
    right_view: RightView = "shared"
    tolerance: int | None = 1
    has_fraction: bool = True
    has_median: bool = True
    speckle_size: int = 100
    speckle_difference: float = 1.0
    fill: Fill = "none"
    fill_radius: int = 7
    fill_stride: int = 3
    fill_sigma_255: float = 10.0


ABSOLUTE = Settings()
# Penalties of libSGM, which has the same window, the larger one smaller across edges.
CENSUS = Settings(cost="census", box=1, p1=10, p2=120, is_adaptive=True)


class Result(NamedTuple):
    """Disparities of the left view; a pytree.

    Attributes:
        disparity: pixels, float32 [b, h, w]; NaN where it is not known and not filled.
        confidence: 1 less the ratio of the least total to the best one elsewhere, 0 to
            1, float32 [b, h, w]; 0 where it is not valid.
        valid: whether the pixel has contrast and its disparity passed all checks, bool
            [b, h, w].
        occluded: pixels that are not valid and that no pixel of the right view is
            matched with, bool [b, h, w]; none if the views are not compared.
    """

    disparity: jax.Array
    confidence: jax.Array
    valid: jax.Array
    occluded: jax.Array


def match(left: jax.Array, right: jax.Array, settings: Settings = ABSOLUTE) -> Result:
    """Returns the disparities of the left view.

    On processors frames take turns, elsewhere they are computed together.  A frame
    needs room for 9 volumes of h w n numbers of 16 bits, 14 for an own right view: 0.7
    and 1.1 GB for 480 x 640 pixels and 128 disparities, up to twice that where costs
    and penalties want 32 bits.  Pixels that are not finite match nothing and are not
    valid.

    Args:
        left: rectified view, uint8, or float in [0, 1], [b, h, w, 1 or 3].
        right: the other one, likewise; what is at column x in the left view is at
            x - disparity here.
        settings: costs, penalties and checks.

    Returns:
        Disparities, confidence and masks.

    Raises:
        UserError: views of different or unusable shapes, values beyond [0, 1], a range
            that no pixel can show, or settings that cannot be used.
    """
    left, right = (
        x if isinstance(x, jax.Array) else np.asarray(x) for x in (left, right)
    )
    _check(left, right, settings)
    return _match(left, right, settings)


@functools.partial(jax.jit, static_argnames=("settings",))
def _match(left, right, settings):
    def of_one(left, right):
        found = _match_one(left[None], right[None], settings)
        return jax.tree.map(lambda x: x[0], found)

    return images_in_turns.for_each(of_one, 1)(left, right)


def _match_one(left, right, settings):
    """For a batch of one."""
    first = settings.min_disparity
    costs = _costs(left, right, settings)
    totals = _totals(costs, left, settings)
    best = winners.select(totals, uniqueness=settings.uniqueness)
    whole = best.index + first
    disparity = whole.astype(jnp.float32)
    if settings.has_fraction:
        disparity += best.offset
    seen = (cost.levels(x)[1] for x in (left, right))
    valid = _is_there(whole, *seen) & best.is_unique
    valid &= cost.has_contrast(costs, min_disparity=first, box=settings.box)
    occluded = jnp.zeros_like(valid)
    if settings.tolerance is not None:
        other = _right_view(left, right, totals, settings) + first
        valid &= checks.is_consistent(whole, other, tolerance=settings.tolerance)
        # Exactly, as in the paper: a miss would hide the first and the last column.
        occluded = ~checks.is_seen(other, tolerance=0)
    if settings.has_median:
        disparity = medians.smooth(disparity, valid)
    if settings.speckle_size:
        valid = speckles.remove(
            disparity,
            valid,
            size=settings.speckle_size,
            difference=settings.speckle_difference,
        )
    occluded &= ~valid
    confidence = jnp.where(valid, 1 - best.ratio, 0)
    disparity = _filled(disparity, valid, occluded, left, settings)
    return Result(disparity, confidence, valid, occluded)


def _costs(left, right, settings):
    options = {
        "min_disparity": settings.min_disparity,
        "disparities": settings.disparities,
        "box": settings.box,
    }
    if settings.cost == "census":
        return cost.census(left, right, **options)
    return cost.absolute(left, right, truncation=settings.truncation, **options)


def _totals(costs, left, settings):
    scale, largest = _scale(settings, left.shape[-1])
    guide = None
    if settings.is_adaptive:
        guide = cost.gray(cost.levels(left)[0])
    p1, p2 = scale * settings.p1, scale * settings.p2
    return sgm.aggregate(costs, p1=p1, p2=p2, guide=guide, largest=largest)


def _scale(settings, channels):
    """What a unit of the penalties is in summed costs, and the largest such cost."""
    area = settings.box**2
    if settings.cost == "census":
        return area, area * cost.CENSUS_BITS
    return area * channels, area * channels * settings.truncation


def _right_view(left, right, totals, settings):
    """Index of the disparity of each right pixel."""
    first = settings.min_disparity
    if settings.right_view == "shared":
        return winners.of_right_view(totals, min_disparity=first)
    # In a mirror the right view is the left one.
    left, right = right[:, :, ::-1], left[:, :, ::-1]
    mirrored = _totals(_costs(left, right, settings), left, settings)
    return winners.select(mirrored).index[:, :, ::-1]


def _is_there(whole, seen_left, seen_right):
    """Whether there is a pixel at both ends of a match."""
    width = whole.shape[-1]
    there = jnp.clip(jnp.arange(width) - whole, 0, width - 1)
    matched = jnp.take_along_axis(seen_right, there, axis=-1)
    return checks.is_inside(whole) & seen_left & matched


def _filled(disparity, valid, occluded, image, settings):
    if settings.fill == "none":
        return jnp.where(valid, disparity, jnp.nan)
    filled = filling.from_directions(disparity, valid, occluded)
    if settings.fill == "guided":
        filled = medians.fill(
            filled,
            valid,
            image,
            radius=settings.fill_radius,
            stride=settings.fill_stride,
            sigma_255=settings.fill_sigma_255,
        )
    return filled


def _check(left, right, settings):
    cost.check(left, right, settings.min_disparity, settings.disparities, settings.box)
    for name, kinds in (("cost", Cost), ("right_view", RightView), ("fill", Fill)):
        if getattr(settings, name) not in kinds.__args__:
            raise errors.unknown_name(
                f"value of {name}", getattr(settings, name), kinds.__args__
            )
    for view in (left, right):
        if isinstance(view, jax.core.Tracer) or view.dtype == jnp.uint8:
            continue
        view = np.asarray(view)
        finite = view[np.isfinite(view)]
        low, high = finite.min(initial=0), finite.max(initial=0)
        if low < 0 or high > 1:
            raise errors.UserError(
                f"Views of floats want values in [0, 1], got {low:g} to {high:g}. "
                "Divide by 255, or pass uint8."
            )
