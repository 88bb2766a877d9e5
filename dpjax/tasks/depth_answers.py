"""What a depth network says of a photograph: how far it is, and a picture of that."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.tasks import answer, depth_protocols
from dpjax.viz import depth_maps

_RANGE = "range"


def other_options(options: Mapping[str, Any], unit: str) -> dict[str, Any]:
    """Returns the options of a request that are not about the picture.

    Args:
        options: {"range": (low, high)}, what the first and the last colour of the
            picture stand for; and others.
        unit: of the range, such as "m".

    Returns:
        The others.

    Raises:
        UserError: a range that does not rise from above 0.
    """
    ends = options.get(_RANGE)
    if ends is not None and not (len(ends) == 2 and 0 < ends[0] < ends[1] < math.inf):
        raise errors.UserError(
            f"The range of the colours is a smaller and a larger depth in {unit}, both "
            f"above 0, got {' '.join(map(str, ends))}. Pass two such as --range 0.5 8, "
            "or leave it out."
        )
    return {name: value for name, value in options.items() if name != _RANGE}


def shown(
    depth: np.ndarray,
    deviation: np.ndarray | None,
    size: tuple[int, int],
    options: Mapping[str, Any],
    unit: str,
) -> answer.Shown:
    """Returns the answer to a request.

    Args:
        depth: in `unit`, [h', w'].
        deviation: standard deviation of its natural logarithm, [h', w'], if known.
        size: height and width of the photograph, pixels.
        options: of the request; see `other_options`.
        unit: such as "m".

    Returns:
        Colours with a bar in `unit`, of the range that was asked for or else of what
        nearly all pixels have; "depth" float32 [*size], in `unit`, and "deviation",
        likewise, where there is one.
    """
    full = depth_protocols.resized(depth, size).astype(np.float32)
    maps = {"depth": full}
    if deviation is not None:
        spread = depth_protocols.resized(deviation, size)
        maps["deviation"] = (full * spread).astype(np.float32)
    ends = options.get(_RANGE)
    least, most = depth_maps.ends(full) if ends is None else ends
    scale = {"least": least, "most": most, "is_log": True}
    colours = depth_maps.colours(full, None, **scale)
    return answer.Shown(
        depth_maps.with_bar(colours, unit=unit, **scale),
        maps,
        units=dict.fromkeys(maps, unit),
        scale=(least, most),
    )
