"""Names of classes: what the records say, and whether weights mean the same."""

from collections.abc import Sequence

from dpjax import errors
from dpjax.data import sources


def of_records(
    opened: Sequence[sources.Source], known: tuple[str, ...], advice: str
) -> tuple[str, ...]:
    """Returns the names of the classes that labels of records stand for.

    Args:
        opened: the records that are trained on and scored.
        known: what the run knows already; empty if nothing.
        advice: how to prepare records that have classes.

    Returns:
        The names in the order of the labels.

    Raises:
        DataError: records without classes, or of other ones.
    """
    for part in (part for source in opened for part in source.parts):
        if not part.classes:
            raise errors.DataError(f"{part.name} has no classes. {advice}")
        if known and part.classes != known:
            raise errors.DataError(
                f"The classes of {part.name} are not those of the other records or "
                f"of the run: {_difference(part.classes, known)}. Prepare both "
                "from the same folders."
            )
        known = part.classes
    return known


def check_trained(scored: Sequence[str], trained: Sequence[str]) -> None:
    """Raises if weights know other classes than the records that they are scored on.

    Args:
        scored: the classes of the records; empty if they are not known.
        trained: the classes of the weights, likewise.

    Raises:
        UserError: other classes.
    """
    if trained and scored and tuple(trained) != tuple(scored):
        raise errors.UserError(
            "The weights know other classes than the records: "
            f"{_difference(scored, trained)}. Score them on records of their own "
            "classes."
        )


def check_count(names: Sequence[str], count: int) -> None:
    """Raises unless a network gives a score for each class.

    Args:
        names: of the classes; empty if they are not known.
        count: scores that the network gives.

    Raises:
        UserError: another number of scores.
    """
    if names and count != len(names):
        raise errors.UserError(
            f"The records have {len(names)} classes, the network gives {count} scores. "
            "A run that begins wants --model.options.num-classes "
            f"{len(names)}; weights are scored on records of their own classes."
        )


def name(names: Sequence[str], k: int) -> str:
    """Returns the name of a class; weights of other frameworks come without names.

    Args:
        names: of the classes.
        k: number of the class.

    Returns:
        Its name, or its number in words.
    """
    return names[k] if k < len(names) else f"class {k}"


def _difference(some: Sequence[str], others: Sequence[str]) -> str:
    if len(some) != len(others):
        return f"{len(some)} and {len(others)} classes"
    place = next(i for i, (a, b) in enumerate(zip(some, others, strict=True)) if a != b)
    return f"class {place} is {some[place]!r} and {others[place]!r}"
