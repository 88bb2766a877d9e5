"""What a depth network says of a photograph: metres, and a picture of them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.tasks import answer, depth_protocols
from dpjax.viz import depth_maps

_RANGE = "range"


def other_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a request that are not about the picture.

    Args:
        options: {"range": (low, high)}, what the first and the last colour of the
            picture stand for, metres; and others.

    Returns:
        The others.

    Raises:
        UserError: a range that does not rise from above 0.
    """
    ends = options.get(_RANGE)
    if ends is not None and not (len(ends) == 2 and 0 < ends[0] < ends[1] < math.inf):
        raise errors.UserError(
            "The range of the colours is a smaller and a larger number of metres, "
            f"both above 0, got {' '.join(map(str, ends))}. Pass two such as "
            "--range 0.5 8, or leave it out."
        )
    return {name: value for name, value in options.items() if name != _RANGE}


def shown(
    depth: np.ndarray,
    deviation: np.ndarray | None,
    size: tuple[int, int],
    options: Mapping[str, Any],
) -> answer.Shown:
    """Returns the answer to a request.

    Args:
        depth: metres, [h', w'].
        deviation: standard deviation of its natural logarithm, [h', w'], if known.
        size: height and width of the photograph, pixels.
        options: of the request; see `other_options`.

    Returns:
        Colours with a bar in metres, of the range that was asked for or else of what
        nearly all pixels have; "depth" float32 [*size], metres, and "deviation",
        metres, where there is one.
    """
    metres = depth_protocols.resized(depth, size).astype(np.float32)
    maps = {"depth": metres}
    if deviation is not None:
        spread = depth_protocols.resized(deviation, size)
        maps["deviation"] = (metres * spread).astype(np.float32)
    ends = options.get(_RANGE)
    least, most = depth_maps.ends(metres) if ends is None else ends
    scale = {"least": least, "most": most, "is_log": True}
    return answer.Shown(
        depth_maps.with_bar(depth_maps.colours(metres, None, **scale), **scale),
        maps,
        units=dict.fromkeys(maps, "m"),
        scale=(least, most),
    )
