"""What a number in a user's depth maps means: a word, or `depth.json` beside them.

{"unit": "millimetres", "ignore": [65535], "max_m": 10} is such a description; all but
the unit may be left out.
"""

import json
import math
import pathlib
from collections.abc import Sequence
from typing import Any

from dpjax import errors
from dpjax.data import depth_files

FILE = "depth.json"
_PER_METRE = {
    **dict.fromkeys(("metres", "meters", "m"), 1.0),
    **dict.fromkeys(("centimetres", "centimeters", "cm"), 100.0),
    **dict.fromkeys(("millimetres", "millimeters", "mm"), 1000.0),
}
WANTED = (
    'metres, centimetres, millimetres, "1/N" for N to the metre (KITTI 1/256, TUM '
    "1/5000), or the metres of one unit as a number"
)
_KEYS = ("unit", "ignore", "bits", "min_m", "max_m")


def parse(unit: str | float) -> float:
    """Returns how many of a unit are a metre.

    Args:
        unit: a word such as "millimetres", "1/256", or metres as a number.

    Returns:
        Above 0.

    Raises:
        UserError: it is none of these.
    """
    text = str(unit).strip().lower().removesuffix(" m")
    if text in _PER_METRE:
        return _PER_METRE[text]
    before, slash, after = text.rpartition("/")
    try:
        found = float(after) / float(before) if slash else 1 / float(text)
    except (ValueError, ZeroDivisionError):
        found = math.nan
    if not 0 < found < math.inf or isinstance(unit, bool):
        raise errors.UserError(f"A unit of depth is {WANTED}; got {unit!r}.")
    return found


def read(path: pathlib.Path, *, ignore: Sequence[int] = ()) -> depth_files.Unit:
    """Returns what a description of depth maps says.

    Args:
        path: the file, JSON.
        ignore: further numbers of pixels that were not measured.

    Returns:
        The unit.

    Raises:
        DataError: the file cannot be read, or says something else.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise errors.DataError(f"Cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise _malformed(path, f"is no JSON: {error}") from error
    if not isinstance(said, dict) or "unit" not in said:
        raise _malformed(path, "does not say the unit")
    for key in said:
        if key not in _KEYS:
            raise _malformed(path, f"says {key!r}, which is not known")
    bits, low, high = said.get("bits", 16), said.get("min_m"), said.get("max_m")
    numbers = said.get("ignore", [])
    numbers = numbers if isinstance(numbers, list) else [numbers]
    if bits not in (8, 16):
        raise _malformed(path, f"says {bits!r} bits, not 8 or 16")
    for key, value in (("min_m", low), ("max_m", high)):
        if value is not None and not (_is_number(value) and value > 0):
            raise _malformed(path, f"says {value!r} for {key}, no number above 0")
    if low is not None and high is not None and low >= high:
        raise _malformed(path, f"leaves nothing between min_m {low} and max_m {high}")
    if not all(map(_is_number, numbers)):
        raise _malformed(path, f"says {numbers!r} to ignore, not numbers")
    try:
        per_metre = parse(said["unit"])
    except errors.UserError as error:
        raise errors.DataError(f"In {path}: {error}") from error
    return depth_files.Unit(per_metre, (*numbers, *ignore), bits, low, high)


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _malformed(path: pathlib.Path, what: str) -> errors.DataError:
    return errors.DataError(
        f'{path} {what}. Wanted something like {{"unit": "millimetres", "ignore": '
        f'[65535], "max_m": 10}}; it may say {", ".join(_KEYS)}.'
    )
