"""Parts of a split, written as TFDS writes them: [:90%], [90%:], [:100], [-50:]."""

import re

from dpjax import errors

PATTERN = r"\[(?:-?\d+%?)?:(?:-?\d+%?)?\]"


def positions(text: str, count: int, *, name: str) -> range:
    """Returns which records of a split a slice means.

    Shares are rounded to the nearest record, as in TFDS, so that [:p%] and [p%:] share
    none and miss none.

    Args:
        text: of `PATTERN`; "" is the whole split.
        count: records in the split.
        name: the source, for messages.

    Returns:
        Positions from 0, rising.

    Raises:
        UserError: shares above 100 %, or a slice without a record.
    """
    if not text:
        return range(count)
    start, stop = text[1:-1].split(":")
    for end in (start, stop):
        if end.endswith("%") and abs(int(end[:-1])) > 100:
            raise errors.UserError(
                f"A share of {name} is at most 100%, got {end}. Write {text} with "
                "smaller ones, such as [:90%]."
            )
    found = range(count)[_place(start, count) : _place(stop, count)]
    if not found:
        raise errors.UserError(
            f"{name} has no record: the split has {count}, of which {text} takes none. "
            "Take more of it, or count from its end, as in [:-1] and [-1:]."
        )
    return found


def split_off(text: str) -> tuple[str, str]:
    """Returns the name of a split, and the slice after it.

    Args:
        text: such as "train[:90%]".

    Returns:
        "train" and "[:90%]", which may be "".
    """
    match = re.fullmatch(rf"(\w+)({PATTERN})?", text)
    return match[1], match[2] or ""


def _place(end: str, count: int) -> int | None:
    if not end:
        return None
    return round(count * int(end[:-1]) / 100) if end.endswith("%") else int(end)
