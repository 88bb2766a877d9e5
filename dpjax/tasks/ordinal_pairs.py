"""Which points of a picture are compared, on the device, and what a wrong order costs.

Pairs are drawn from all pixels whose depth or disparity is known and put in order by
it, or they come with the record.  What a loss does not say itself, how different points
must be and which pairs it sees, is that of its paper.
"""

import dataclasses
from typing import Literal, NamedTuple, Protocol

import jax
from jax import numpy as jnp

from dpjax import config
from dpjax.losses import affine_invariant, ranking
from dpjax.losses import depth as depth_losses
from dpjax.ops import ordinal, pair_sampling, pairs
from dpjax.tasks import ordinal_records, task

Loss = Literal["diw", "redweb", "sgr", "rdis", "affine_invariant"]
Sampler = Literal["random", "edges"]

_SAMPLERS = Sampler.__args__
_SLOPED = ("sgr", "affine_invariant")  # losses that may have a gradient term
_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601


class Paper(NamedTuple):
    """What goes with a loss.

    Attributes:
        threshold: least ratio less 1 that makes an order, or least difference as a
            share of the range of disparities.
        sampler: where pairs are drawn.
        keep: share of the ordered pairs that count, the worst.
    """

    threshold: float
    sampler: Sampler
    keep: float


# Thresholds of Xian et al., CVPR 2018 and 2020.  Those of the others are not known to
# us, and are 0.02 too; of the control, whose loss has no pairs, for what is logged.
PAPERS: dict[Loss, Paper] = {
    "diw": Paper(0.02, "random", 1.0),
    "redweb": Paper(0.02, "random", 0.75),
    "sgr": Paper(0.03, "edges", 1.0),
    "rdis": Paper(0.02, "random", 1.0),
    "affine_invariant": Paper(0.02, "random", 1.0),
}


class Options(Protocol):
    """What a configuration says; None leaves it to the paper of the loss.

    Attributes:
        loss: see `relative_depth.RelativeDepth`, as the others.
        target: what records know.
        pairs: of each example.
        sampler: see `Paper`.
        threshold: see `Paper`.
        keep: see `Paper`.
        gradient: weight of the slopes.
    """

    loss: Loss
    target: ordinal_records.Target
    pairs: int
    sampler: Sampler | None
    threshold: float | None
    keep: float | None
    gradient: float


@dataclasses.dataclass(frozen=True)
class OrdinalPairs:
    """A loss with all that it asks for.

    Attributes:
        loss: see `Options`, as the others.
        target: what records know.
        count: p, pairs of each example.
        threshold: see `Paper`.
        sampler: see `Paper`.
        keep: see `Paper`.
        gradient: weight of the slopes.
    """

    loss: Loss
    target: ordinal_records.Target
    count: int
    threshold: float
    sampler: Sampler
    keep: float
    gradient: float

    def drawn(self, batch: task.Batch, keys: jax.Array) -> pairs.Pairs:
        """Returns the pairs of a batch.

        Args:
            batch: `image` uint8 [b, h, w, 3], `valid` bool [b], and `has_target` bool
                [b, h, w], or `points` int [b, p, 2, 2] with `has_relation` bool [b, p].
            keys: one PRNG key for each example, [b].

        Returns:
            [b, p]; weight 0 for what does not count.
        """
        images = batch["image"]
        if self.target == "points":
            counts = batch["has_relation"] & batch["valid"][:, None]
            return pairs.at(batch["points"], counts, images.shape[1:3])
        known = _known(batch)
        if self.sampler == "random":
            return pair_sampling.random(known, keys, self.count)
        lines = self.count // 6  # three pairs each, half of all
        grey = images.astype(jnp.float32) @ jnp.array(_GREY, jnp.float32) / 255
        both = jax.vmap(jax.random.split)(keys)
        return pairs.joined(
            pair_sampling.across_edges(grey, known, both[:, 0], lines),
            pair_sampling.random(known, both[:, 1], self.count - 3 * lines),
        )

    def relation(self, batch: task.Batch, points: pairs.Pairs) -> jax.Array:
        """Returns which point of each pair is farther.

        Args:
            batch: with `relation` int [b, p], or `target` [b, h, w] and `has_target`.
            points: from `drawn`.

        Returns:
            -1, 0 or +1, int32 [b, p]; see `ops.ordinal`.
        """
        if self.target == "points":
            return batch["relation"].astype(jnp.int32)
        known, values = _known(batch), batch["target"]
        if self.target == "depth" and self.loss != "rdis":
            return ordinal.by_ratio(values, points, threshold=self.threshold)
        if self.target == "depth":
            values = jnp.where(known, 1 / jnp.where(known, values, 1.0), 0.0)
        return ordinal.by_difference(values, known, points, threshold=self.threshold)

    def cost(
        self,
        told: jax.Array,
        batch: task.Batch,
        points: pairs.Pairs,
        relation: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the loss of each image, and what it is to be divided by.

        Args:
            told: larger for farther, float32 [b, h, w].
            batch: with `target` and `has_target`, [b, h, w], unless those are points.
            points: from `drawn`.
            relation: from `relation`.

        Returns:
            float32 [b] and float32 [b]; 0 and 0 where nothing counts.
        """
        if self.loss == "affine_invariant":
            known = _known(batch)
            return affine_invariant.trimmed_error(
                told, self._farther(batch, known), known, gradient=self.gradient
            )
        if self.loss == "redweb":
            return ranking.redweb(told, points, relation, keep=self.keep)
        if self.loss == "sgr":
            slopes = {}
            if self.gradient:
                slopes = {"depth": batch["target"], "valid": _known(batch)}
            return ranking.sgr(
                told, points, relation, keep=self.keep, gradient=self.gradient, **slopes
            )
        return ranking.diw(told, points, relation, keep=self.keep)

    def _farther(self, batch, known):
        """The target as numbers that are larger for farther."""
        if self.target == "disparity":
            return -batch["target"]
        return depth_losses.log_depth(batch["target"], known)


def resolved(options: Options) -> OrdinalPairs:
    """Returns a loss with what is left to its paper.

    Args:
        options: of a configuration.

    Returns:
        All of it.
    """
    paper = PAPERS[options.loss]
    given = {name: getattr(options, name) for name in Paper._fields}
    chosen = {name: value for name, value in given.items() if value is not None}
    return OrdinalPairs(
        loss=options.loss,
        target=options.target,
        count=options.pairs,
        gradient=options.gradient,
        **{**paper._asdict(), **chosen},
    )


def rules(options: Options) -> tuple[config.Rule, ...]:
    """Returns what the options must be.

    Args:
        options: of a configuration.

    Returns:
        For `config.check_rules`.
    """
    target, is_points = options.target, options.target == "points"
    known = ordinal_records.LOSSES.get(target, ())
    given = "left out with a target of points, which come in order"
    count = 1 if is_points else 6  # three pairs across an edge, and as many others
    return (
        (
            "target",
            target,
            f"one of {', '.join(ordinal_records.LOSSES)}",
            lambda v: v in ordinal_records.LOSSES,
        ),
        (
            "loss",
            options.loss,
            f"one of {', '.join(known)} with a target of {target}"
            f"{ordinal_records.REASONS.get(target)}",
            lambda v: v in known,
        ),
        ("pairs", options.pairs, f"at least {count}", lambda v: v >= count),
        (
            "sampler",
            options.sampler,
            given if is_points else f"one of {', '.join(_SAMPLERS)}, or None",
            lambda v: v is None or (v in _SAMPLERS and not is_points),
        ),
        (
            "threshold",
            options.threshold,
            given if is_points else "above 0, or None",
            lambda v: v is None or (v > 0 and not is_points),
        ),
        (
            "keep",
            options.keep,
            "in (0, 1], or None",
            lambda v: v is None or 0 < v <= 1,
        ),
        (
            "gradient",
            options.gradient,
            "0 with a target of points, which have no slopes"
            if is_points
            else f"at least 0, and 0 but for {' and '.join(_SLOPED)}",
            lambda v: v == 0 or (v > 0 and options.loss in _SLOPED and not is_points),
        ),
    )


def _known(batch):
    return batch["has_target"] & batch["valid"][:, None, None]
