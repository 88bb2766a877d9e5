"""Lists of classes as text, such as the `classes.txt` beside a user's label files.

A line is NAME, the lines counting from 0; or NUMBER NAME; or RED GREEN BLUE NAME.
Names such as "void" and "unlabelled" stand for pixels without a class.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from dpjax import errors
from dpjax.data import label_files

FILE = "classes.txt"
NO_CLASS = frozenset(("void", "unlabelled", "unlabeled", "ignore", "ignored"))


@dataclasses.dataclass(frozen=True)
class ClassList:
    """What a list says.

    Attributes:
        names: of the classes, in order.
        coding: what numbers or colours of label files mean.
    """

    names: tuple[str, ...]
    coding: label_files.Coding


def read(path: pathlib.Path, *, ignore: Sequence[int] = ()) -> ClassList:
    """Returns the classes that a text file lists.

    Args:
        path: the file.
        ignore: further numbers that stand for pixels without a class.

    Returns:
        Names and coding.

    Raises:
        DataError: the file cannot be read, mixes kinds of lines, or repeats itself.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise errors.DataError(
            f"Cannot read {path}: {reason}. It should name the classes, one a line."
        ) from error
    lines = [line.strip() for line in lines if line.strip()]
    entries = [_split(line) for line in lines]
    lengths = {len(code) for code, _ in entries}
    if lengths > {3}:
        raise _malformed(path, "mixes kinds of lines")
    if 0 in lengths:  # plain names; one of them may begin with a number
        entries = [((number,), line) for number, line in enumerate(lines)]
    names: list[str] = []
    meaning: dict[tuple[int, ...], int] = {}
    for code, name in entries:
        if code in meaning or name in names:
            raise _malformed(path, f"has {' '.join(map(str, code))} {name} twice")
        has_class = name.lower() not in NO_CLASS and not set(code) <= set(ignore)
        meaning[code] = len(names) if has_class else label_files.IGNORE
        names += [name] if has_class else []
    if not 2 <= len(names) <= label_files.MOST_CLASSES:
        raise _malformed(path, f"names {len(names)} classes")
    if lengths == {3}:
        return ClassList(tuple(names), label_files.Colours(meaning))
    numbers = dict.fromkeys(ignore, label_files.IGNORE)
    numbers |= {code[0]: number for code, number in meaning.items()}
    return ClassList(tuple(names), label_files.Numbers(numbers))


def _split(line: str) -> tuple[tuple[int, ...], str]:
    """The numbers that a line begins with, three or one or none, and the name."""
    words = line.split()
    for count in (3, 1):
        if len(words) > count and all(word.isdecimal() for word in words[:count]):
            return tuple(map(int, words[:count])), " ".join(words[count:])
    return (), line


def _malformed(path: pathlib.Path, what: str) -> errors.DataError:
    return errors.DataError(
        f"{path} {what}. Wanted 2 to {label_files.MOST_CLASSES} classes, all lines "
        "being NAME, or NUMBER NAME, or RED GREEN BLUE NAME as label files hold them."
    )
