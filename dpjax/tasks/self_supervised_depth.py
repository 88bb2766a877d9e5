"""Depth from one image, learned from stereo pairs instead of depth.

Godard, Mac Aodha & Brostow, CVPR 2017; Garg, Kumar, Carneiro & Reid, ECCV 2016.
Networks see the left view and give disparity; depth is focal length times baseline over
it, and is scored under the protocols of `depth_protocols` where there is true depth.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import config, errors
from dpjax.data import crop_window, sources
from dpjax.losses import view_synthesis
from dpjax.models import zoo
from dpjax.ops import pair_colours
from dpjax.tasks import answer, depth, photographs, task

Loss = Literal["left_right", "photometric"]

_COARSEST = 8  # stride of the coarsest disparities that a loss sees
_LEAST = 3 * _COARSEST  # pixels of a side: SSIM has windows of 3
# Focal length of KITTI's rectified images by their width, pixels, and the baseline,
# metres (Godard et al., their evaluation code).
_KITTI_FOCAL = {1242: 721.5377, 1241: 718.856, 1224: 707.0493, 1238: 718.3351}
_KITTI_BASELINE = 0.54
# Where both disparities of `blended` are mixed, shares of the width: from the first on
# the mirrored one fades away, over the second.
_RIM, _FADE = 0.05, 0.05


@dataclasses.dataclass(frozen=True)
class SelfSupervisedDepth(depth.Depth):
    """Depth maps of a network that has seen stereo pairs.

    Attributes:
        loss: "left_right" (Godard et al.) or "photometric" (Garg et al.).
        smoothness: weight of the roughness of disparity; see `view_synthesis`.
        consistency: weight of the difference between both disparities, of "left_right".
        zooms: smallest and largest factor of a training pair's size.
        mirror: half of the training pairs are mirrored and their views exchanged.
        colours: half of the training pairs get other colours; see `pair_colours`.
        focal_baseline: metres of depth where disparity is the width of the image, that
            is focal length as a share of the width times the baseline, for records that
            do not tell and photographs; 0.3137 for KITTI.  With 1 depth is in
            baselines, as of a focal length that is the width.
        limits: of the depth that is ever answered, in `answer_unit`.
        flip_average: the mirrored image is seen as well, and both disparities are
            blended ("pp" of Godard et al.).
        unit: the default; networks give disparity.
        jitter: the default; see `colours`.
    """

    _meaning: ClassVar[tuple[str, ...]] = ()

    loss: Loss = "left_right"
    smoothness: float = 0.1
    consistency: float = 1.0
    zooms: tuple[float, float] = (1.0, 1.0)
    colours: bool = True
    focal_baseline: float = 1.0
    flip_average: bool = False

    @property
    def answer_unit(self) -> str:
        """Metres as "m", or "baselines" where nothing is known of the cameras."""
        return "baselines" if self.focal_baseline == 1 else "m"

    def check(self, experiment: config.Experiment) -> None:
        # The rules of Depth on losses and units are others.
        task.Task.check(self, experiment)
        for name in self.also:
            if name not in self.protocols:
                raise errors.unknown_name("depth protocol", name, self.protocols)
        photographs.check_upright(
            experiment.evaluation, "Choose --task.flip-average instead."
        )
        self._check_model(experiment.model)
        crop = tuple(experiment.data.crop)
        rules = (
            (
                "size",
                self.size,
                f"data.crop, {crop}, because disparity is measured by the width",
                lambda v: tuple(v) == crop,
            ),
            ("zooms", self.zooms, "rising, above 0", lambda v: 0 < v[0] <= v[1]),
            ("smoothness", self.smoothness, "at least 0", lambda v: v >= 0),
            ("consistency", self.consistency, "at least 0", lambda v: v >= 0),
            ("focal_baseline", self.focal_baseline, "above 0", lambda v: v > 0),
            ("jitter", self.jitter, "0; colours are --task.colours", lambda v: v == 0),
            ("limits", self.limits, "rising, above 0", lambda v: 0 < v[0] < v[1]),
        )
        config.check_rules(rules, "task.")
        if any(side % _COARSEST or side < _LEAST for side in crop):
            raise errors.UserError(
                f"data.crop must be multiples of {_COARSEST} from {_LEAST} on, because "
                f"the coarsest disparities have that stride, got {crop}. Change "
                "--data.crop and --task.size."
            )

    def with_records(self, opened: Sequence[sources.Source]) -> "SelfSupervisedDepth":
        """Returns this task.

        Raises:
            DataError: records with neither a right view nor depth.
        """
        for name, record in sources.samples(opened):
            if not {"right", "depth"} & record.keys():
                raise errors.DataError(
                    f"{name} has neither right views nor depth. Prepare stereo pairs "
                    "as stereo_pairs, or name another source."
                )
        return self

    def _check_model(self, model: config.Model) -> None:
        known = zoo.list_disparity_networks()
        if self.loss not in Loss.__args__:
            raise errors.unknown_name("loss", self.loss, Loss.__args__)
        if model.name not in known:
            raise errors.UserError(
                "Depth from stereo pairs wants a network that gives disparity, got "
                f"{model.name}. Choose one of {', '.join(known)}."
            )
        views = zoo.create_module(model.name, **model.options).decoder.views
        if self.loss == "left_right" and views != 2:
            raise errors.UserError(
                'The loss "left_right" compares disparities of two views, '
                f"{model.name} gives one. Choose --task.loss photometric."
            )

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of image, right, valid, position."""
        found = photographs.batch_spec(data, batch_size)
        return {**found, "right": found["image"]}

    def train_example(
        self, record: task.Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns the same random crop of both views.

        Mirrored, what the right camera saw is a left view.

        Args:
            record: `image` and `right`, uint8 [h, w, 3].

        Returns:
            `image` and `right`, uint8 [*crop, 3].

        Raises:
            DataError: a record without a right view.
        """
        if "right" not in record:
            raise errors.DataError(
                f"{record['source']} has no right views to train on. Prepare stereo "
                "pairs as stereo_pairs, or name another source."
            )
        window = crop_window.draw(
            self._size(record["image"]), rng, crop=data.crop, scales=self.zooms
        )
        left, right = (
            crop_window.cut_picture(record[view], window, data.crop)
            for view in ("image", "right")
        )
        if self.mirror and rng.random() < 0.5:
            left, right = (np.ascontiguousarray(x[:, ::-1]) for x in (right, left))
        return {"image": left, "right": right}

    def inputs(
        self, batch: task.Batch, keys: jax.Array, data: config.Data
    ) -> tuple[Any, task.Batch]:
        """Returns left views with random colours.

        Returns:
            float32 [b, h, w, 3] in [0, 1], and the batch with both views so.
        """
        left, right = (
            batch[view].astype(jnp.float32) / 255 for view in ("image", "right")
        )
        if self.colours:
            left, right = pair_colours.shifted(left, right, keys)
        return left, {**batch, "image": left, "right": right}

    def loss_terms(
        self, outputs: Any, batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the loss, one number for each pair.

        Args:
            outputs: disparities as shares of the width, of several scales or of one,
                float32 [b, h', w', 2]; or that of the left view in pixels, [b, h, w,
                1].

        Returns:
            "loss" as (sum [b], count [b]).
        """
        scales = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        pair = batch["image"], batch["right"], batch["valid"]
        if self.loss == "left_right":
            terms = view_synthesis.left_right(
                scales,
                *pair,
                smoothness=self.smoothness,
                consistency=self.consistency,
            )
        else:
            shares = _left_shares(scales[-1])
            terms = view_synthesis.photometric(
                shares * shares.shape[-1], *pair, smoothness=self.smoothness
            )
        return {"loss": terms}

    def evaluation_input(
        self, record: task.Example, condition: str, protocol: str
    ) -> Any:
        """Returns the whole image, at the size that the network is to see.

        Args:
            record: `image` uint8 [h, w, 3].

        Returns:
            float32 [h', w', 3]; [2, h', w', 3] with its mirror image.
        """
        image = super().evaluation_input(record, condition, protocol)
        return np.stack([image, image[:, ::-1]]) if self.flip_average else image

    def predicted(self, given: Any, output: Any) -> depth.Prediction:
        """Returns the depth that a network means.

        Args:
            given: what it saw, from `evaluation_input`.
            output: what it gave, float32 [h', w', k], or one for each of two views.

        Returns:
            Depth, in `answer_unit`.
        """
        shares = _left_shares(np.asarray(output))
        if self.flip_average:
            shares = blended(shares[0], shares[1][:, ::-1])
        least, most = (self.focal_baseline / limit for limit in self.limits[::-1])
        # A fresh network may give nothing, or less.
        return depth.Prediction(self.focal_baseline / np.clip(shares, least, most))

    def score(
        self,
        record: task.Example,
        condition: str,
        given: Any,
        output: Any,
        protocol: str,
    ) -> task.Row:
        """Returns the errors of one image, as `Depth` does.

        Args:
            record: the image, with its `depth` if that is known, and its
                `focal_baseline`, pixels times metres.

        Returns:
            As `Depth.score`.
        """
        same = self._seen_by(record, protocol)
        rest = (condition, given, output, protocol)
        return super(SelfSupervisedDepth, same).score(_with_truth(record), *rest)

    def panel(
        self,
        record: task.Example,
        condition: str,
        given: Any,
        output: Any,
        row: task.Row,
        protocol: str,
    ) -> np.ndarray:
        """Returns image, true depth, predicted depth and error, as `Depth` does."""
        same = self._seen_by(record, protocol)
        rest = (condition, given, output, row, protocol)
        return super(SelfSupervisedDepth, same).panel(_with_truth(record), *rest)

    def request(
        self,
        image: np.ndarray,
        options: Mapping[str, Any],
        *,
        image_size: tuple[int, int] | None = None,
    ) -> tuple[list[Any], Callable[[list[Any]], answer.Shown]]:
        """Returns what the network sees of a photograph, and how its depth is read.

        Returns:
            One view or two, and what `Depth.request` says.

        Raises:
            UserError: another option than `enlargement` knows.
        """
        views, finish = super().request(image, options, image_size=image_size)
        if not self.flip_average:
            return views, finish
        return list(views[0]), lambda outputs: finish([np.stack(outputs)])

    def _scored_in(self, record: task.Example) -> str:
        # Records that do not tell their cameras have metres, and are compared so.
        if record.get("focal_baseline") or not record["depth"].any():
            return self.answer_unit
        return super()._scored_in(record)

    def _seen_by(self, record: task.Example, protocol: str) -> "SelfSupervisedDepth":
        """This task for the camera of a record."""
        width = record["image"].shape[1]
        product = float(record.get("focal_baseline", 0))
        if not product and protocol.startswith("kitti"):
            product = _KITTI_FOCAL.get(width, 0) * _KITTI_BASELINE
        if not product:
            return self
        return dataclasses.replace(self, focal_baseline=product / width)


def blended(disparity: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Returns one disparity from those of an image and of its mirror image.

    Left of an object a network sees what the other camera did not, and guesses; in the
    mirror image that is on the right.  So the mean of both is taken, but the mirrored
    one at the left rim and the plain one at the right rim, fading from 5 to 10 % of
    the width (Godard, Mac Aodha & Brostow, CVPR 2017, section 4.3).

    Args:
        disparity: of the image, [h, w].
        mirrored: of the mirror image, mirrored back, [h, w].

    Returns:
        [h, w].
    """
    place = np.linspace(0, 1, disparity.shape[1])
    left = 1 - np.clip((place - _RIM) / _FADE, 0, 1)
    right = left[::-1]
    mean = (disparity + mirrored) / 2
    return right * disparity + left * mirrored + (1 - left - right) * mean


def _left_shares(numbers: Any) -> Any:
    """Disparity of the left view as shares of the width, [..., h, w]."""
    disparity, views = numbers[..., 0], numbers.shape[-1]
    return disparity if views > 1 else disparity / disparity.shape[-1]


def _with_truth(record: task.Example) -> task.Example:
    if "depth" in record:
        return record
    return {**record, "depth": np.zeros(record["image"].shape[:2], np.float32)}
