"""Semantic segmentation: which of a few classes every pixel belongs to.

Training follows the released code of RefineNet (Lin et al., CVPR 2017): random sizes,
crops around a random class, mirror images; scores of a set come from one confusion
matrix over all of its pixels.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import config, errors
from dpjax.data import label_crop, label_files
from dpjax.losses import segmentation as losses
from dpjax.metrics import confusion
from dpjax.metrics import segmentation as metrics
from dpjax.models import zoo
from dpjax.ops import enlarge, nearest
from dpjax.tasks import answer, class_names, photographs, pixel_protocols, task
from dpjax.viz import overlays, palettes, panels

_SHOWN = 20  # most frequent confusions that a receipt lists
_PREDICTS = "whole"  # the protocol of pictures that are not scored


@dataclasses.dataclass(frozen=True)
class Segmentation(class_names.NamingTask):
    """Naming every pixel.

    Attributes:
        scales: smallest and largest factor of a training image's size.
        scale_step: distance of the factors that are drawn from; 0 draws from all.
        short_side: least and most pixels of the short side of a training image, to
            which it is brought before `scales` counts; 0 for no bound.  RefineNet's
            code has 450 and 1100; the even sides that it rounds to are not kept.
        by_class: crops have a random class of the image in the middle.
        mirror: half of the training images are mirrored.
        jitter: largest change of brightness, contrast and saturation; 0 for none.
        class_weights: of each class in the loss; none for 1.
        hard_below: the loss counts pixels whose class has at most this probability, and
            `hard_least` pixels at least; 0 counts all.
        hard_least: pixels of an image that count in any case.
        loss_at: "labels" enlarges the scores to the labels; "scores" shrinks the labels
            to the scores, as RefineNet's code does, and DeepLab's, whose corners align.
        upsampling: how scores are enlarged: "align_corners", "half_pixel", "cubic".
        window: side of the windows of the protocol "sliding", pixels.
        absent: classes that are not in the truth; see
            `metrics.segmentation.intersection_over_union`.
    """

    kind: ClassVar[str] = "segmentation"
    best: ClassVar[str] = "miou"
    prepared_as: ClassVar[str] = "images and masks of yours as mask_folder"
    example_metric: ClassVar[str] = "miou"
    protocols: ClassVar[tuple[str, ...]] = tuple(pixel_protocols.PROTOCOLS)
    result: ClassVar[str] = "labels"
    maps: ClassVar[Mapping[str, type]] = {"labels": np.uint8}

    scales: tuple[float, float] = (0.7, 1.3)
    scale_step: float = 0.0
    short_side: tuple[int, int] = (0, 0)
    by_class: bool = False
    mirror: bool = True
    jitter: float = 0.0
    class_weights: tuple[float, ...] = ()
    hard_below: float = 0.0
    hard_least: int = 256
    loss_at: Literal["labels", "scores"] = "labels"
    upsampling: enlarge.Mode = "half_pixel"
    window: int = 512
    absent: metrics.Absent = "union"

    def check(self, experiment: config.Experiment) -> None:
        super().check(experiment)
        model = experiment.model
        if model.name not in zoo.list_segmenters():
            raise errors.UserError(
                "Segmentation wants a network that scores every pixel, got "
                f"{model.name}. Choose one of {', '.join(zoo.list_segmenters())}."
            )
        count = {**zoo.list_options(model.name), **model.options}["num_classes"]
        self.check_count(count)
        photographs.check_upright(
            experiment.evaluation,
            'Leave it out; the protocol "scales" averages mirrored views of six sizes.',
        )
        weights = self.class_weights
        rules = (
            ("scales", self.scales, "rising, above 0", lambda v: 0 < v[0] <= v[1]),
            ("scale_step", self.scale_step, "at least 0", lambda v: v >= 0),
            (
                "short_side",
                self.short_side,
                "two numbers from 0, the second not below the first, or 0",
                lambda v: min(v) >= 0 and (not v[1] or v[0] <= v[1]),
            ),
            ("jitter", self.jitter, "in [0, 1]", lambda v: 0 <= v <= 1),
            (
                "class_weights",
                weights,
                f"{count} numbers from 0, or none",
                lambda v: not v or (len(v) == count and min(v) >= 0 and max(v) > 0),
            ),
            (
                "loss_at",
                self.loss_at,
                '"labels" or "scores"',
                lambda v: v in ("labels", "scores"),
            ),
            ("hard_below", self.hard_below, "in [0, 1)", lambda v: 0 <= v < 1),
            ("hard_least", self.hard_least, "at least 1", lambda v: v >= 1),
            ("window", self.window, "at least 32", lambda v: v >= 32),
        )
        config.check_rules(rules, "task.")

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of image, labels, has_label, valid, position."""
        return photographs.batch_spec(
            data, batch_size, labels=jnp.uint8, has_label=jnp.bool_
        )

    def train_example(
        self, record: task.Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns a random crop at a random size, with its labels.

        Args:
            record: `image` uint8 [h, w, 3] and `labels` uint8 [h, w].

        Returns:
            `image` uint8 [*crop, 3], `labels` uint8 [*crop], `has_label` bool [*crop].
        """
        window = label_crop.draw_window(
            record["labels"],
            rng,
            crop=data.crop,
            scales=self.scales,
            step=self.scale_step,
            by_class=self.by_class,
            short_side=self.short_side,
        )
        image, labels = label_crop.cut(
            record["image"],
            record["labels"],
            window,
            data.crop,
            is_mirrored=self.mirror and rng.random() < 0.5,
        )
        has_label = labels != label_files.IGNORE
        labels = np.where(has_label, labels, np.uint8(0))
        return {"image": image, "labels": labels, "has_label": has_label}

    def inputs(
        self, batch: task.Batch, keys: jax.Array, data: config.Data
    ) -> tuple[jax.Array, task.Batch]:
        """Returns images with random colours, in [0, 1], and the batch."""
        return photographs.coloured(batch["image"], keys, self.jitter), batch

    def loss_terms(
        self, outputs: jax.Array | tuple[jax.Array, ...], batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the cross-entropy of pixels, and how many are told right.

        Of several maps of scores the losses are added, each the mean over what its map
        counts of an image: a coarse map has as much to say as a fine one, as in the
        released code of DeepLab-v2.

        Args:
            outputs: scores, float32 [b, h', w', k]; or several maps of them, each of
                its own size, the last of which is the network's answer.

        Returns:
            "loss" and "accuracy" as (sum [b], count [b]), counted on the last map.
        """
        each = jax.tree.leaves(outputs)  # a single map is its own leaf
        *others, scores = (self._terms(x, batch) for x in each)
        total, count = scores["loss"]
        for other in others:
            # A step divides once, by the pixels of the last map.
            total += count * _mean(*other["loss"])
        return {**scores, "loss": (total, count)}

    def _terms(
        self, scores: jax.Array, batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """What `loss_terms` says of one map."""
        labels = batch["labels"].astype(jnp.int32)
        known = batch["has_label"] & batch["valid"][:, None, None]
        if self.loss_at == "labels":
            scores = enlarge.to_size(scores, labels.shape[1:], self.upsampling)
        else:
            grid = (
                "align_corners" if self.upsampling == "align_corners" else "half_pixel"
            )
            labels, known = (
                nearest.to_size(x, scores.shape[1:3], grid) for x in (labels, known)
            )
        hard = known
        if self.hard_below:
            hard = losses.hard_pixels(
                scores,
                labels,
                known,
                threshold=self.hard_below,
                least=self.hard_least,
            )
        weights = self.class_weights or None
        return {
            "loss": losses.cross_entropy(scores, labels, hard, weights),
            "accuracy": losses.accuracy(scores, labels, known),
        }

    def evaluation_input(
        self, record: task.Example, condition: str, protocol: str
    ) -> list[np.ndarray]:
        """Returns the views of an image that the protocol asks for.

        Args:
            record: `image` uint8 [h, w, 3].

        Returns:
            float32 [h', w', 3] each.
        """
        rules = pixel_protocols.PROTOCOLS[protocol]
        return rules.views(record["image"], self.window)

    def score(
        self,
        record: task.Example,
        condition: str,
        given: list[np.ndarray],
        output: list[np.ndarray],
        protocol: str,
    ) -> task.Row:
        """Returns what the pixels of one image were taken for.

        Args:
            record: the image, with its `labels`.
            output: its scores for each view.

        Returns:
            miou and pixel_accuracy of this image; what adds up over images: `pixels`,
            int [n, 3], the confusions as true class, told class, pixels;
            `num_classes`, how many the network scores, present in them or not; and
            `boundary`, from `metrics.segmentation.boundary_counts`.

        Raises:
            DataError: a label that the network has no score for.
        """
        truth = record["labels"]
        valid = truth != label_files.IGNORE
        told = self._told(record["image"], output, protocol)
        count = output[0].shape[-1]
        _check_labels(record, count)
        matrix = confusion.confusion(truth[valid], told[valid], count)
        found = metrics.summary(matrix, self.absent)
        places = np.argwhere(matrix)
        times = matrix[tuple(places.T)]
        return {
            "miou": found["miou"],
            "pixel_accuracy": found["pixel_accuracy"],
            "pixels": np.concatenate([places, times[:, None]], 1),
            "num_classes": count,
            "boundary": metrics.boundary_counts(truth, told, valid),
        }

    def summarise(self, rows: Sequence[task.Row]) -> dict[str, float]:
        """Returns the scores of a set, percent.

        Returns:
            miou, pixel_accuracy, mean_accuracy and fwiou of the confusions of all
            pixels; boundary_f, the mean over classes of their mean over images.

        Raises:
            UserError: rows of networks for different numbers of classes.
        """
        matrix = _matrix(rows)
        boundary = _boundary_f(rows, len(matrix))
        known = boundary[~np.isnan(boundary)]
        return {
            **metrics.summary(matrix, self.absent),
            "boundary_f": 100 * float(known.mean() if len(known) else np.nan),
        }

    def tables(self, rows: Sequence[task.Row]) -> dict[str, task.Table]:
        """Returns the score of each class, and what is taken for what.

        Returns:
            "classes" in their order and "confusions", the most frequent first.

        Raises:
            UserError: as `summarise`.
        """
        matrix = _matrix(rows)
        columns = (
            100 * matrix.sum(1) / max(matrix.sum(), 1),
            100 * metrics.intersection_over_union(matrix, self.absent),
            100 * metrics.accuracies(matrix),
            100 * _boundary_f(rows, len(matrix)),
        )
        by_class = tuple(
            (self.name(k), *(float(column[k]) for column in columns))
            for k in range(len(matrix))
        )
        confused = tuple(
            (self.name(a), self.name(b), times, share)
            for a, b, times, share in confusion.frequent(matrix, _SHOWN)
        )
        header = ("class", "percent of pixels", "iou", "accuracy", "boundary_f")
        return {
            "classes": task.Table(header, by_class),
            "confusions": task.Table(
                ("class", "taken for", "pixels", "percent of the class"), confused
            ),
        }

    def panel(
        self,
        record: task.Example,
        condition: str,
        given: list[np.ndarray],
        output: list[np.ndarray],
        row: task.Row,
        protocol: str,
    ) -> np.ndarray:
        """Returns image, truth and result side by side, and where they differ."""
        image, truth = record["image"], record["labels"]
        valid = truth != label_files.IGNORE
        told = self._told(image, output, protocol)
        colours = self._colours(output[0].shape[-1])
        wrong = np.where((told != truth) & valid, 255, 0).astype(np.uint8)
        parts = [
            ("image", image),
            ("truth", overlays.blend(image, truth, colours, valid)),
            (
                f"result: mIoU {row['miou']:.1f}, pixels {row['pixel_accuracy']:.1f}",
                overlays.blend(image, told, colours),
            ),
            ("wrong pixels", wrong),
        ]
        shown = np.union1d(truth[valid], told)
        names, colours = [*map(self.name, shown)], colours[shown]
        if not valid.all():
            names.append("(not labelled)")
            colours = np.append(colours, [palettes.UNLABELLED], 0).astype(np.uint8)
        page = panels.compose(parts, title=str(record["id"]))
        return overlays.with_legend(page, names, colours)

    def request(
        self,
        image: np.ndarray,
        options: Mapping[str, Any],
        *,
        image_size: tuple[int, int] | None = None,
    ) -> tuple[list[np.ndarray], Callable[[list[np.ndarray]], answer.Shown]]:
        """Returns what the network sees of a photograph, and how its scores are read.

        Returns:
            One view, float32 [h, w, 3], and the function that gives the photograph
            under the colours of the classes with a legend, and "labels", uint8 [h, w].

        Raises:
            UserError: an option; none are known.
        """
        self.enlargement(options)
        levels = photographs.in_8_bits(image)
        views = self.evaluation_input({"image": levels}, "", _PREDICTS)

        def finish(outputs: list[np.ndarray]) -> answer.Shown:
            labels = self._told(levels, outputs, _PREDICTS)
            colours = self._colours(outputs[0].shape[-1])
            shown = np.unique(labels)
            picture = overlays.with_legend(
                overlays.blend(levels, labels, colours),
                [*map(self.name, shown)],
                colours[shown],
            )
            return answer.Shown(
                picture,
                {"labels": labels.astype(np.uint8)},
                legend_rows=len(picture) - len(levels),
            )

        return views, finish

    def _told(
        self, image: np.ndarray, outputs: Sequence[np.ndarray], protocol: str
    ) -> np.ndarray:
        rules = pixel_protocols.PROTOCOLS[protocol]
        return rules.labels(image, outputs, self.window, self.upsampling)

    def _colours(self, count: int) -> np.ndarray:
        return palettes.palette(self.classes or "unnamed", count)


def _mean(total: jax.Array, count: jax.Array) -> jax.Array:
    """The quotient; 0 where nothing was counted, since the total is 0 there."""
    return total / jnp.where(count > 0, count, 1.0)


def _matrix(rows: Sequence[task.Row]) -> np.ndarray:
    """The confusions of all images, as many classes as the network scores.

    The rows say how many: neither names, which some weights lack, nor the largest class
    that is seen would, and classes that are in no image count by some conventions.
    """
    counts = sorted({int(row["num_classes"]) for row in rows})
    if len(counts) != 1:
        raise errors.UserError(
            "The images of a set are scored by one network, got scores of networks "
            f"for {' and '.join(map(str, counts))} classes. Summarise each by itself."
        )
    triplets = np.concatenate([np.reshape(row["pixels"], (-1, 3)) for row in rows])
    triplets = triplets.astype(np.int64)
    matrix = np.zeros(2 * counts, np.int64)
    np.add.at(matrix, (triplets[:, 0], triplets[:, 1]), triplets[:, 2])
    return matrix


def _boundary_f(rows: Sequence[task.Row], classes: int) -> np.ndarray:
    """The mean over images of each class, NaN for classes without a boundary."""
    scores = np.stack([metrics.boundary_f(row["boundary"], classes) for row in rows])
    known = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        return np.where(known, scores, 0).sum(0) / known.sum(0)


def _check_labels(record: task.Example, count: int) -> None:
    """Refuses labels that are no class.

    The published rule masks labels >= count; here they raise, since records hold none
    but `label_files.IGNORE` unless the network is one for fewer classes, and a score
    over the pixels that are left would flatter it.
    """
    labels = record["labels"]
    wrong = np.unique(labels[(labels >= count) & (labels != label_files.IGNORE)])
    if len(wrong):
        raise errors.DataError(
            f"Record {record['id']!r} of {record['source']} has labels {wrong[:5]}, "
            f"the network scores {count} classes. `python -m dpjax doctor` checks all "
            "records."
        )
