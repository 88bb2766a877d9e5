"""Depth as classification: each pixel is in one of many bins of depth.

Cao, Wu & Shen, TCSVT 2018.  Networks score the bins of every pixel, and the scores are
trained by the information gain, by cross-entropy, or by the ordinal regression of DORN
(Fu et al., CVPR 2018).  The probabilities of bins say how sure a depth is.
"""

import dataclasses
import functools
import math
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dpjax import config
from dpjax.losses import depth as depth_losses
from dpjax.losses import depth_bins as losses
from dpjax.models import grid_crf, segmenters
from dpjax.ops import depth_bins as binning
from dpjax.ops import enlarge
from dpjax.ops.meanfield import dense_crf
from dpjax.tasks import depth, pixel_networks, task

Loss = Literal["information_gain", "cross_entropy", "ordinal"]
Crf = Literal["none", "potts", "truncated"]

# The paper's kernels are not known: those of the public library's example.
_KERNELS = dense_crf.PUBLISHED["library_demo"]
_TRUNCATION = 0.1  # share of the bins beyond which all are equally unlike


@dataclasses.dataclass(frozen=True)
class DepthBins(depth.Depth):
    """Depth maps made of bins.

    Attributes:
        loss: "information_gain" (Cao, Wu & Shen, 2018), "cross_entropy", or "ordinal"
            (DORN), whose scores have no probabilities and give no deviation.
        bins: the ranges of depth, as many as the network has `num_classes`; what is
            nearer or farther counts to the first or last.
        alpha: of the information gain, how fast the reward falls with the distance in
            bins; 0.2 in VNL (Yin et al., ICCV 2019).
        is_normalised: whether the rewards of a pixel sum to 1, as in VNL.
        decoding: how scores become a depth, see `ops.depth_bins.decode`: "expectation",
            "argmax" as the paper, "median"; "ordinal" goes with that loss.
        upsampling: how scores are enlarged, "half_pixel" or "align_corners"; what the
            network was made for.
        crf: of a dense CRF that has the last word on the scores of a trained network,
            "potts", for which all other bins are equally unlike, or "truncated", for
            which near ones are less so; "none" for no such CRF.  See
            --model.options.crf for one that learns.
        unit: the default; bins have their depths.
    """

    _meaning: ClassVar[tuple[str, ...]] = ("bins", "is_ordinal")
    _losses: ClassVar[tuple[str, ...]] = Loss.__args__

    loss: Loss = "information_gain"
    bins: binning.Bins = dataclasses.field(
        default_factory=lambda: binning.Bins(0.7, 10.0, 100)
    )
    alpha: float = 0.2
    is_normalised: bool = False
    decoding: binning.Decoding = "expectation"
    upsampling: enlarge.Bilinear = "half_pixel"
    crf: Crf = "none"

    @property
    def is_ordinal(self) -> bool:
        """Whether a score asks if the depth is beyond a bin."""
        return self.loss == "ordinal"

    def check(self, experiment: config.Experiment) -> None:
        super().check(experiment)
        known = ("ordinal",) if self.is_ordinal else ("expectation", "argmax", "median")
        rules = (
            (
                "unit",
                self.unit,
                "log_metres, because bins have their depths",
                lambda v: v == "log_metres",
            ),
            ("alpha", self.alpha, "above 0", lambda v: 0 < v < math.inf),
            (
                "decoding",
                self.decoding,
                f"{' or '.join(known)} with a loss of {self.loss}",
                lambda v: v in known,
            ),
            (
                "upsampling",
                self.upsampling,
                " or ".join(enlarge.Bilinear.__args__),
                lambda v: v in enlarge.Bilinear.__args__,
            ),
            (
                "crf",
                self.crf,
                f"one of {', '.join(Crf.__args__)}, and none with a loss of ordinal, "
                "whose scores are no probabilities of bins",
                lambda v: v == "none" or (v in Crf.__args__ and not self.is_ordinal),
            ),
        )
        config.check_rules(rules, "task.")

    def _check_model(self, model: config.Model) -> None:
        count = self.bins.count
        pixel_networks.check(
            model, count, task="Depth by bins", meaning=f"{count} scores"
        )
        labelled = (c for c in segmenters.Crf.__args__ if c not in grid_crf.NAMES)
        pixel_networks.check_crf(
            model,
            tuple(name for name in labelled if name != "none"),
            because="Bins are labels, and the CRF {} joins numbers.",
        )

    def loss_terms(
        self, outputs: Any, batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the loss, and the mean error of logarithms of the answer.

        Scores are as large as the truth for one image at a time.

        Args:
            outputs: scores, float32 [b, h', w', B].

        Returns:
            "loss" and "log_error" as (sum [b], count [b]).
        """

        def of_one(scores, metres, known):
            told = binning.decode(lax.stop_gradient(scores), self.bins, self.decoding)
            truth = depth_losses.log_depth(metres, known)
            return {
                "loss": self._loss(scores, self.bins.labels(metres), known),
                "log_error": depth_losses.absolute_error(jnp.log(told), truth, known),
            }

        known = batch["has_depth"] & batch["valid"][:, None, None]
        return losses.enlarged(
            of_one, outputs, batch["depth"], known, mode=self.upsampling
        )

    def predicted(self, given: Any, output: Any) -> depth.Prediction:
        """Returns the depth that scores mean, and how sure they are.

        Args:
            given: what the network saw, float32 [h, w, 3].
            output: what it gave, scores, float32 [h', w', B].

        Returns:
            Depth, and deviation unless the scores are those of "ordinal", on the grid
            of the image that the network saw.
        """
        scores = enlarge.on_host(output, given.shape[:2], self.upsampling)
        if self.crf != "none":
            images = np.asarray(given, np.float32)[None]
            scores = _refined(np.asarray(scores, np.float32)[None], images, self.crf)[0]
        metres = np.asarray(binning.decode(scores, self.bins, self.decoding))
        spread = None
        if not self.is_ordinal:
            spread = np.asarray(binning.log_deviation(scores, self.bins))
        return depth.Prediction(np.clip(metres, *self.limits), spread)

    def _loss(self, scores, labels, known):
        if self.is_ordinal:
            return losses.ordinal(scores, labels, known)
        is_gain = self.loss == "information_gain"
        return losses.information_gain(
            scores,
            labels,
            known,
            alpha=self.alpha if is_gain else math.inf,
            is_normalised=self.is_normalised,
        )


@functools.partial(jax.jit, static_argnames="crf")
def _refined(scores, images, crf):
    compatibility = None
    if crf == "truncated":
        places = np.arange(scores.shape[-1])
        apart = np.abs(places[:, None] - places)
        # A reward for what is alike is the same as a penalty for what is not.
        compatibility = 1 - np.minimum(apart / max(_TRUNCATION * len(places), 1), 1)
        compatibility = jnp.asarray(compatibility, scores.dtype)
    return dense_crf.refine(scores, images, _KERNELS, compatibility=compatibility)
