"""What a task says of a picture, where that is not another picture."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from dpjax import errors, storage

SUFFIX = ".json"
RANGE = "range"  # the option that gives the scale of a picture


@dataclasses.dataclass(frozen=True)
class Answer:
    """Words for people, and the same as values for programs.

    Attributes:
        lines: the answer, the most important line first.
        values: plain JSON values.
    """

    lines: tuple[str, ...]
    values: dict[str, Any]

    def __str__(self) -> str:
        """Returns the lines.

        Returns:
            Several lines of text.
        """
        return "\n".join(self.lines)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the values, completely or not at all.

        Args:
            path: ends in .json.

        Raises:
            UserError: another ending.
            StorageError: the place cannot be written.
        """
        check_suffix(path)
        text = json.dumps(self.values, indent=2, ensure_ascii=False) + "\n"
        storage.replace(path, text.encode())


def check_suffix(path: str | os.PathLike) -> None:
    """Raises unless an answer can be written to a file of this name.

    Args:
        path: where an answer is to go.

    Raises:
        UserError: another ending than .json.
    """
    if pathlib.Path(path).suffix.lower() != SUFFIX:
        raise errors.UserError(
            f"These weights answer in words, which are written as {SUFFIX}; got "
            f"{os.fspath(path)!r}. Change the ending, or leave the output out."
        )


@dataclasses.dataclass(frozen=True)
class Shown:
    """Maps of a picture for programs, and a picture of them for people.

    Attributes:
        picture: uint8 [h', w', 3]; it may have a legend below it.
        maps: arrays [h, w] by name, such as "labels".
        units: of the maps that have one, such as {"depth": "m"}.
        scale: what the first and the last colour of the picture stand for, where every
            picture has a scale of its own, unless the option `range` gives one.
        scale_is_log: even ratios get even steps of colour, not even differences.
        legend_rows: rows at the bottom of the picture that name what is in it; other
            pictures have more or fewer.
    """

    picture: np.ndarray
    maps: dict[str, np.ndarray]
    units: dict[str, str] = dataclasses.field(default_factory=dict)
    scale: tuple[float, float] | None = None
    scale_is_log: bool = False
    legend_rows: int = 0


def without_range(
    options: Mapping[str, Any], wanted: str, *, above: float = -math.inf
) -> dict[str, Any]:
    """Returns the options of a request but for the scale of its colours.

    Args:
        options: {"range": (low, high)}, what the first and the last colour of the
            picture stand for, or not; and others.
        wanted: what each end of the range is, for people, such as "depth in m".
        above: both ends are larger.

    Returns:
        The others.

    Raises:
        UserError: a range that is not two finite numbers that rise from there.
    """
    ends = options.get(RANGE)
    is_right = ends is None or (len(ends) == 2 and above < ends[0] < ends[1] < math.inf)
    if not is_right:
        raise errors.UserError(
            f"The range of the colours is a smaller and a larger {wanted}, got "
            f"{' '.join(map(str, ends))}. Pass two such as --range 0.5 8, or leave it "
            "out."
        )
    return {name: value for name, value in options.items() if name != RANGE}
