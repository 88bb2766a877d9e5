"""What the training loop, the evaluation and the predictor ask of a task.

A task is a frozen dataclass: its fields are configuration, its methods are pure.  The
loop knows this interface and no task; a new task is a new file and one line in
`dpjax.tasks`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np

from dpjax import config, errors
from dpjax.data import sources
from dpjax.tasks import answer

Batch = dict[str, jax.Array]
Example = dict[str, Any]
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Table:
    """Numbers that are no single score, such as one line for each class.

    Attributes:
        header: names of the columns.
        lines: their values: text, whole numbers, floats.
    """

    header: tuple[str, ...]
    lines: tuple[tuple[str | int | float, ...], ...]


@dataclasses.dataclass(frozen=True)
class Task:
    """Base of all tasks.

    Attributes:
        kind: the task's name on the command line and in receipts.
        best: the summary entry that chooses the best checkpoint.
        best_is_high: whether a higher value of `best` is better.
        headlines: the summary entries that a run prints as it goes and that tables of
            several weights have; none stands for all.
        example_metric: the entry of a row that tells good examples from bad ones.
        example_metric_is_high: whether a higher value of it is better.
        protocols: names that `Evaluation.protocol` may take.
        answers_in_words: whether `request` ends in an `answer.Answer` instead of a
            picture.
        result: what the pictures that are made are called, in the names of files.
        maps: types of the maps that `request` may have beside its picture, by name.
    """

    kind: ClassVar[str]
    best: ClassVar[str]
    best_is_high: ClassVar[bool] = True
    headlines: ClassVar[tuple[str, ...]] = ()
    example_metric: ClassVar[str]
    example_metric_is_high: ClassVar[bool] = True
    protocols: ClassVar[tuple[str, ...]]
    answers_in_words: ClassVar[bool] = False
    result: ClassVar[str] = "result"
    maps: ClassVar[Mapping[str, type]] = {}

    def check(self, experiment: config.Experiment) -> None:
        """Raises if the experiment cannot work with this task.

        Args:
            experiment: the whole run.

        Raises:
            UserError: a contradiction, or a protocol that this task does not know.
        """
        protocol = experiment.evaluation.protocol
        if protocol not in self.protocols:
            raise errors.unknown_name(f"{self.kind} protocol", protocol, self.protocols)

    def with_records(self, opened: Sequence[sources.Source]) -> "Task":
        """Returns the task with what only its records can tell, such as class names.

        What it returns is checked, trained with, and written into cards.

        Args:
            opened: the records that are trained on and scored, or scored only.

        Returns:
            This task, or a copy that knows more.

        Raises:
            DataError: records that the task cannot use, or that contradict each other
                or what the task knows already.
        """
        return self

    def check_trained(self, trained: "Task") -> None:
        """Raises if weights that were trained for a task cannot be scored by this one.

        Args:
            trained: the task on the card of the weights.

        Raises:
            UserError: a task of another kind, or one that means something else.
        """
        if trained.kind != self.kind:
            raise errors.UserError(
                f"The weights were trained for {trained.kind}, this is an evaluation "
                f"of {self.kind}. Choose a config of {trained.kind}, or other weights."
            )

    def smallest_side(self, protocol: str | None = None) -> int:
        """Returns the shorter side that a picture must have, checked before a run.

        Args:
            protocol: one of `protocols`, for pictures that are scored; None for those
                that are trained on.

        Returns:
            Pixels.
        """
        return 1

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of a training batch, for planning and compilation.

        Args:
            data: crop size and sources.
            batch_size: leading axis.

        Returns:
            One entry for each array that `train_example` gives, plus `valid` and
            `position`, which the pipeline adds.
        """
        raise NotImplementedError

    def check_example(self, record: Example) -> None:
        """Raises if a record cannot be trained on; asked of each source before a run.

        Args:
            record: a decoded record of a source that is trained on.

        Raises:
            DataError: a record without what is to be learned.
        """

    def train_example(
        self, record: Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns one cropped, augmented training example, on the host.

        Args:
            record: a decoded record; `image` uint8 [h, w, 3], `id` str, and the
                targets of the data set.
            rng: the example's own generator, a function of (seed, position).
            data: crop size.

        Returns:
            Arrays of static shape; small types (uint8), the device converts.
        """
        raise NotImplementedError

    def inputs(
        self, batch: Batch, keys: jax.Array, data: config.Data
    ) -> tuple[jax.Array, Batch]:
        """Returns network input and targets, on the device inside the train step.

        Args:
            batch: what `train_example` gave, stacked, [b, ...].
            keys: one PRNG key for each example, [b].
            data: crop size.

        Returns:
            Images for the model, float32 [b, h, w, c], and the batch with targets.
        """
        raise NotImplementedError

    def loss_terms(
        self, outputs: Any, batch: Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns sums and counts of each logged term; "loss" is what is minimised.

        Args:
            outputs: what the model returned; its floats are float32.  A model may give
                several arrays in training, the last of which is what it gives else.
            batch: what `inputs` returned.

        Returns:
            For each term (sum [b], count [b]); padding adds 0 to both.
        """
        raise NotImplementedError

    def conditions(self) -> tuple[str, ...]:
        """Returns the names of the settings under which every example is scored.

        Returns:
            For example ("noise15", "noise25"); ("",) where there is but one.
        """
        return ("",)

    def check_record(self, record: Example, protocol: str) -> None:
        """Raises if a record cannot be scored; asked before a run begins.

        Args:
            record: a decoded record of a source that is evaluated.
            protocol: one of `protocols`.

        Raises:
            UserError: a protocol that such records do not fit.
            DataError: a record without what the protocol wants.
        """

    def evaluation_input(
        self, record: Example, condition: str, protocol: str
    ) -> np.ndarray:
        """Returns what the network sees of one evaluation example.

        Args:
            record: a decoded record.
            condition: one of `conditions()`.
            protocol: one of `protocols`.

        Returns:
            float32 [h, w, c], or several views of the example, [n, h, w, c], or a list
            of views of several sizes; the same bytes on every machine and device count.
        """
        raise NotImplementedError

    def score(
        self,
        record: Example,
        condition: str,
        given: np.ndarray,
        output: np.ndarray,
        protocol: str,
    ) -> Row:
        """Returns the metrics of one example, computed on the host in float64.

        Args:
            record: a decoded record.
            condition: one of `conditions()`.
            given: what `evaluation_input` returned.
            output: what the model returned for it, [h, w, k], or [k] where it gives
                one vector for an image; stacked, or listed, where there were several
                views.
            protocol: one of `protocols`.

        Returns:
            Names to numbers (or to arrays that `summarise` can add).
        """
        raise NotImplementedError

    def summarise(self, rows: Sequence[Row]) -> dict[str, float]:
        """Returns the score of a set from the rows of its examples.

        Args:
            rows: what `score` gave, each with "source", "condition" and "id" added.

        Returns:
            Names to numbers; it holds `best`.
        """
        raise NotImplementedError

    def tables(self, rows: Sequence[Row]) -> dict[str, Table]:
        """Returns what of a set's rows is worth a table of its own.

        Args:
            rows: what `summarise` gets.

        Returns:
            Names to tables; none unless the task says so.
        """
        return {}

    def panel(
        self,
        record: Example,
        condition: str,
        given: np.ndarray,
        output: np.ndarray,
        row: Row,
        protocol: str,
    ) -> np.ndarray:
        """Returns a picture that shows one example to a person.

        Args:
            record: a decoded record.
            condition: one of `conditions()`.
            given: what `evaluation_input` returned.
            output: what the model returned for it.
            row: what `score` gave for it; a number in the picture comes from here.
            protocol: one of `protocols`.

        Returns:
            uint8 [h, w, 3].
        """
        raise NotImplementedError

    def enlargement(self, options: Mapping[str, Any]) -> int:
        """Returns how many times as high and wide as the picture a result will be.

        Asked before a large file is decoded, so that wrong options are told at once.

        Args:
            options: what the user asked for, such as {"scale": 3}.

        Returns:
            1 unless the task enlarges.

        Raises:
            UserError: an option this task or its weights do not know.
        """
        for name in options:
            raise errors.UserError(
                f"Weights for {self.kind} have no option {name!r}. Leave it out."
            )
        return 1

    def request(
        self,
        image: np.ndarray,
        options: Mapping[str, Any],
        *,
        image_size: tuple[int, int] | None = None,
    ) -> tuple[
        list[np.ndarray],
        Callable[[list[np.ndarray]], np.ndarray | answer.Shown | answer.Answer],
    ]:
        """Returns what the network must see of an image, and how to read its answer.

        Args:
            image: float32 [h, w, 3] or [h, w, 1] in [0, 1].
            options: what the user asked for, such as {"scale": 3}.
            image_size: the only size that the network takes, if there is one, pixels.

        Returns:
            A list of network inputs, float32 [h, w, c], and a function from the list of
            outputs to the result for the user: a picture, float32 [h, w, c] in [0, 1],
            an `answer.Shown` where the picture stands for maps, or an `answer.Answer`
            where `answers_in_words`.

        Raises:
            UserError: an option this task or its weights do not know.
        """
        raise NotImplementedError
