"""Files of what was found in a pair: a picture, and maps with every number."""

from pathlib import Path

import numpy as np

from dpjax.inference import pictures
from dpjax.inference.stereo import camera, engines
from dpjax.viz import disparity_maps

_LARGEST = 255  # of a mask


def of(found: engines.Match, rig: camera.Camera | None = None) -> dict[str, np.ndarray]:
    """Returns the maps by name.

    Args:
        found: by either engine.
        rig: of the pair, if it is known.

    Returns:
        "disparity", pixels, float32 [h, w], NaN where unknown; "valid", what passed
        all checks, uint8 [h, w], 255 or 0; "confidence", float32 [h, w], if the
        engine tells it; "depth", metres, float32 [h, w], 0 where unknown, with a
        camera.
    """
    maps = {
        "disparity": found.disparity.astype(np.float32),
        "valid": _LARGEST * found.valid.astype(np.uint8),
    }
    if found.confidence is not None:
        maps["confidence"] = found.confidence.astype(np.float32)
    if rig is not None:
        maps["depth"] = rig.depth(found.disparity)
    return maps


def paths(target: Path, suffix: str) -> dict[str, Path]:
    """Returns where the maps beside a picture go.

    Args:
        target: the picture.
        suffix: of maps of fractions, such as ".npy"; masks are .png.

    Returns:
        Paths by the names that `of` gives.
    """
    endings = dict.fromkeys(("disparity", "confidence", "depth"), suffix)
    endings["valid"] = ".png"
    return {
        name: target.with_name(f"{target.stem}-{name}{ending}")
        for name, ending in endings.items()
    }


def save(target: Path, maps: dict[str, np.ndarray], suffix: str) -> None:
    """Writes the picture of disparities and the maps beside it.

    Args:
        target: the picture, with one of the endings of `pictures.SUFFIXES`.
        maps: from `of`.
        suffix: as for `paths`.

    Raises:
        UserError: an ending that cannot be written.
        StorageError: the place cannot be written.
    """
    pictures.write(target, disparity_maps.picture(maps["disparity"]))
    for name, path in paths(target, suffix).items():
        if name in maps:
            pictures.write_map(path, maps[name])
