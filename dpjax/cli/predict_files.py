"""Where the results of `predict` go, and what is said of the files."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

from dpjax import errors
from dpjax.inference import predictor


def new_file(stem: str, suffix: str, maps: Mapping[str, type]) -> Path:
    """Returns a file of the current directory that is not there yet.

    Args:
        stem: its name, to which a number is added if need be.
        suffix: its ending.
        maps: types of the maps that are to be written beside it, by name.

    Returns:
        A path at which there is nothing, nor where its maps go.
    """
    stems = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
    paths = (Path(name + suffix) for name in stems)
    return next(path for path in paths if _is_free(path, maps))


def check_places(work: Sequence[tuple[Path, Path]], maps: Mapping[str, type]) -> None:
    """Raises if a map would take the place of a picture of the same command.

    Args:
        work: each picture, and the file of its result.
        maps: types of the maps that are to be written beside them, by name.

    Raises:
        UserError: it would.
    """
    taken = {path.resolve() for pair in work for path in pair}
    for source, target in work:
        for name, dtype in maps.items():
            path = predictor.map_path(target, name, dtype)
            if path.resolve() in taken:
                raise errors.UserError(
                    f"{path} is where the map {name!r} of {source} would go, and it is "
                    "another picture of this command. Rename one of them."
                )


def write(
    result: predictor.Result, target: Path, *, name: str | None, has_maps: bool
) -> list[str]:
    """Writes a result.

    Args:
        result: of a picture.
        target: its file.
        name: of the map that is written there; None for the picture.
        has_maps: whether every map is written beside it.

    Returns:
        A line about each file.

    Raises:
        UserError: no such map, or an ending that does not keep its numbers.
        StorageError: the place cannot be written.
    """
    result.save(target, name)
    lines = [_about(target, result, name)]
    if has_maps:
        for name, path in result.map_paths(target).items():
            result.save(path, name)
            lines.append(_about(path, result, name))
    return lines


def _is_free(path: Path, maps: Mapping[str, type]) -> bool:
    beside = (predictor.map_path(path, *item) for item in maps.items())
    return not any(p.exists() or p.is_symlink() for p in (path, *beside))


def _about(path: Path, result: predictor.Result, name: str | None) -> str:
    """What is in a file: its size, and of numbers their range and unit."""
    written = result.maps[name] if name else result.image
    height, width = written.shape[:2]  # a map has no legend below it
    said = f"{path}: {width} x {height}"
    # A picture of a map with a unit is one of its numbers.
    shown = result.maps.get(name or next(iter(result.units), None))
    if shown is not None and shown.dtype.kind == "f":
        unit = result.units.get(name or next(iter(result.units)), "")
        said += f", {shown.min():.3g} to {shown.max():.3g} {unit}".rstrip()
    elif name is None and result.scale is not None:
        said += ", colours from {:.3g} to {:.3g}".format(*result.scale)
    return said if result.exact else f"{said}, blended: too large for one window"
