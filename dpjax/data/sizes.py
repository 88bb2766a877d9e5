"""Pictures too small for what is asked of them, found before a run begins."""

from dpjax import errors
from dpjax.data import sources

_SHOWN = 3


def check(
    source: sources.Source, least: int, purpose: str, *, limit: int | None = None
) -> None:
    """Raises if a picture is known to be too small for its purpose; reads no picture.

    `prepare` accepts smaller pictures than some tasks can use, and training would meet
    one of them late, the evaluation at its very end.

    Args:
        source: the records.
        least: shorter side that a picture must have, pixels.
        purpose: what the records are for, as in "trained on".
        limit: only the first records of each split are used; None uses all.

    Raises:
        DataError: names the pictures and how to leave them out.
    """
    complaints = [_complaint(part, least, purpose, limit) for part in source.parts]
    if any(complaints):
        raise errors.DataError(" ".join(filter(None, complaints)))


def _complaint(part, least, purpose, limit):
    if not part.index.is_complete:
        return ""
    small = [
        (name, height, width)
        for name, (height, width) in zip(
            part.ids[:limit], part.index.sizes[:limit].tolist(), strict=True
        )
        if min(height, width) < least
    ]
    if not small:
        return ""
    shown = ", ".join(f"{name!r} ({w}x{h})" for name, h, w in small[:_SHOWN])
    remedy = "Remove them and prepare the set again."
    if len(small) <= _SHOWN:
        separator = "," if sources.parse(part.name).without else "-"
        without = f"{part.name}{separator}{','.join(name for name, _, _ in small)}"
        remedy = f"Leave them out: write the source {without!r}."
    else:
        shown += f" and {len(small) - _SHOWN} more"
    return (
        f"Pictures of {part.name} are too small to be {purpose}: {shown}; at least "
        f"{least}x{least} pixels are needed. {remedy}"
    )
