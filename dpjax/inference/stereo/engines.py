"""Two engines for one pair: dpjax's on any device, and OpenCV's on processors.

`cv2.StereoSGBM` in its mode with eight paths is the same method (Hirschmueller, TPAMI
2008) with the costs of Birchfield & Tomasi, written for processors, where it is the
faster one; on accelerators dpjax's is.
"""

import time
from typing import Literal, NamedTuple

import jax
import numpy as np

from dpjax import errors
from dpjax.ops.stereo import cost, matching

Engine = Literal["auto", "jax", "opencv"]

NAMES = {"jax": "dpjax", "opencv": "OpenCV's StereoSGBM with 8 paths"}

_STEP = 16  # OpenCV's ranges are multiples of it, and its disparities sixteenths
# What OpenCV's matcher does in its own way, without a choice.
_FIXED = (
    "cost",
    "truncation",
    "is_adaptive",
    "right_view",
    "has_fraction",
    "has_median",
    "fill",
)


class Match(NamedTuple):
    """Disparities of the left view, on the host.

    Attributes:
        disparity: pixels, float32 [h, w]; NaN where it is not known and not filled.
        valid: whether it passed all checks, bool [h, w].
        confidence: as of `matching.Result`, float32 [h, w]; None from OpenCV, which
            does not tell.
        seconds: that it took, compilation included.
    """

    disparity: np.ndarray
    valid: np.ndarray
    confidence: np.ndarray | None
    seconds: float


def choose(engine: Engine, settings: matching.Settings, backend: str) -> str:
    """Returns the engine to use.

    Args:
        engine: "auto" takes the faster one of those that can do what is wanted.
        settings: of the matching.
        backend: what `jax.default_backend` says.

    Returns:
        "jax" or "opencv".

    Raises:
        UserError: an unknown engine, or OpenCV's with settings that it does not have.
    """
    if engine not in Engine.__args__:
        raise errors.unknown_name("engine", engine, Engine.__args__)
    lacking = _lacking(settings)
    if engine == "opencv" and lacking:
        named = ", ".join(f"{n}={getattr(settings, n)!r}" for n in lacking)
        raise errors.UserError(
            f"OpenCV's matcher cannot be told {named}. Leave that at the default, or "
            "choose the engine jax."
        )
    if engine != "auto":
        return engine
    return "opencv" if backend == "cpu" and not lacking else "jax"


def match(
    left: np.ndarray, right: np.ndarray, settings: matching.Settings, engine: str
) -> Match:
    """Returns the disparities of the left view of one pair.

    Args:
        left: rectified view, uint8 [h, w, 1 or 3].
        right: the other one, of the same shape.
        settings: of the matching; OpenCV's uses range, box, penalties, uniqueness,
            tolerance and speckles.
        engine: "jax" or "opencv", from `choose`.

    Returns:
        What was found.

    Raises:
        UserError: as `matching.match` does.
    """
    begun = time.perf_counter()
    if engine == "opencv":
        _check(left[None], right[None], settings)
        disparity = _opencv(left, right, settings)
        found = disparity, np.isfinite(disparity), None
    else:
        result = matching.match(left[None], right[None], settings)
        names = ("disparity", "valid", "confidence")
        found = jax.device_get(tuple(getattr(result, n)[0] for n in names))
    return Match(*found, time.perf_counter() - begun)


def _opencv(left, right, settings):
    """Disparities, float32 [h, w]; NaN where there are none."""
    import cv2

    first = settings.min_disparity
    count = _STEP * -(-settings.disparities // _STEP)
    scale = left.shape[-1] * settings.box**2
    # It takes 1 for nothing; no two disparities are farther apart than all of them.
    tolerance = count if settings.tolerance is None else settings.tolerance
    matcher = cv2.StereoSGBM.create(
        minDisparity=first,
        numDisparities=count,
        blockSize=settings.box,
        P1=scale * settings.p1,
        P2=scale * settings.p2,
        disp12MaxDiff=tolerance,
        uniquenessRatio=100 - (settings.uniqueness or 100),
        speckleWindowSize=settings.speckle_size,
        speckleRange=round(settings.speckle_difference),
        mode=cv2.STEREO_SGBM_MODE_HH,
    )
    # It answers only where the whole range lies inside both views.
    before, after = max(0, first + count), max(0, -first)
    views = (
        cv2.copyMakeBorder(view, 0, 0, before, after, cv2.BORDER_REPLICATE)
        for view in (left, right)
    )
    width = left.shape[1]
    sixteenths = matcher.compute(*views)[:, before : before + width]
    found = sixteenths.astype(np.float32) / _STEP
    there = np.arange(width) - np.rint(found)
    # Its range may be longer than what was asked for.
    wanted = (found >= first) & (found < first + settings.disparities)
    return np.where(wanted & (there >= 0) & (there < width), found, np.float32(np.nan))


def _check(left, right, settings):
    """OpenCV mends numbers out of range in silence; they are refused as by dpjax."""
    first, count = settings.min_disparity, settings.disparities
    cost.check(left, right, first, count, settings.box)
    limits = {
        "p1": (0, settings.p2),
        "p2": (0, np.inf),
        "uniqueness": (1, 100),
        "tolerance": (0, np.inf),
        "speckle_size": (0, np.inf),
        "speckle_difference": (0, np.inf),
    }
    for name, (least, most) in limits.items():
        value = getattr(settings, name)
        if value is not None and not least <= value <= most:
            raise errors.UserError(
                f"Stereo matching wants {name} between {least} and {most}, got {value}."
            )


def _lacking(settings):
    names = [n for n in _FIXED if getattr(settings, n) != getattr(matching.ABSOLUTE, n)]
    if not float(settings.speckle_difference).is_integer():
        names.append("speckle_difference")
    # In place of these it takes numbers of its own, in silence.
    if settings.p1 == 0:
        names.append("p1")
    if settings.p2 == settings.p1:
        names.append("p2")
    if settings.tolerance == 0:
        names.append("tolerance")
    return names
