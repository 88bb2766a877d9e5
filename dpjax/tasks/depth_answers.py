"""What a depth network says of a photograph: how far it is, and a picture of that."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dpjax.tasks import answer, depth_protocols
from dpjax.viz import depth_maps


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
        options: of the request; see `answer.without_range`.
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
    ends = options.get(answer.RANGE)
    least, most = depth_maps.ends(full) if ends is None else ends
    scale = {"least": least, "most": most, "is_log": True}
    colours = depth_maps.colours(full, None, **scale)
    return answer.Shown(
        depth_maps.with_bar(colours, unit=unit, **scale),
        maps,
        units=dict.fromkeys(maps, unit),
        scale=(least, most),
        scale_is_log=True,
    )
