"""Tasks that name classes: what the records call them, and whether weights agree."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from dpjax import errors
from dpjax.data import sources
from dpjax.tasks import task


@dataclasses.dataclass(frozen=True)
class NamingTask(task.Task):
    """Base of tasks whose networks give a score for each class.

    Attributes:
        classes: names of the classes in the order of the labels; those of the records
            where a run has not been told.
        prepared_as: how a user prepares records that have classes.
    """

    prepared_as: ClassVar[str]

    classes: tuple[str, ...] = ()

    def with_records(self, opened: Sequence[sources.Source]) -> "NamingTask":
        """Returns the task with the names of the classes.

        Args:
            opened: the records that are trained on and scored.

        Returns:
            This task, or a copy of it that knows `classes`.

        Raises:
            DataError: records without labels, or of other classes.
        """
        names = self.classes
        for part in (part for source in opened for part in source.parts):
            if not part.classes:
                raise errors.DataError(
                    f"{part.name} has no classes. Prepare {self.prepared_as}."
                )
            if names and part.classes != names:
                raise errors.DataError(
                    f"The classes of {part.name} are not those of the other records or "
                    f"of the run: {_difference(part.classes, names)}. Prepare both "
                    "from the same folders."
                )
            names = part.classes
        return dataclasses.replace(self, classes=names)

    def check_trained(self, trained: task.Task) -> None:
        """Raises if weights of another task, or of other classes, would be scored.

        Args:
            trained: what the weights were trained for.

        Raises:
            UserError: another task, or other classes.
        """
        super().check_trained(trained)
        if trained.classes and self.classes and trained.classes != self.classes:
            raise errors.UserError(
                "The weights know other classes than the records: "
                f"{_difference(self.classes, trained.classes)}. Score them on records "
                "of their own classes."
            )

    def check_count(self, count: int) -> None:
        """Raises unless a network gives a score for each class.

        Args:
            count: scores that the network gives.

        Raises:
            UserError: another number of scores.
        """
        if self.classes and count != len(self.classes):
            wanted = len(self.classes)
            raise errors.UserError(
                f"The records have {wanted} classes, the network gives {count} scores. "
                "A run that begins wants --model.options.num-classes "
                f"{wanted}; weights are scored on records of their own classes."
            )

    def name(self, k: int) -> str:
        """Returns the name of a class; weights of other frameworks come without names.

        Args:
            k: number of the class.

        Returns:
            Its name, or its number in words.
        """
        return self.classes[k] if k < len(self.classes) else f"class {k}"


def _difference(some: Sequence[str], others: Sequence[str]) -> str:
    if len(some) != len(others):
        return f"{len(some)} and {len(others)} classes"
    place = next(i for i, (a, b) in enumerate(zip(some, others, strict=True)) if a != b)
    return f"class {place} is {some[place]!r} and {others[place]!r}"
