"""What of a record tells which of two points is farther, or what to do without.

depth      metres, larger for farther; ratios make an order
disparity  of any sign and unit, larger for nearer; differences make an order, and
           `confidence`, 0 to 255, may say how sure each is
points     `points` and `relation`, whose order people or others made
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from dpjax import errors
from dpjax.data import depth_files

Target = Literal["depth", "disparity", "points"]

# What losses of each target there are, the usual one first.
LOSSES: dict[Target, tuple[str, ...]] = {
    "depth": ("redweb", "diw", "sgr", "rdis", "affine_invariant"),
    "disparity": ("rdis", "diw", "affine_invariant"),
    "points": ("diw", "redweb", "sgr"),
}
# Why others are not among them.
REASONS: dict[Target, str] = {
    "depth": "",
    "disparity": ", which has no ratios",
    "points": ", which knows an order and no map",
}

_MAPS = ("depth", "disparity")
_WORDS = {name: name for name in _MAPS} | {"points": "pairs of points"}
_MOST = 255  # of a confidence

Record = Mapping[str, Any]


def map_of(record: Record, target: Target) -> str:
    """Returns which map of a record puts its points in order.

    Args:
        record: a decoded record.
        target: what is learned.

    Returns:
        The target if the record has it; of points, which are no map, the depth or else
        the disparity; "" if there is none.
    """
    wanted = _MAPS if target == "points" else (target,)
    return next((name for name in wanted if name in record), "")


def truth(
    record: Record, target: Target, *, least_confidence: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the map that puts points in order, and where it is known.

    Args:
        record: a decoded record.
        target: what is learned.
        least_confidence: of disparities, a share of 255; larger ones count.

    Returns:
        float32 [h, w], 0 where it is not known, and bool [h, w].

    Raises:
        DataError: the record has no such map.
    """
    name = map_of(record, target)
    if not name:
        wanted = " or ".join(_MAPS) if target == "points" else target
        lacks = f"{_named(record)} has no {wanted} to put points in order by"
        if "points" in record:
            raise errors.DataError(
                f'{lacks}. Choose the protocol "points" for its own pairs, or name '
                "another source."
            )
        raise errors.DataError(_told(lacks, record, target))
    values = record[name]
    if name == "depth":
        known = depth_files.has_depth(values)
    else:
        known = np.isfinite(values)
        if "confidence" in record:
            known &= record["confidence"] / _MOST > least_confidence
    return np.where(known, values, 0).astype(np.float32), known


def check_taught(record: Record, target: Target) -> None:
    """Raises if an order cannot be learned from a record.

    Args:
        record: a decoded record.
        target: what is learned.

    Raises:
        DataError: the record has no such target; the message names one that it has.
    """
    if target not in record:
        lacks = f"{_named(record)} has no {_WORDS[target]} to learn an order from"
        raise errors.DataError(_told(lacks, record, target))


def check_points(record: Record) -> None:
    """Raises if a record has no order of its own to be scored by.

    Args:
        record: a decoded record.

    Raises:
        DataError: the record has no pairs of points.
    """
    if "points" not in record:
        raise errors.DataError(
            f"{_named(record)} has no pairs of points. Choose the protocol "
            '"dense", or name another source.'
        )


def check_any(name: str, record: Record, target: Target) -> None:
    """Raises if a record can be neither learned from nor scored.

    Args:
        name: of its source.
        record: a decoded record.
        target: what is learned.

    Raises:
        DataError: neither the target nor pairs of points.
    """
    if "points" not in record and not map_of(record, target):
        lacks = " and no ".join(dict.fromkeys((_WORDS[target], _WORDS["points"])))
        raise errors.DataError(_told(f"{name} has no {lacks}", record, target))


def _told(lacks: str, record: Record, target: Target) -> str:
    """What is missing, and what to do about it."""
    for other, losses in LOSSES.items():
        if other != target and other in record:
            return (
                f"{lacks}, but {_WORDS[other]}. Name another source, or pass "
                f"--task.target {other} --task.loss {losses[0]}; evaluate.py takes a "
                "config that has them, with --weights."
            )
    return (
        f"{lacks}. Name a source of one of {', '.join(_WORDS.values())}, and which it "
        "is: --task.target."
    )


def _named(record: Record) -> str:
    source = record.get("source")
    return f"{record['id']}{f' of {source}' if source else ''}"
