"""Relative depth from one image: which of two points is farther, and nothing else.

Networks give a number for every pixel that is larger for what is farther.  They learn
from pairs of points whose order is known (Chen et al., NIPS 2016; Xian et al., CVPR
2018 and 2020; Cao et al., TCSVT 2020), and are a start for networks of metric depth.
People have put the points in order, or a map of depth or disparity does.  Metres are
hidden: depth is divided by the median of its crop before a loss sees it, and no loss
changes if all depths are multiplied by a number.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import jax
import numpy as np
from jax import numpy as jnp

from dpjax import config
from dpjax.data import crop_window, point_crop, sources
from dpjax.ops import enlarge, pairs
from dpjax.tasks import (
    answer,
    depth_protocols,
    ordinal_pairs,
    ordinal_protocols,
    ordinal_records,
    photographs,
    pixel_networks,
    task,
)
from dpjax.viz import relative_maps

_PAIRS = 1  # folded into the key of an example: colours have another
_EVERY = 10  # thresholds from one that is shown to the next, 0.1
_PREDICTS = "dense"  # of pictures that belong to no set


@dataclasses.dataclass(frozen=True)
class RelativeDepth(task.Task):
    """Maps that are larger for what is farther.

    Attributes:
        loss: "diw" (Chen et al., NIPS 2016), "redweb" (Xian et al., CVPR 2018), "sgr"
            (CVPR 2020), "rdis", of differences of disparity (Cao et al., TCSVT 2020),
            or as a control without pairs "affine_invariant" (Ranftl et al., TPAMI
            2020), of log depth where the paper has inverse depth, or of disparity.
        target: what records know, "depth", whose ratios make an order, "disparity", of
            any sign and larger for nearer, whose differences do, or "points", pairs
            that were put in order, as in DIW.
        pairs: of points, drawn for each example in each update; with a target of points
            how many there is room for, of more some are drawn.
        sampler: "random", or "edges", half of the pairs across edges of the image; by
            default that of the loss's paper, "edges" for "sgr", "random" for others.
        threshold: least ratio less 1 that makes an order, or least difference as a
            share of the range of disparities; by default 0.03 for "sgr" and 0.02 for
            others, of which "redweb" alone has it from its paper.
        keep: share of the ordered pairs that the loss sees, the hardest, in (0, 1]; by
            default 0.75 for "redweb", and all for others.
        gradient: weight of the slopes on four scales; 0.2 in "sgr", 0.5 in
            "affine_invariant"; others have none.
        least_confidence: of disparities, where records say one, a share of the most
            that there is, in [0, 1); pixels with a larger one count. 0 leaves out what
            was filled in.
        upsampling: how the numbers are enlarged, "half_pixel" or "align_corners".
        size: height and width that images are brought to first, pixels; none keeps
            their own.
        zooms: smallest and largest factor of a training image's size.
        mirror: half of the training images are mirrored.
        jitter: largest change of brightness, contrast and saturation; 0 for none.
    """

    kind: ClassVar[str] = "relative_depth"
    best: ClassVar[str] = "whdr_image"
    best_is_high: ClassVar[bool] = False
    headlines: ClassVar[tuple[str, ...]] = ("whdr_image", "wkdr_image", "images")
    example_metric: ClassVar[str] = "whdr"
    example_metric_is_high: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ordinal_protocols.PROTOCOLS
    result: ClassVar[str] = "relative_depth"
    maps: ClassVar[Mapping[str, type]] = {"relative_depth": np.float32}

    loss: ordinal_pairs.Loss = "redweb"
    target: ordinal_records.Target = "depth"
    pairs: int = 3000
    sampler: ordinal_pairs.Sampler | None = None
    threshold: float | None = None
    keep: float | None = None
    gradient: float = 0.0
    least_confidence: float = 0.0
    upsampling: enlarge.Bilinear = "half_pixel"
    size: tuple[int, ...] = ()
    zooms: tuple[float, float] = (1.0, 1.5)
    mirror: bool = True
    jitter: float = 0.0

    def check(self, experiment: config.Experiment) -> None:
        super().check(experiment)
        pixel_networks.check(
            experiment.model, 1, task="Relative depth", meaning="one number"
        )
        pixel_networks.check_crf(
            experiment.model,
            (),
            because="A relative depth has neither labels nor a scale, one of which the "
            "CRF {} joins.",
        )
        photographs.check_upright(experiment.evaluation)
        rules = (
            *ordinal_pairs.rules(self),
            (
                "least_confidence",
                self.least_confidence,
                "a share of the most confidence, in [0, 1)",
                lambda v: 0 <= v < 1,
            ),
            (
                "upsampling",
                self.upsampling,
                " or ".join(enlarge.Bilinear.__args__),
                lambda v: v in enlarge.Bilinear.__args__,
            ),
            *photographs.rules(self.size, self.zooms, self.jitter),
        )
        config.check_rules(rules, "task.")

    @property
    def order(self) -> ordinal_pairs.OrdinalPairs:
        """The loss, with what is left to its paper."""
        return ordinal_pairs.resolved(self)

    def with_records(self, opened: Sequence[sources.Source]) -> "RelativeDepth":
        """Returns this task.

        Raises:
            DataError: records that know neither the target nor pairs of points.
        """
        for name, record in sources.samples(opened):
            ordinal_records.check_any(name, record, self.target)
        return self

    def check_example(self, record: task.Example) -> None:
        """Raises if a record does not have the target.

        Raises:
            DataError: the message names what it has instead.
        """
        ordinal_records.check_taught(record, self.target)

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of a batch.

        Returns:
            image, valid and position; and target with has_target, or points, relation
            and has_relation.
        """
        if self.target != "points":
            return photographs.batch_spec(
                data, batch_size, target=jnp.float32, has_target=jnp.bool_
            )
        shapes = {
            "points": ((self.pairs, 2, 2), jnp.int32),
            "relation": ((self.pairs,), jnp.int8),
            "has_relation": ((self.pairs,), jnp.bool_),
        }
        return photographs.batch_spec(data, batch_size) | {
            name: jax.ShapeDtypeStruct((batch_size, *shape), dtype)
            for name, (shape, dtype) in shapes.items()
        }

    def train_example(
        self, record: task.Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns a random crop under a random zoom, with its relative depth.

        Args:
            record: `image` uint8 [h, w, 3], and `depth` float32 [h', w'], or
                `disparity` float32 [h', w'] with or without `confidence` uint8 [h',
                w'], or `points` int [p, 2, 2] with `relation` int [p].

        Returns:
            `image` uint8 [*crop, 3]; `target` float32 [*crop], depth in medians of the
            crop, or disparity, and `has_target` bool [*crop]; or what
            `point_crop.cut` returns as `points`, `relation` and `has_relation`.

        Raises:
            DataError: a record without the target.
        """
        self.check_example(record)
        size = self._size(record["image"])
        window = crop_window.draw(size, rng, crop=data.crop, scales=self.zooms)
        is_mirrored = self.mirror and rng.random() < 0.5
        image = crop_window.cut_picture(record["image"], window, data.crop)
        image = image[:, ::-1] if is_mirrored else image
        if self.target == "points":
            names = ("points", "relation", "has_relation")
            found = point_crop.cut(
                record["points"],
                record["relation"],
                record["image"].shape[:2],
                window,
                data.crop,
                count=self.pairs,
                rng=rng,
                is_mirrored=is_mirrored,
            )
            targets = dict(zip(names, found, strict=True))
        else:
            targets = self._map(record, window, data.crop, is_mirrored)
        return {"image": np.ascontiguousarray(image), **targets}

    def inputs(
        self, batch: task.Batch, keys: jax.Array, data: config.Data
    ) -> tuple[Any, task.Batch]:
        """Returns images with random colours, and the pairs to compare.

        Returns:
            float32 [b, h, w, 3] in [0, 1], and the batch with the fields of
            `ops.pairs.Pairs`, [b, p].
        """
        images = photographs.coloured(batch["image"], keys, self.jitter)
        keys = jax.vmap(lambda key: jax.random.fold_in(key, _PAIRS))(keys)
        return images, {**batch, **self.order.drawn(batch, keys)._asdict()}

    def loss_terms(
        self, outputs: Any, batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the loss, and how many of the ordered pairs are in the wrong order.

        Args:
            outputs: larger for farther, float32 [b, h', w', 1].

        Returns:
            "loss" and "wrong_order" as (sum [b], count [b]).
        """
        size = batch["image"].shape[1:3]
        told = enlarge.to_size(outputs, size, self.upsampling)[..., 0]
        points = pairs.Pairs(*(batch[name] for name in pairs.Pairs._fields))
        relation = self.order.relation(batch, points)
        first, second = pairs.values(told, points)
        is_wrong = (relation != 0) & (relation * (first - second) <= 0)
        has_order = (relation != 0) & (points.weight > 0)
        return {
            "loss": self.order.cost(told, batch, points, relation),
            "wrong_order": tuple(
                (has_order & part).sum(1).astype(jnp.float32)
                for part in (is_wrong, True)
            ),
        }

    def check_record(self, record: task.Example, protocol: str) -> None:
        """Raises if a record does not know the order of points as a protocol asks.

        Raises:
            DataError: no pairs of points, or no map of the target.
        """
        if protocol == "points":
            ordinal_records.check_points(record)
        else:
            self._truth(record)

    def evaluation_input(
        self, record: task.Example, condition: str, protocol: str
    ) -> Any:
        """Returns the whole image, at the size that the network is to see.

        Args:
            record: `image` uint8 [h, w, 3].

        Returns:
            float32 [h', w', 3].
        """
        size = self._size(record["image"])
        return crop_window.resize(record["image"], size).astype(np.float32) / 255

    def score(
        self,
        record: task.Example,
        condition: str,
        given: Any,
        output: Any,
        protocol: str,
    ) -> task.Row:
        """Returns how many pairs of one image are in the wrong order.

        Args:
            record: the image with `points` and `relation`, or with the map that
                `ordinal_records.map_of` names.

        Returns:
            whdr of this image, unless no pair has an order, and `counts`, what
            `ordinal_protocols` gives.

        Raises:
            DataError: a record without what the protocol wants.
        """
        self.check_record(record, protocol)
        if protocol == "points":
            told = self._answered(given, output, record["image"].shape[:2])
            found = ordinal_protocols.points(told, record["points"], record["relation"])
        else:
            truth, known = self._truth(record)
            told = self._answered(given, output, truth.shape)
            found = ordinal_protocols.dense(
                told, truth, known, is_disparity=self._is_disparity(record)
            )
        return {**ordinal_protocols.own(found), "counts": found}

    def summarise(self, rows: Sequence[task.Row]) -> dict[str, float]:
        """Returns the scores of a set.

        Returns:
            What `ordinal_protocols.summary` returns.
        """
        return ordinal_protocols.summary([row["counts"] for row in rows])

    def tables(self, rows: Sequence[task.Row]) -> dict[str, task.Table]:
        """Returns scores with confidence intervals, and WKDR by threshold.

        Returns:
            "scores", and "thresholds", every tenth of them, where some pairs are
            equally far.
        """
        counts = [row["counts"] for row in rows]
        bounds = ordinal_protocols.intervals(counts)
        lines = tuple(
            (name, value, *bounds.get(name, ("", "")))
            for name, value in ordinal_protocols.summary(counts).items()
        )
        found = {"scores": task.Table(("score", "value", "95% from", "95% to"), lines)}
        by_threshold = ordinal_protocols.sweep(counts)
        if by_threshold:
            header = ("threshold", "wkdr", "wkdr_equal", "wkdr_unequal")
            lines = tuple(by_threshold[::_EVERY])
            found["thresholds"] = task.Table(header, lines)
        return found

    def panel(
        self,
        record: task.Example,
        condition: str,
        given: Any,
        output: Any,
        row: task.Row,
        protocol: str,
    ) -> np.ndarray:
        """Returns image, true and predicted order, each in colours from near to far."""
        truth = {}
        if ordinal_records.map_of(record, self.target):
            values, known = self._truth(record)
            is_disparity = self._is_disparity(record)
            farther = -values if is_disparity else np.log(np.where(known, values, 1))
            truth = {"truth": farther, "valid": known}
        return relative_maps.panel(
            record["image"],
            self._answered(given, output, record["image"].shape[:2]),
            **truth,
            title=str(record["id"]),
            caption=f"WHDR {row['whdr']:.3f}" if "whdr" in row else "no ordered pairs",
        )

    def enlargement(self, options: Mapping[str, Any]) -> int:
        """Returns 1.

        Args:
            options: {"range": (low, high)}, what the first and the last colour of the
                picture stand for, in numbers of the network; or nothing.

        Raises:
            UserError: another option, or a range that does not rise.
        """
        return super().enlargement(answer.without_range(options, "number"))

    def request(
        self,
        image: np.ndarray,
        options: Mapping[str, Any],
        *,
        image_size: tuple[int, int] | None = None,
    ) -> tuple[list[Any], Callable[[list[Any]], answer.Shown]]:
        """Returns what the network sees of a photograph, and how its answer is read.

        It sees the whole photograph, with its aspect if the network takes any size.

        Returns:
            One view, and the function that gives colours with a bar from near to far,
            and "relative_depth" float32 [h, w], larger for farther.  Colours are those
            of the option "range", or else of what nearly all pixels have.

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
            found = own._answered(given, outputs[0], size)
            maps = {"relative_depth": found.astype(np.float32)}
            ends = options.get(answer.RANGE)
            ends = relative_maps.ends(found) if ends is None else ends
            picture = relative_maps.picture(found, between=ends)
            return answer.Shown(picture, maps, scale=ends)

        return [given], finish

    def _size(self, image: np.ndarray) -> tuple[int, int]:
        return tuple(self.size) or image.shape[:2]

    def _map(self, record, window, crop, is_mirrored):
        """The target of a crop, and where it is known."""
        values, known = self._truth(record)
        values = crop_window.cut_map(values, window, crop, 0)
        known = crop_window.cut_map(known, window, crop, False)
        if self.target == "depth" and known.any():
            values = np.where(known, values / np.median(values[known]), 0)
        if is_mirrored:
            values, known = values[:, ::-1], known[:, ::-1]
        return {
            "target": np.ascontiguousarray(values, np.float32),
            "has_target": np.ascontiguousarray(known),
        }

    def _truth(self, record):
        """The map that orders the points of a record, and where it is known, [h, w]."""
        return ordinal_records.truth(
            record, self.target, least_confidence=self.least_confidence
        )

    def _is_disparity(self, record):
        return ordinal_records.map_of(record, self.target) == "disparity"

    def _answered(self, given, output, size):
        """The numbers of a network at another size, by way of what it saw, float64."""
        seen = enlarge.on_host(output, given.shape[:2], self.upsampling)[..., 0]
        return depth_protocols.resized(seen, size)
