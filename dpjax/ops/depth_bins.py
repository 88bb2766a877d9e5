"""Depth as one of B bins: edges, labels, and what the probabilities of bins say.

Bin k covers the depths from edge k to edge k + 1.  Edges are equally far apart in a
coordinate of the depth d in metres:

    log         ln d  (Cao, Wu & Shen, TCSVT 2018)
    uniform     d
    increasing  ln(d + 1 - least), whose steps grow more slowly than those of ln d where
                `least` is below 1 m  (Fu et al., CVPR 2018, "DORN", eq. 1)

The centre of a bin is the geometric mean of its edges with "log", as VNL (Yin et al.,
ICCV 2019) has it, and their mean otherwise, as DORN has it.  Whatever bins are, what is
uncertain is the logarithm of depth, so that means and deviations are taken of it.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Literal

import jax
import numpy as np
from jax import numpy as jnp

from dpjax import errors

Spacing = Literal["log", "uniform", "increasing"]
Decoding = Literal["argmax", "expectation", "median", "ordinal"]


@dataclasses.dataclass(frozen=True)
class Bins:
    """Consecutive ranges of depth.

    Attributes:
        least: where the first bin begins, metres, above 0.
        most: where the last bin ends, metres.
        count: B, how many there are.
        spacing: "log", "uniform" or "increasing"; see the module.
    """

    least: float
    most: float
    count: int
    spacing: Spacing = "log"

    def __post_init__(self):
        """Checks the fields.

        Raises:
            UserError: an unknown spacing, depths that are not rising from above 0, or
                no bin.
        """
        if self.spacing not in Spacing.__args__:
            raise errors.unknown_name("spacing", self.spacing, Spacing.__args__)
        if not 0 < self.least < self.most < math.inf:
            raise errors.UserError(
                "Bins want depths that rise from above 0, in metres, got "
                f"{self.least!r} to {self.most!r}."
            )
        if type(self.count) is not int or self.count < 1:
            raise errors.UserError(
                f"Bins want a count of at least 1, got {self.count!r}. Pass 100."
            )

    @property
    def edges(self) -> np.ndarray:
        """Where bins begin and the last one ends, metres, float64 [B + 1], rising."""
        ends = [self._coordinate(d, np) for d in (self.least, self.most)]
        return self._depth(np.linspace(*ends, self.count + 1), np)

    @property
    def centres(self) -> np.ndarray:
        """The depth that stands for each bin, metres, float64 [B], rising."""
        low, high = self.edges[:-1], self.edges[1:]
        return np.sqrt(low * high) if self.spacing == "log" else (low + high) / 2

    def labels(self, depth: jax.Array) -> jax.Array:
        """Returns the bin of each depth.

        Args:
            depth: metres, [...]; what is nearer than the first bin, farther than the
                last or not a number counts to the first or last.

        Returns:
            int32 [...], from 0 to B - 1.
        """
        depth = jnp.asarray(depth)
        depth = depth.astype(jnp.promote_types(depth.dtype, jnp.float32))
        inside = jnp.minimum(depth, self.most)
        # A comparison with NaN is False.
        inside = jnp.where(depth > self.least, inside, self.least)
        first, last = (self._coordinate(d, np) for d in (self.least, self.most))
        place = (self._coordinate(inside, jnp) - first) * (self.count / (last - first))
        return jnp.clip(jnp.floor(place).astype(jnp.int32), 0, self.count - 1)

    def depth_at(self, place: jax.Array) -> jax.Array:
        """Returns the depth at a place among the bins.

        Args:
            place: bins and parts of one from the first edge on, in the coordinate in
                which bins are equal, [...]; k is edge k.

        Returns:
            Metres, [...].
        """
        first, last = (self._coordinate(d, np) for d in (self.least, self.most))
        return self._depth(first + place * ((last - first) / self.count), jnp)

    def _coordinate(self, depth, xp):
        """What bins are equally wide in."""
        if self.spacing == "uniform":
            return depth
        return xp.log(depth + self._shift)

    def _depth(self, coordinate, xp):
        if self.spacing == "uniform":
            return coordinate
        return xp.exp(coordinate) - self._shift

    @property
    def _shift(self) -> float:
        return 1 - self.least if self.spacing == "increasing" else 0.0


def decode(
    scores: jax.Array, bins: Bins, decoding: Decoding = "expectation"
) -> jax.Array:
    """Returns the depth that scores of bins mean.

    With P = softmax(scores) and centres c:

        argmax       c of the bin with the largest P  (Cao, Wu & Shen, 2018)
        expectation  exp sum_k P_k ln c_k  (VNL; the soft weighted sum of Li et al.)
        median       where half of P is nearer, if P is spread evenly in each bin

    and for networks trained by `losses.depth_bins.ordinal`, which have no P:

        ordinal      c of the bin whose number is how many scores are above 0  (DORN)

    Args:
        scores: [..., B].
        bins: B of them.
        decoding: one of the four.

    Returns:
        Metres, float32 [...].

    Raises:
        UserError: another number of scores than of bins, or an unknown decoding.
    """
    if decoding not in _DECODERS:
        raise errors.unknown_name("decoding", decoding, _DECODERS)
    return _DECODERS[decoding](_checked(scores, bins), bins)


def confidence(scores: jax.Array) -> jax.Array:
    """Returns the largest probability, max P.

    Args:
        scores: before the softmax, [..., B].

    Returns:
        float32 [...], from 1 / B to 1.
    """
    return jax.nn.softmax(_single(scores)).max(-1)


def log_deviation(scores: jax.Array, bins: Bins) -> jax.Array:
    """Returns the standard deviation of ln depth.

    It is that of P over the logarithms of the centres, and of ln d spread evenly in
    each bin, whose variance is a twelfth of its squared width: a network that is sure
    of a bin does not know where in it the depth is, so that nothing is ever 0.

    Args:
        scores: before the softmax, [..., B].
        bins: B of them.

    Returns:
        Standard deviation of the natural logarithm of metres, float32 [...].

    Raises:
        UserError: another number of scores than of bins.
    """
    shares = jax.nn.softmax(_checked(scores, bins))
    logs = jnp.asarray(np.log(bins.centres), shares.dtype)
    inside = jnp.asarray(np.diff(np.log(bins.edges)) ** 2 / 12, shares.dtype)
    mean = (shares * logs).sum(-1, keepdims=True)
    # Around the mean: a difference of two sums would lose digits.
    return jnp.sqrt((shares * (jnp.square(logs - mean) + inside)).sum(-1))


def _argmax(scores, bins):
    return _centres(jnp.argmax(scores, -1), bins, scores.dtype)


def _expectation(scores, bins):
    logs = jnp.asarray(np.log(bins.centres), scores.dtype)
    return jnp.exp((jax.nn.softmax(scores) * logs).sum(-1))


def _median(scores, bins):
    shares = jax.nn.softmax(scores)
    below = jnp.cumsum(shares, -1)
    middle = below[..., -1:] / 2  # half of the sum, which rounding moves from 1
    k = (below < middle).sum(-1, keepdims=True)
    share = jnp.take_along_axis(shares, k, -1)
    # The middle is inside bin k, whose share is therefore above 0.
    part = (middle - jnp.take_along_axis(below, k, -1)) / share + 1
    return bins.depth_at((k + jnp.clip(part, 0, 1))[..., 0])


def _ordinal(scores, bins):
    passed = (scores > 0).sum(-1)
    return _centres(jnp.minimum(passed, bins.count - 1), bins, scores.dtype)


_DECODERS: dict[str, Callable[[jax.Array, Bins], jax.Array]] = {
    "argmax": _argmax,
    "expectation": _expectation,
    "median": _median,
    "ordinal": _ordinal,
}


def _centres(labels, bins, dtype):
    return jnp.asarray(bins.centres, dtype)[labels]


def _checked(scores, bins):
    if scores.ndim < 1 or scores.shape[-1] != bins.count:
        raise errors.UserError(
            f"{bins.count} bins want as many scores, [..., {bins.count}], got "
            f"{list(scores.shape)}. Build the network with num_classes={bins.count}."
        )
    return _single(scores)


def _single(scores):
    """At least float32: half precision rounds probabilities to a percent."""
    scores = jnp.asarray(scores)
    return scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
