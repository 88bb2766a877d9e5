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

Batch = dict[str, jax.Array]
Example = dict[str, Any]
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Task:
    """Base of all tasks.

    Attributes:
        kind: the task's name on the command line and in receipts.
        best: the summary entry that chooses the best checkpoint.
        best_is_high: whether a higher value of `best` is better.
        protocols: names that `Evaluation.protocol` may take.
    """

    kind: ClassVar[str]
    best: ClassVar[str]
    best_is_high: ClassVar[bool] = True
    protocols: ClassVar[tuple[str, ...]]

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
        self, outputs: jax.Array, batch: Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns sums and counts of each logged term; "loss" is what is minimised.

        Args:
            outputs: what the model returned; its floats are float32.
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

    def evaluation_input(
        self, record: Example, condition: str, protocol: str
    ) -> np.ndarray:
        """Returns what the network sees of one evaluation example.

        Args:
            record: a decoded record.
            condition: one of `conditions()`.
            protocol: one of `protocols`.

        Returns:
            float32 [h, w, c], or several views of the example, [n, h, w, c]; the same
            bytes on every machine and device count.
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
                one vector for an image; stacked where there were several views.
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

    def panel(
        self,
        record: Example,
        condition: str,
        given: np.ndarray,
        output: np.ndarray,
        row: Row,
    ) -> np.ndarray:
        """Returns a picture that shows one example to a person.

        Args:
            record: a decoded record.
            condition: one of `conditions()`.
            given: what `evaluation_input` returned.
            output: what the model returned for it.
            row: what `score` gave for it; a number in the picture comes from here.

        Returns:
            uint8 [h, w, 3].
        """
        raise NotImplementedError

    def request(
        self, image: np.ndarray, options: Mapping[str, Any]
    ) -> tuple[list[np.ndarray], Callable[[list[np.ndarray]], np.ndarray]]:
        """Returns what the network must see of an image, and how to read its answer.

        Args:
            image: float32 [h, w, 3] or [h, w, 1] in [0, 1].
            options: what the user asked for, such as {"scale": 3}.

        Returns:
            A list of network inputs, float32 [h, w, c], and a function from the list of
            outputs to the result for the user (a picture: float32 [h, w, c] in [0, 1]).

        Raises:
            UserError: an option this task or its weights do not know.
        """
        raise NotImplementedError
