"""Lists of point pairs that say which point is farther, as their publishers write them.

Two forms are read, those that the authors' Torch code reads
(princeton-vl/relative_depth).  DIW has one pair for each picture, below its path:

    ./DIW_test/0a1b.thumb
    yA,xA,yB,xB,relation,width,height

and lists with many pairs, of NYUv2 or of DIW's later users, begin with a line that
nobody reads, and tell how many pairs follow a path, in its third field:

    ...
    ./imgs/1.png,...,2
    yA,xA,yB,xB,relation
    yA,xA,yB,xB,relation

Rows and columns count from 1; ">" says that A is farther than B, "<" that it is nearer
and "=" that they are equally far.
"""

import dataclasses
import math
import pathlib
from collections.abc import Iterator

from dpjax import errors

_RELATIONS = {">": 1, "<": -1, "=": 0}
_FIELDS = 5  # of a pair; the size of its picture may follow
_SHOWN = 80  # characters of a line in a message

Point = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Pair:
    """One line.

    Attributes:
        line: its number, from 1.
        first: row and column of A, from 0.
        second: row and column of B, from 0.
        relation: +1 where A is farther, -1 where it is nearer, 0 for equally far.
        size: height and width of the picture, if the line tells it.
        fault: what is wrong with the line; "" for nothing.
    """

    line: int
    first: Point = (0, 0)
    second: Point = (0, 0)
    relation: int = 0
    size: tuple[int, int] | None = None
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Listed:
    """A picture and its pairs.

    Attributes:
        image: its path, as the list has it.
        line: the line of that, from 1.
        pairs: what is listed below it.
    """

    image: str
    line: int
    pairs: tuple[Pair, ...]


def read(path: pathlib.Path, *, has_equal: bool) -> Iterator[Listed]:
    """Yields the pictures of a list.

    Args:
        path: of the list.
        has_equal: whether points may be equally far.

    Yields:
        Each picture with its pairs; a pair whose numbers or relation make no sense
        tells so in `fault`.

    Raises:
        DataError: the file cannot be read, lists nothing, or lines do not follow each
            other as they should.
    """
    lines = _lines(path)
    is_counted = len(lines) < 2 or not _is_number(lines[1][1][0])
    place = int(is_counted)  # behind the first line, which nobody reads
    if len(lines) < 2 + place:
        raise errors.DataError(
            f"{path} lists no pairs of points. Wanted the path of a picture, then "
            "yA,xA,yB,xB,relation,width,height. Copy it again."
        )
    while place < len(lines):
        number, fields = lines[place]
        count = _count(path, number, fields) if is_counted else 1
        below = lines[place + 1 : place + 1 + count]
        # A path where a pair is due, or the other way round: nothing below is certain.
        strange = [n for n, words in below if len(words) < _FIELDS]
        if _is_number(fields[0]) or strange or len(below) < count:
            at = (strange or [lines[-1][0] if len(below) < count else number])[0]
            raise errors.DataError(
                f"{path}, line {at}: wanted the path of a picture and then {count} "
                "times yA,xA,yB,xB,relation, from line "
                f"{number} on, got {_text(lines, at)!r}. The list is cut off or has "
                "another form; copy it again."
            )
        found = tuple(_pair(n, words, has_equal) for n, words in below)
        yield Listed(fields[0], number, found)
        place += 1 + count


def _lines(path: pathlib.Path) -> list[tuple[int, list[str]]]:
    """Number and fields of all lines that are not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise errors.DataError(f"Cannot read {path}: {error.strerror}.") from error
    return [
        (number, [word.strip() for word in line.split(",")])
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip()
    ]


def _count(path: pathlib.Path, number: int, fields: list[str]) -> int:
    if len(fields) > 2 and fields[2].isdigit():
        return int(fields[2])
    raise errors.DataError(
        f"{path}, line {number}: wanted the path of a picture and, in the third field, "
        f"the number of its pairs, got {','.join(fields)[:_SHOWN]!r}. The list has "
        "another form; copy it again."
    )


def _pair(number: int, fields: list[str], has_equal: bool) -> Pair:
    numbers = [*fields[:4], *fields[5:7]]
    if not all(map(_is_number, numbers)):
        return Pair(number, fault=f"{','.join(fields)[:_SHOWN]!r} has no points")
    # Points lie in the pixel whose number they begin with, as Torch's indices do.
    row, column, other_row, other_column = (
        math.floor(float(word)) - 1 for word in fields[:4]
    )
    first, second = (row, column), (other_row, other_column)
    size = None
    if len(fields) >= _FIELDS + 2:
        size = (int(float(fields[6])), int(float(fields[5])))
    relation = _RELATIONS.get(fields[4])
    fault = ""
    if relation is None or (relation == 0 and not has_equal):
        known = ">, < or =" if has_equal else "> or <"
        fault = f"unknown relation {fields[4]!r}, wanted {known}"
    elif first == second:
        fault = f"both points are row {row + 1}, column {column + 1}"
    else:
        fault = outside(first, size) or outside(second, size)
    return Pair(number, first, second, relation or 0, size, fault)


def outside(point: Point, size: tuple[int, int] | None) -> str:
    """Returns what is wrong with a point that is not in its picture.

    Args:
        point: row and column, from 0.
        size: height and width; None if they are not known, and only 0 is a limit.

    Returns:
        A clause that counts from 1 as the list does; "" if nothing is wrong.
    """
    limits = size or (math.inf, math.inf)
    if all(0 <= x < limit for x, limit in zip(point, limits, strict=True)):
        return ""
    told = "its picture" if size is None else f"a picture of {size[1]}x{size[0]} pixels"
    return f"the point at row {point[0] + 1}, column {point[1] + 1} is outside {told}"


def _is_number(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def _text(lines: list[tuple[int, list[str]]], number: int) -> str:
    return next(",".join(words)[:_SHOWN] for n, words in lines if n == number)
