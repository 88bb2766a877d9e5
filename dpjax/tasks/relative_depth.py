"""Relative depth from one image: which of two points is farther, and nothing else.

Networks give a number for every pixel that is larger for what is farther.  They learn
from pairs of points whose order is known (Chen et al., NIPS 2016; Xian et al., CVPR
2018 and 2020; Cao et al., TCSVT 2020), and are a start for networks of metric depth.
Metres are hidden: depth is divided by the median of its crop before a loss sees it, and
no loss changes if all depths are multiplied by a number.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax
import numpy as np
from jax import numpy as jnp

from dpjax import config, errors
from dpjax.data import crop_window, depth_files, sources
from dpjax.losses import affine_invariant, ranking
from dpjax.ops import enlarge, ordinal, pair_sampling, pairs
from dpjax.tasks import (
    answer,
    depth_protocols,
    ordinal_protocols,
    photographs,
    pixel_networks,
    task,
)
from dpjax.viz import relative_maps

Loss = Literal["diw", "redweb", "sgr", "rdis", "affine_invariant"]
Target = Literal["depth", "disparity"]
Sampler = Literal["random", "edges"]

_OF_RATIOS = ("redweb", "sgr")  # which a disparity of unknown shift does not have
_PAIRS = 1  # folded into the key of an example: colours have another
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
_EVERY = 10  # thresholds from one that is shown to the next, 0.1
_PREDICTS = "dense"  # of pictures that belong to no set


@dataclasses.dataclass(frozen=True)
class RelativeDepth(task.Task):
    """Maps that are larger for what is farther.

    Attributes:
        loss: "diw" (Chen et al., NIPS 2016), "redweb" (Xian et al., CVPR 2018), "sgr"
            (CVPR 2020), "rdis", of differences of disparity (Cao et al., TCSVT 2020),
            or as a control without pairs "affine_invariant" (Ranftl et al., TPAMI
            2020).
        target: what records know, "depth", whose ratios make an order, or "disparity",
            of any sign and larger for nearer, whose differences do.
        pairs: of points, drawn for each example in each update.
        sampler: "random", or "edges", half of them across edges of the image.
        threshold: least ratio less 1 that makes an order, or least difference as a
            share of the range of disparities.
        keep: share of the ordered pairs that "redweb" learns from, the worst.
        gradient: weight of the slopes on four scales; 0.2 in "sgr", 0.5 in
            "affine_invariant"; others have none.
        least_confidence: of disparities, where records say one; larger ones count.
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

    loss: Loss = "redweb"
    target: Target = "depth"
    pairs: int = 3000
    sampler: Sampler = "random"
    threshold: float = 0.02
    keep: float = 0.75
    gradient: float = 0.0
    least_confidence: float = 0.0
    upsampling: enlarge.Mode = "half_pixel"
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
        sloped = ("sgr", "affine_invariant")
        rules = (
            (
                "loss",
                self.loss,
                f"one of {', '.join(Loss.__args__)}, and none of "
                f"{', '.join(_OF_RATIOS)} with disparities, which have no ratios",
                lambda v: (
                    v in Loss.__args__
                    and not (v in _OF_RATIOS and self.target == "disparity")
                ),
            ),
            (
                "target",
                self.target,
                f"one of {', '.join(Target.__args__)}",
                lambda v: v in Target.__args__,
            ),
            ("pairs", self.pairs, "at least 6", lambda v: v >= 6),
            (
                "sampler",
                self.sampler,
                f"one of {', '.join(Sampler.__args__)}",
                lambda v: v in Sampler.__args__,
            ),
            ("threshold", self.threshold, "above 0", lambda v: v > 0),
            ("keep", self.keep, "in (0, 1]", lambda v: 0 < v <= 1),
            (
                "gradient",
                self.gradient,
                f"at least 0, and 0 but for {' and '.join(sloped)}",
                lambda v: v == 0 or (v > 0 and self.loss in sloped),
            ),
            (
                "upsampling",
                self.upsampling,
                "half_pixel or align_corners",
                lambda v: v in ("half_pixel", "align_corners"),
            ),
            *photographs.rules(self.size, self.zooms, self.jitter),
        )
        config.check_rules(rules, "task.")

    def with_records(self, opened: Sequence[sources.Source]) -> "RelativeDepth":
        """Returns this task.

        Raises:
            DataError: records that know neither the target nor pairs of points.
        """
        for name, record in sources.samples(opened):
            if self.target not in record and "points" not in record:
                raise errors.DataError(
                    f"{name} has no {self.target} and no pairs of points. Name another "
                    "source, or the target that it has: --task.target depth or "
                    "disparity; evaluate.py takes a config that has it, with --weights."
                )
        return self

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of image, target, has_target, valid, position."""
        return photographs.batch_spec(
            data, batch_size, target=jnp.float32, has_target=jnp.bool_
        )

    def train_example(
        self, record: task.Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns a random crop under a random zoom, with its relative depth.

        Args:
            record: `image` uint8 [h, w, 3], and `depth`, or `disparity` with or without
                `confidence`, float32 [h', w'].

        Returns:
            `image` uint8 [*crop, 3]; `target` float32 [*crop], depth in medians of the
            crop, or disparity; `has_target` bool [*crop].

        Raises:
            DataError: a record without the target.
        """
        values, known = self._truth(record)
        window = crop_window.draw(
            self._size(record["image"]), rng, crop=data.crop, scales=self.zooms
        )
        image = crop_window.cut_picture(record["image"], window, data.crop)
        values = crop_window.cut_map(values, window, data.crop, 0)
        known = crop_window.cut_map(known, window, data.crop, False)
        if self.target == "depth" and known.any():
            values = np.where(known, values / np.median(values[known]), 0)
        if self.mirror and rng.random() < 0.5:
            image, values, known = (a[:, ::-1] for a in (image, values, known))
        return {
            "image": np.ascontiguousarray(image),
            "target": np.ascontiguousarray(values, np.float32),
            "has_target": np.ascontiguousarray(known),
        }

    def inputs(
        self, batch: task.Batch, keys: jax.Array, data: config.Data
    ) -> tuple[Any, task.Batch]:
        """Returns images with random colours, and draws the pairs to compare.

        Returns:
            float32 [b, h, w, 3] in [0, 1], and the batch with the fields of
            `ops.pairs.Pairs`, [b, p].
        """
        images = photographs.coloured(batch["image"], keys, self.jitter)
        keys = jax.vmap(lambda key: jax.random.fold_in(key, _PAIRS))(keys)
        drawn = self._drawn(batch["image"], self._known(batch), keys)
        return images, {**batch, **drawn._asdict()}

    def loss_terms(
        self, outputs: Any, batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the loss, and how many of the ordered pairs are in the wrong order.

        Args:
            outputs: larger for farther, float32 [b, h', w', 1].

        Returns:
            "loss" and "wrong_order" as (sum [b], count [b]).
        """
        known, target = self._known(batch), batch["target"]
        told = enlarge.to_size(outputs, target.shape[1:], self.upsampling)[..., 0]
        points = pairs.Pairs(*(batch[name] for name in pairs.Pairs._fields))
        relation = self._relation(target, known, points)
        first, second = pairs.values(told, points)
        is_wrong = (relation != 0) & (relation * (first - second) <= 0)
        has_order = (relation != 0) & (points.weight > 0)
        return {
            "loss": self._loss(told, target, known, points, relation),
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
        if protocol != "points":
            self._truth(record)
        elif "points" not in record:
            raise errors.DataError(
                f"{record['id']} has no pairs of points. Choose the protocol "
                '"dense", or name another source.'
            )

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
            record: the image with its target, or with `points` and `relation`.

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
                told, truth, known, is_disparity=self.target == "disparity"
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
            (name, value, *bounds.get(name, (np.nan, np.nan)))
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
        if self.target in record:
            values, known = self._truth(record)
            truth = {"truth": self._farther(values, known), "valid": known}
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

    def _truth(self, record):
        """The target of a record and where it is known, [h, w]."""
        if self.target not in record:
            raise errors.DataError(
                f"{record['id']} has no {self.target} to put points in order by. Name "
                'another source, or choose the protocol "points" for its own pairs.'
            )
        values = record[self.target]
        if self.target == "depth":
            known = depth_files.has_depth(values)
        else:
            known = np.isfinite(values)
            if "confidence" in record:
                known &= record["confidence"] > self.least_confidence
        return np.where(known, values, 0).astype(np.float32), known

    def _answered(self, given, output, size):
        """The numbers of a network at another size, by way of what it saw, float64."""
        seen = enlarge.on_host(output, given.shape[:2], self.upsampling)[..., 0]
        return depth_protocols.resized(seen, size)

    def _known(self, batch):
        return batch["has_target"] & batch["valid"][:, None, None]

    def _farther(self, target, known):
        """The target as numbers that are larger for farther, 0 where unknown."""
        if self.target == "disparity":
            return -target
        xp = np if isinstance(target, np.ndarray) else jnp
        return xp.log(xp.where(known, target, 1.0))

    def _drawn(self, images, known, keys):
        if self.sampler == "random":
            return pair_sampling.random(known, keys, self.pairs)
        lines = self.pairs // 6  # three pairs each, half of all
        grey = images.astype(jnp.float32) @ jnp.array(_GREY, jnp.float32) / 255
        both = jax.vmap(jax.random.split)(keys)
        return pairs.joined(
            pair_sampling.across_edges(grey, known, both[:, 0], lines),
            pair_sampling.random(known, both[:, 1], self.pairs - 3 * lines),
        )

    def _relation(self, target, known, points):
        if self.loss != "rdis" and self.target == "depth":
            return ordinal.by_ratio(target, points, threshold=self.threshold)
        return ordinal.by_difference(
            self._disparity(target, known), known, points, threshold=self.threshold
        )

    def _disparity(self, target, known):
        if self.target == "disparity":
            return target
        return jnp.where(known, 1 / jnp.where(known, target, 1.0), 0.0)

    def _loss(self, told, target, known, points, relation):
        threshold = self.threshold
        if self.loss == "redweb":
            return ranking.redweb(
                told, target, points, threshold=threshold, keep=self.keep
            )
        if self.loss == "sgr":
            return ranking.sgr(
                told,
                target,
                points,
                threshold=threshold,
                valid=known,
                gradient=self.gradient,
            )
        if self.loss == "affine_invariant":
            farther = self._farther(target, known)
            return affine_invariant.trimmed_error(
                told, farther, known, gradient=self.gradient
            )
        return ranking.diw(told, points, relation)
