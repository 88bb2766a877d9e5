"""Depth from one image: how far every pixel is, in metres.

Networks give a number for every pixel, or for every few: the natural logarithm of
metres, or metres.  What is scored, and under which published rules, is for
`depth_protocols` to say.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dpjax import config, errors
from dpjax.data import crop_window, depth_crop, depth_files, sources
from dpjax.losses import depth as losses
from dpjax.models import grid_crf
from dpjax.ops import enlarge
from dpjax.tasks import (
    answer,
    depth_answers,
    depth_protocols,
    photographs,
    pixel_networks,
    task,
)
from dpjax.viz import depth_maps

Loss = Literal["scale_invariant", "eigen_fergus", "berhu", "l1", "l2"]
Unit = Literal["log_metres", "metres"]

_PREDICTS = "all_pixels"  # the protocol of pictures that belong to no published set
_LOSSES: dict[str, Callable[..., tuple[jax.Array, jax.Array]]] = {
    "scale_invariant": losses.scale_invariant,
    "eigen_fergus": lambda *maps: losses.scale_invariant(*maps, gradient=1.0),
    "berhu": losses.berhu,
    "l1": losses.absolute_error,
    "l2": losses.squared_error,
}
_OF_LOGARITHMS = ("scale_invariant", "eigen_fergus")


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What is known of the depth of an image.

    Attributes:
        depth: metres, or what `Depth.answer_unit` says, float32 [h, w].
        deviation: standard deviation of its natural logarithm, float32 [h, w]; None
            where the network has none.
    """

    depth: np.ndarray
    deviation: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Depth(task.Task):
    """Depth maps.

    Attributes:
        loss: "scale_invariant" (Eigen et al., NIPS 2014), "eigen_fergus" (ICCV 2015,
            with gradients), "berhu" (Laina et al., 3DV 2016), "l1" or "l2".
        unit: what the network gives and the loss compares, "log_metres", natural
            logarithms, or "metres", as FCRN was published.
        size: height and width that images are brought to first, pixels; none keeps
            their own.
        zooms: smallest and largest factor of a training image's size; depth is divided
            by it.
        mirror: half of the training images are mirrored.
        jitter: largest change of brightness, contrast and saturation; 0 for none.
        limits: smallest and largest depth that is ever answered, metres.
        also: further protocols that an evaluation scores in the same run, on what its
            own protocol showed the network.
        has_edges: whether depth edges are compared, which wants dense truth.
    """

    kind: ClassVar[str] = "depth"
    best: ClassVar[str] = "rms_image"
    best_is_high: ClassVar[bool] = False
    headlines: ClassVar[tuple[str, ...]] = (
        "rel_image",
        "rms_image",
        "delta1_image",
        "images",
    )
    example_metric: ClassVar[str] = "rel"
    example_metric_is_high: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = tuple(depth_protocols.PROTOCOLS)
    result: ClassVar[str] = "depth"
    maps: ClassVar[Mapping[str, type]] = {"depth": np.float32, "deviation": np.float32}
    # Fields that say what a number of the network means.
    _meaning: ClassVar[tuple[str, ...]] = ("unit",)
    _losses: ClassVar[tuple[str, ...]] = Loss.__args__

    loss: Loss = "scale_invariant"
    unit: Unit = "log_metres"
    size: tuple[int, ...] = ()
    zooms: tuple[float, float] = (1.0, 1.5)
    mirror: bool = True
    jitter: float = 0.0
    limits: tuple[float, float] = (0.1, 100.0)
    also: tuple[str, ...] = ()
    has_edges: bool = False

    @property
    def answer_unit(self) -> str:
        """Unit of the depth that a photograph is answered with, as it is written."""
        return "m"

    def check(self, experiment: config.Experiment) -> None:
        super().check(experiment)
        self._check_model(experiment.model)
        pixel_networks.check_strengths(experiment)
        photographs.check_upright(experiment.evaluation)
        for name in self.also:
            if name not in self.protocols:
                raise errors.unknown_name("depth protocol", name, self.protocols)
        rules = (
            (
                "loss",
                self.loss,
                f"one of {', '.join(self._losses)}",
                lambda v: v in self._losses,
            ),
            (
                "unit",
                self.unit,
                f"one of {', '.join(Unit.__args__)}, and the first with a loss of "
                f"{' or '.join(_OF_LOGARITHMS)}",
                lambda v: (
                    v in Unit.__args__
                    and (v == "log_metres" or self.loss not in _OF_LOGARITHMS)
                ),
            ),
            *photographs.rules(self.size, self.zooms, self.jitter),
            ("limits", self.limits, "rising, above 0", lambda v: 0 < v[0] < v[1]),
        )
        config.check_rules(rules, "task.")

    def check_trained(self, trained: task.Task) -> None:
        """Raises if weights that were trained for a task cannot be scored by this one.

        Raises:
            UserError: a task of another kind, or numbers of another unit.
        """
        super().check_trained(trained)
        for field in self._meaning:
            ours, theirs = (getattr(t, field, None) for t in (self, trained))
            if ours != theirs:
                raise errors.UserError(
                    f"The weights were trained with {field}={theirs!r}, this task has "
                    f"{ours!r} and would read other depths from them. Choose a config "
                    f"with {field}={theirs!r}, or other weights."
                )

    def with_records(self, opened: Sequence[sources.Source]) -> "Depth":
        """Returns this task.

        Raises:
            DataError: records without depth.
        """
        for name, record in sources.samples(opened):
            if "depth" not in record:
                raise errors.DataError(
                    f"{name} has no depth. Prepare your own images and depth maps as "
                    "rgbd_folder, or name another source."
                )
        return self

    def _check_model(self, model: config.Model) -> None:
        pixel_networks.check(model, 1, task="Depth", meaning="one number")
        pixel_networks.check_crf(
            model,
            grid_crf.NAMES,
            because="A depth has no labels, which the CRF {} joins.",
        )

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of image, depth, has_depth, valid, position."""
        return photographs.batch_spec(
            data, batch_size, depth=jnp.float32, has_depth=jnp.bool_
        )

    def train_example(
        self, record: task.Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns a random crop under a random zoom, with its depth.

        Args:
            record: `image` uint8 [h, w, 3] and `depth` float32 [h', w'], metres, 0
                where there is none.

        Returns:
            `image` uint8 [*crop, 3], `depth` float32 [*crop], `has_depth` bool [*crop].
        """
        window = crop_window.draw(
            self._size(record["image"]), rng, crop=data.crop, scales=self.zooms
        )
        image, depth, known = depth_crop.cut(
            record["image"],
            record["depth"],
            window,
            data.crop,
            is_mirrored=self.mirror and rng.random() < 0.5,
        )
        return {"image": image, "depth": depth, "has_depth": known}

    def inputs(
        self, batch: task.Batch, keys: jax.Array, data: config.Data
    ) -> tuple[Any, task.Batch]:
        """Returns images with random colours, in [0, 1], and the batch."""
        return photographs.coloured(batch["image"], keys, self.jitter), batch

    def loss_terms(
        self, outputs: Any, batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the loss, and the mean error of logarithms.

        A network that gives deviations learns their scale besides, and nothing else of
        it: their mean square becomes that of the errors.

        Args:
            outputs: numbers of `unit`, float32 [b, h', w', 1]; [b, h', w', 2] with the
                standard deviation.

        Returns:
            "loss" and "log_error" as (sum [b], count [b]).
        """
        known = batch["has_depth"] & batch["valid"][:, None, None]
        truth = log_truth = losses.log_depth(batch["depth"], known)
        outputs = enlarge.to_size(outputs, truth.shape[1:], "half_pixel")
        told, *spread = jnp.moveaxis(outputs, -1, 0)
        log_told = told
        if self.unit == "metres":
            truth = jnp.where(known, batch["depth"], 0)
            log_told = jnp.log(jnp.clip(told, *self.limits))
        total, count = _LOSSES[self.loss](told, truth, known)
        for deviation in spread:
            miss = losses.calibration(deviation, told, truth, known)
            # Its slope alone: what is logged is the loss of the depth.
            total += count * (miss - lax.stop_gradient(miss))
        return {
            "loss": (total, count),
            "log_error": losses.absolute_error(log_told, log_truth, known),
        }

    def check_record(self, record: task.Example, protocol: str) -> None:
        """Raises if the size of a record is not that of a protocol.

        Raises:
            UserError: a crop that is made for other sizes.
        """
        if "depth" in record:  # if not, `with_records` says what to do
            for name in self._names(protocol):
                rules = depth_protocols.PROTOCOLS[name]
                rules.valid(rules.brought(record["depth"]))

    def evaluation_input(
        self, record: task.Example, condition: str, protocol: str
    ) -> Any:
        """Returns what the protocol shows of an image, at the size of the network.

        Args:
            record: `image` uint8 [h, w, 3].

        Returns:
            float32 [h', w', 3].
        """
        return self._shown(record, protocol).astype(np.float32) / 255

    def predicted(self, given: Any, output: Any) -> Prediction:
        """Returns the depth that a network means.

        Args:
            given: what it saw, from `evaluation_input`.
            output: what it gave, numbers of `unit`, float32 [h', w', 1]; [h', w', 2]
                with the standard deviation.

        Returns:
            Depth, and deviation where there is one, on the grid of the output.
        """
        numbers, *spread = np.moveaxis(output, -1, 0)
        if self.unit == "metres":
            metres = np.clip(numbers, *self.limits)
            spread = [deviation / metres for deviation in spread]
        else:
            metres = np.exp(np.clip(numbers, *np.log(self.limits)))
        return Prediction(metres, *spread)

    def score(
        self,
        record: task.Example,
        condition: str,
        given: Any,
        output: Any,
        protocol: str,
    ) -> task.Row:
        """Returns the errors of one image.

        Args:
            record: the image, with its `depth`.

        Returns:
            rel, rms and delta1 of this image, unless it has no valid depth, and
            `protocols`: for each what `depth_protocols.rows` gives.
        """
        found = self._placed(self.predicted(given, output), record, protocol)
        rows = depth_protocols.rows(
            found.depth,
            _truth(record),
            self._names(protocol),
            deviation=found.deviation,
            has_edges=self.has_edges,
        )
        return {**depth_protocols.own(rows[protocol]), "protocols": rows}

    def residuals(
        self, record: task.Example, given: Any, output: Any, protocol: str
    ) -> np.ndarray:
        """Returns how many deviations the network is off, pixel by pixel.

        Args:
            record: the image, with its `depth`.
            given: what the network saw.
            output: what it gave, with deviations.
            protocol: one of `protocols`.

        Returns:
            (ln truth - ln prediction) / deviation of the pixels that `score` counts,
            float64 [pixels].

        Raises:
            UserError: an output without deviations, or a depth or deviation that is no
                positive number.
        """
        found = self._placed(self.predicted(given, output), record, protocol)
        if found.deviation is None:
            raise errors.UserError(
                "Residuals are measured in deviations, and the network gives none. "
                "Choose one with a CRF that has a scale."
            )
        return depth_protocols.residuals(
            found.depth, found.deviation, _truth(record), protocol
        )

    def summarise(self, rows: Sequence[task.Row]) -> dict[str, float]:
        """Returns the scores of a set under the protocol of the evaluation.

        Returns:
            Every metric as NAME_image, the mean over images, and NAME_pooled, over all
            pixels at once; and how many images count.
        """
        return next(iter(_summaries(rows).values()))

    def tables(self, rows: Sequence[task.Row]) -> dict[str, task.Table]:
        """Returns every score under every protocol, with confidence intervals.

        Returns:
            "protocols": one line for each protocol and score.
        """
        bounds = depth_protocols.intervals([row["protocols"] for row in rows])
        lines = [
            (name, score, value, *bounds[name].get(score, ("", "")))
            for name, scores in _summaries(rows).items()
            for score, value in scores.items()
        ]
        header = ("protocol", "score", "value", "95% from", "95% to")
        return {"protocols": task.Table(header, tuple(lines))}

    def panel(
        self,
        record: task.Example,
        condition: str,
        given: Any,
        output: Any,
        row: task.Row,
        protocol: str,
    ) -> np.ndarray:
        """Returns image, true depth, predicted depth, error and deviation."""
        found = self._placed(self.predicted(given, output), record, protocol)
        truth = _truth(record)
        rules = depth_protocols.PROTOCOLS[protocol]
        spread, unit = found.deviation, self._scored_in(record)
        caption = "no valid depth"
        if "rel" in row:
            caption = f"rel {row['rel']:.3f}, rms {row['rms']:.2f} {unit}"
        return depth_maps.panel(
            record["image"],
            truth,
            rules.clamped(depth_protocols.resized(found.depth, truth.shape)),
            depth_files.has_depth(truth),
            deviation=spread
            if spread is None
            else depth_protocols.resized(spread, truth.shape),
            title=str(record["id"]),
            caption=caption,
            unit=unit,
        )

    def enlargement(self, options: Mapping[str, Any]) -> int:
        """Returns 1.

        Args:
            options: {"range": (low, high)}, what the first and the last colour of the
                picture stand for, in `answer_unit`; or nothing.

        Raises:
            UserError: another option, or a range that does not rise from above 0.
        """
        wanted = f"depth in {self.answer_unit}, both above 0"
        return super().enlargement(answer.without_range(options, wanted, above=0))

    def request(
        self,
        image: np.ndarray,
        options: Mapping[str, Any],
        *,
        image_size: tuple[int, int] | None = None,
    ) -> tuple[list[Any], Callable[[list[Any]], answer.Shown]]:
        """Returns what the network sees of a photograph, and how its depth is read.

        It sees the whole photograph, with its aspect if the network takes any size.

        Returns:
            One view, and the function that gives depth as colours with a bar, "depth"
            float32 [h, w], and "deviation" where the network has one, all of them in
            `answer_unit`.  Colours are those of the option "range", or else of what
            nearly all pixels have; maps have every depth.

        Raises:
            UserError: another option than `enlargement` knows.
        """
        self.enlargement(options)
        levels = photographs.in_8_bits(image)
        size = levels.shape[:2]
        seen = photographs.size_for(size, self.size, image_size)
        own = dataclasses.replace(self, size=seen)
        given = own.evaluation_input({"image": levels, "id": "image"}, "", _PREDICTS)

        def finish(outputs: list[Any]) -> answer.Shown:
            found = own.predicted(given, outputs[0])
            return depth_answers.shown(
                found.depth, found.deviation, size, options, self.answer_unit
            )

        return [given], finish

    def _scored_in(self, record: task.Example) -> str:
        """Unit of the true depth of a record, and of what is compared with it."""
        return "m"

    def _size(self, image: np.ndarray) -> tuple[int, int]:
        return tuple(self.size) or image.shape[:2]

    def _shown(self, record: task.Example, protocol: str) -> np.ndarray:
        """What the protocol shows of an image, at the size of the network, uint8."""
        image = depth_protocols.PROTOCOLS[protocol].seen(record["image"])
        return crop_window.resize(image, self._size(image))

    def _placed(
        self, told: Prediction, record: task.Example, protocol: str
    ) -> Prediction:
        """A prediction of what the protocol showed, as one of the whole image."""
        rules, size = depth_protocols.PROTOCOLS[protocol], record["depth"].shape
        maps = (told.depth, told.deviation)
        return Prediction(*(m if m is None else rules.placed(m, size) for m in maps))

    def _names(self, protocol: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys((protocol, *self.also)))


def _truth(record: task.Example) -> np.ndarray:
    depth = record["depth"]
    return np.where(depth_files.has_depth(depth), depth, 0)


def _summaries(rows: Sequence[task.Row]) -> dict[str, dict[str, float]]:
    return depth_protocols.summary(
        [row["protocols"] for row in rows], source=str(rows[0].get("source", ""))
    )
