"""What decoders ask of a feature pyramid before they read it."""

from collections.abc import Collection, Mapping
from typing import Any

from dpjax import errors


def check_strides(
    pyramid: Mapping[int, Any], wanted: Collection[int], decoder: str, advice: str
) -> None:
    """Refuses a pyramid without maps of some strides.

    Args:
        pyramid: stride to a map, or to several.
        wanted: strides that the decoder reads.
        decoder: its name, for the message.
        advice: which backbones have them, or what reads others; a sentence.

    Raises:
        UserError: strides are missing; it names them.
    """
    missing = sorted(set(wanted) - set(pyramid))
    if missing:
        raise errors.UserError(
            f"{decoder} wants features of strides {sorted(wanted)}, got strides "
            f"{sorted(pyramid)}: {missing} are missing. {advice}"
        )


def at_least(pyramid: Mapping[int, Any], finest: int, decoder: str) -> list[int]:
    """Returns the strides of a pyramid from one on, the coarsest first.

    Args:
        pyramid: stride to a map, or to several.
        finest: the smallest stride that the decoder reads.
        decoder: its name, for the message.

    Returns:
        Strides, falling; at least one.

    Raises:
        UserError: all strides are smaller.
    """
    strides = sorted((s for s in pyramid if s >= finest), reverse=True)
    if not strides:
        raise errors.UserError(
            f"{decoder} wants features of stride {finest} or more, got strides "
            f"{sorted(pyramid)}. Take another backbone."
        )
    return strides
