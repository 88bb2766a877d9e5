"""Classification: which of a few classes a whole image shows.

Training follows the Torch code of the ResNets, which "Wider or Deeper" (Wu, Shen & van
den Hengel, 2016) used too; label smoothing, mixup and CutMix are there for the recipes
of later years.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import config, errors
from dpjax.data import area_crop
from dpjax.losses import classification as losses
from dpjax.metrics import classification as metrics
from dpjax.metrics import confusion
from dpjax.models import zoo
from dpjax.ops import jitter, mixing, resize
from dpjax.tasks import answer, class_names, photographs, task
from dpjax.viz import bars, panels

_TOP = 5  # names that are shown, and the k of top-k
_SHOWN = 20  # most frequent confusions that a receipt lists
_PANEL = 256  # smallest side of the picture in a panel, pixels
_PREDICTS = "single"  # the protocol of pictures that are not scored


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What the network sees of an image that is scored.

    Attributes:
        view: side of a view over the side of a training crop.
        share: side of a view over the shorter side of the resized image.
        kernel: how the image is resized, always without aliasing.
        crops: 1 in the middle, or 10: the middle, the four corners, and their mirrors,
            averaged as probabilities.
    """

    view: float
    share: float
    kernel: resize.Kernel
    crops: int


PROTOCOLS = {
    # Wu et al.: 320 for 224, the whole shorter side.
    "single": Protocol(view=10 / 7, share=1.0, kernel="cubic", crops=1),
    # torchvision and most published ResNets: 224 out of 256.
    "centre": Protocol(view=1.0, share=0.875, kernel="linear", crops=1),
    # Krizhevsky et al., on the resized image (fb.resnet.torch): VGG's numbers.
    "ten_crop": Protocol(view=1.0, share=0.875, kernel="cubic", crops=10),
}


@dataclasses.dataclass(frozen=True)
class Classification(class_names.NamingTask):
    """Naming what an image shows.

    Attributes:
        side: of a training crop, pixels; what is scored is measured by it too.
        smoothing: share of a target that is spread over all classes.
        mixup: a of Beta(a, a), the shares of two blended images; 0 for none.
        cutmix: a of Beta(a, a), the area of a box of another image; 0 for none.
        area: smallest and largest share of a picture that a crop has.
        aspect: smallest and largest ratio of its sides.
        jitter: largest change of brightness, contrast and saturation; 0 for none.
        lighting: deviation of the light's colour; 0 for none.
    """

    kind: ClassVar[str] = "classification"
    best: ClassVar[str] = "top1"
    prepared_as: ClassVar[str] = (
        "images of yours as class_folder, a folder for each class"
    )
    example_metric: ClassVar[str] = "nll"
    example_metric_is_high: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = tuple(PROTOCOLS)
    answers_in_words: ClassVar[bool] = True

    side: int = 224
    smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    area: tuple[float, float] = (0.08, 1.0)
    aspect: tuple[float, float] = (3 / 4, 4 / 3)
    jitter: float = 0.4
    lighting: float = 0.1

    def check(self, experiment: config.Experiment) -> None:
        super().check(experiment)
        model = experiment.model
        known = {**zoo.list_options(model.name), **model.options}
        if model.name not in zoo.list_backbones():
            raise errors.UserError(
                "Classification wants a network that scores whole images, got "
                f"{model.name}. Choose one of {', '.join(zoo.list_backbones())}."
            )
        self.check_count(known["num_classes"])
        if experiment.data.crop != (self.side, self.side):
            height, width = experiment.data.crop
            raise errors.UserError(
                f"task.side is {self.side}, so data.crop must be {self.side} and "
                f"{self.side}, got {height} and {width}. Change one of them."
            )
        least = zoo.create_module(model.name, **model.options).smallest_side
        if self.side < least:
            raise errors.UserError(
                f"{model.name} wants images of at least {least} pixels, task.side is "
                f"{self.side}. Change --task.side and --data.crop."
            )
        if experiment.evaluation.ensemble:
            raise errors.UserError(
                "The self-ensemble turns results back by eight symmetries; the name "
                'of a class has none. Leave it out; the protocol "ten_crop" averages '
                "ten views."
            )
        self._check_numbers()

    def _check_numbers(self) -> None:
        rules = (
            ("smoothing", self.smoothing, "in [0, 1)", lambda v: 0 <= v < 1),
            ("mixup", self.mixup, "at least 0", lambda v: v >= 0),
            ("cutmix", self.cutmix, "at least 0", lambda v: v >= 0),
            ("area", self.area, "rising, in (0, 1]", lambda v: 0 < v[0] <= v[1] <= 1),
            ("aspect", self.aspect, "rising, above 0", lambda v: 0 < v[0] <= v[1]),
            ("jitter", self.jitter, "in [0, 1]", lambda v: 0 <= v <= 1),
            ("lighting", self.lighting, "at least 0", lambda v: v >= 0),
        )
        config.check_rules(rules, "task.")

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of image, label, valid, position.

        Args:
            data: not used; `side` tells the size.
        """
        shape = (batch_size, self.side, self.side, 3)
        return {
            "image": jax.ShapeDtypeStruct(shape, jnp.uint8),
            "label": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
            "valid": jax.ShapeDtypeStruct((batch_size,), jnp.bool_),
            "position": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        }

    def train_example(
        self, record: task.Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns a random crop of a random size, at the side of training.

        Args:
            record: `image` uint8 [h, w, 3] and `label`.

        Returns:
            `image` uint8 [side, side, 3], `label` int32.
        """
        image = record["image"]
        window = area_crop.draw_window(
            image.shape[:2], rng, area=self.area, aspect=self.aspect
        )
        return {
            "image": area_crop.cut(image, window, self.side),
            "label": np.int32(_label(record)),
        }

    def inputs(
        self, batch: task.Batch, keys: jax.Array, data: config.Data
    ) -> tuple[jax.Array, task.Batch]:
        """Returns images with random colours, mirrored and mixed.

        Returns:
            float32 [b, side, side, 3] in [0, 1], and the batch with `partner` and
            `share`: whose label counts as well, and how much of the image is its own.
        """
        images = batch["image"].astype(jnp.float32) / 255
        colour, light, flip, blend = jax.vmap(lambda k: jax.random.split(k, 4))(keys).T
        if self.jitter:
            images = jitter.jitter(images, colour, self.jitter)
        if self.lighting:
            images = jitter.lighting(images, light, self.lighting)
        images = jitter.mirror(jnp.clip(images, 0, 1), flip)
        if not self.mixup and not self.cutmix:
            return images, batch
        images, share = mixing.mix(images, blend, mixup=self.mixup, cutmix=self.cutmix)
        partner = mixing.partners(batch["label"])
        return images, {**batch, "partner": partner, "share": share}

    def loss_terms(
        self, outputs: jax.Array, batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the cross-entropy, and how many images are told right.

        Args:
            outputs: scores, float32 [b, k].

        Returns:
            "loss" and "accuracy" as (sum [b], count [b]).
        """
        targets = losses.soft_targets(
            batch["label"],
            outputs.shape[-1],
            partner=batch.get("partner"),
            share=batch.get("share"),
            smoothing=self.smoothing,
        )
        return {
            "loss": losses.cross_entropy(outputs, targets, batch["valid"]),
            "accuracy": losses.accuracy(outputs, batch["label"], batch["valid"]),
        }

    def evaluation_input(
        self, record: task.Example, condition: str, protocol: str
    ) -> np.ndarray:
        """Returns the views of an image that the protocol asks for.

        Args:
            record: `image` uint8 [h, w, 3].

        Returns:
            float32 [side', side', 3], or [10, side', side', 3], the middle first.
        """
        rules = PROTOCOLS[protocol]
        side = round(self.side * rules.view)
        if rules.crops == 1:
            return _centre(record["image"], side, rules)
        return _ten_crops(record["image"], side, rules)

    def score(
        self,
        record: task.Example,
        condition: str,
        given: np.ndarray,
        output: np.ndarray,
        protocol: str,
    ) -> task.Row:
        """Returns whether the class of an image was told, and how confidently.

        Args:
            record: the image, with its `label`.
            output: its scores, [k], or [n, k] of several views.

        Returns:
            top1 and top5, 1 or 0; nll; the classes `label` and `told` as numbers; and
            `confidence`, the probability of `told`.
        """
        logs = metrics.log_probabilities(output)
        label = _label(record)
        place = metrics.rank(logs, label)
        told = int(np.argmax(logs))
        return {
            "top1": float(place < 1),
            "top5": float(place < _TOP),
            "nll": float(-logs[label]),
            "label": label,
            "told": told,
            "confidence": float(np.exp(logs[told])),
        }

    def summarise(self, rows: Sequence[task.Row]) -> dict[str, float]:
        """Returns the scores of a set.

        Returns:
            top1 and top5, percent; nll, the mean negative log-likelihood; ece15, the
            expected calibration error over 15 bins, percent.
        """
        told, right = (np.array([r[n] for r in rows]) for n in ("confidence", "top1"))
        return {
            "top1": 100 * float(right.mean()),
            "top5": 100 * float(np.mean([row["top5"] for row in rows])),
            "nll": float(np.mean([row["nll"] for row in rows])),
            f"ece{metrics.BINS}": 100 * metrics.calibration_error(told, right),
        }

    def tables(self, rows: Sequence[task.Row]) -> dict[str, task.Table]:
        """Returns the score of each class, and what is taken for what.

        Returns:
            "classes", the poorest first, and "confusions", the most frequent first.
        """
        labels, told = (np.array([row[n] for row in rows]) for n in ("label", "told"))
        count = max(len(self.classes), labels.max() + 1, told.max() + 1)
        matrix = confusion.confusion(labels, told, count)
        images = matrix.sum(1)
        top5 = np.bincount(labels, [row["top5"] for row in rows], minlength=count)
        present = np.flatnonzero(images)
        right = matrix.diagonal() / np.maximum(images, 1)
        order = present[np.argsort(right[present], kind="stable")]
        by_class = tuple(
            (
                self.name(k),
                int(images[k]),
                100 * float(right[k]),
                100 * float(top5[k] / images[k]),
            )
            for k in order
        )
        confused = tuple(
            (self.name(a), self.name(b), times, share)
            for a, b, times, share in confusion.frequent(matrix, _SHOWN)
        )
        return {
            "classes": task.Table(("class", "images", "top1", "top5"), by_class),
            "confusions": task.Table(
                ("class", "taken for", "images", "percent of the class"), confused
            ),
        }

    def panel(
        self,
        record: task.Example,
        condition: str,
        given: np.ndarray,
        output: np.ndarray,
        row: task.Row,
        protocol: str,
    ) -> np.ndarray:
        """Returns what the network saw, with the truth, beside its five first names."""
        view = given[0] if given.ndim == 4 else given
        seen = photographs.in_8_bits(view)
        factor = -(-_PANEL // min(seen.shape[:2]))
        seen = seen.repeat(factor, axis=0).repeat(factor, axis=1)
        names, shares = self._ranking(output)
        truth = self.name(row["label"])
        told = bars.draw(names[:_TOP], shares[:_TOP], marked=truth, size=seen.shape[:2])
        verdict = "right" if row["top1"] else "wrong"
        parts = [(f"truth: {truth}", seen), (verdict, told)]
        return panels.compose(parts, title=str(record["id"]))

    def request(
        self,
        image: np.ndarray,
        options: Mapping[str, Any],
        *,
        image_size: tuple[int, int] | None = None,
    ) -> tuple[list[np.ndarray], Callable[[list[np.ndarray]], answer.Answer]]:
        """Returns what the network sees of a photograph, and how its scores are read.

        A photograph is seen as it would be if it were scored, in 8 bits.

        Returns:
            One view, float32 [h, w, 3], and the function that gives the ranking: in
            words the first five, as values all of them.

        Raises:
            UserError: an option; none are known.
        """
        self.enlargement(options)
        record = {"image": photographs.in_8_bits(image)}
        view = self.evaluation_input(record, self.conditions()[0], _PREDICTS)

        def finish(outputs: list[np.ndarray]) -> answer.Answer:
            names, shares = self._ranking(outputs[0])
            ranked = list(zip(names, shares, strict=True))
            lines = tuple(f"{share:7.2%}  {name}" for name, share in ranked[:_TOP])
            values = [{"class": name, "probability": share} for name, share in ranked]
            return answer.Answer(lines, {"ranking": values})

        return [view], finish

    def _ranking(self, output: np.ndarray) -> tuple[list[str], list[float]]:
        logs = metrics.log_probabilities(output)
        order = np.argsort(-logs, kind="stable")
        return [self.name(k) for k in order], np.exp(logs[order]).tolist()


def _label(record: task.Example) -> int:
    label = int(record["label"])
    if label < 0:
        raise errors.DataError(
            f"Record {record['id']!r} of {record['source']} has no label. Choose a "
            "split whose labels are published."
        )
    return label


def _centre(image: np.ndarray, side: int, rules: Protocol) -> np.ndarray:
    size = _resized(image, side, rules)
    # Only the middle is computed, however long a panorama is.
    window = tuple(slice((n - side) // 2, (n - side) // 2 + side) for n in size)
    return _resize(image, size, rules, window)


def _ten_crops(image: np.ndarray, side: int, rules: Protocol) -> np.ndarray:
    size = _resized(image, side, rules)
    whole = _resize(image, size, rules, None)
    bottom, right = (n - side for n in size)
    places = [
        (bottom // 2, right // 2),
        *((top, left) for top in (0, bottom) for left in (0, right)),
    ]
    crops = [whole[y : y + side, x : x + side] for y, x in places]
    return np.stack([*crops, *(crop[:, ::-1] for crop in crops)])


def _resized(image: np.ndarray, side: int, rules: Protocol) -> tuple[int, int]:
    """Height and width at which the shorter side has the length that is wanted."""
    shorter = round(side / rules.share)
    height, width = image.shape[:2]
    scale = shorter / min(height, width)
    longer = max(shorter, round(max(height, width) * scale))
    return (shorter, longer) if height <= width else (longer, shorter)


def _resize(image, size, rules, window):
    levels = resize.imresize(image, size=size, kernel=rules.kernel, window=window)
    return levels.astype(np.float32) / np.float32(255)
