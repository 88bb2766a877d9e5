"""Image restoration: undo a degradation that was applied to a clean photograph.

One network and one loss serve denoising, super-resolution, deblocking, deblurring,
inpainting and dehazing (Mao, Shen & Yang, NIPS 2016); only the degradation differs, and
one model may be trained on several of them at once.
"""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import config, errors
from dpjax.data import degradation, degradations, transforms
from dpjax.losses import restoration as losses
from dpjax.metrics import restoration as metrics
from dpjax.ops import planes, resize, tiles
from dpjax.tasks import task
from dpjax.viz import panels


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How published work turns an output into a score.

    Attributes:
        quantize: round outputs to uint8 first: "never", "always", or "levels" (not for
            super-resolution).
        shave: leave out as many border pixels as the scale, for super-resolution.
        stored_small: super-resolution starts from a small uint8 RGB image, as stored
            ones are, instead of from unrounded luma.
    """

    quantize: Literal["never", "levels", "always"]
    shave: bool
    stored_small: bool


# red: the released test code; dncnn: Zhang et al., TIP 2017; basicsr: its metrics.
PROTOCOLS = {
    "red": Protocol(quantize="never", shave=False, stored_small=False),
    "dncnn": Protocol(quantize="levels", shave=True, stored_small=True),
    "basicsr": Protocol(quantize="always", shave=True, stored_small=True),
}


_NOISE = (degradations.GaussianNoise(),)


@dataclasses.dataclass(frozen=True)
class Restoration(task.Task):
    """Restoration of photographs.

    Attributes:
        degradations: what training images suffer; each example draws one of them.
        judged: what the images of an evaluation suffer; every image meets all of them.
        space: what the network sees: "gray" (MATLAB rgb2gray: denoising), "y" (luma of
            rgb2ycbcr, 16..235: super-resolution, JPEG) or "rgb".
        loss: "mse" (the paper), "l1" or "charbonnier" ("l1" without its corner at 0),
            averaged over all pixels.
    """

    kind: ClassVar[str] = "restoration"
    best: ClassVar[str] = "psnr"
    example_metric: ClassVar[str] = "psnr"
    protocols: ClassVar[tuple[str, ...]] = tuple(PROTOCOLS)
    result: ClassVar[str] = "restored"

    degradations: tuple[degradation.Degradation, ...] = _NOISE
    judged: tuple[degradation.Degradation, ...] = _NOISE
    space: planes.Space = "gray"
    loss: Literal["mse", "l1", "charbonnier"] = "mse"

    def check(self, experiment: config.Experiment) -> None:
        super().check(experiment)
        if not self.degradations or not self.judged:
            raise errors.UserError(
                "Restoration wants at least one degradation to train on and one to be "
                f"judged by, got {len(self.degradations)} and {len(self.judged)}."
            )
        labels = self.conditions()
        if len(set(labels)) < len(labels):
            raise errors.UserError(
                f"Restoration.judged wants distinct degradations, got {labels}."
            )
        channels = experiment.model.options.get("channels", 1)
        wanted = planes.channels(self.space)
        if channels != wanted:
            raise errors.UserError(
                f'Restoration(space="{self.space}") wants a model of {wanted} '
                f"channels, got {channels}. Set model.options channels, or task.space."
            )
        if min(experiment.data.crop) < 1:
            raise errors.UserError(
                f"data.crop must be positive, got {experiment.data.crop}."
            )

    def check_trained(self, trained: task.Task) -> None:
        """Raises if weights of another kind of damage would be scored.

        Raises:
            UserError: another task, other colour planes, or a damage that the weights
                never saw.
        """
        super().check_trained(trained)
        if trained.space != self.space:
            raise errors.UserError(
                f"The weights were trained on {trained.space} images, this evaluation "
                f"gives them {self.space} ones. Choose a config of theirs, or other "
                "weights."
            )
        known = {type(suffered): suffered.label for suffered in trained.degradations}
        strange = [d.label for d in self.judged if type(d) not in known]
        if strange:
            raise errors.UserError(
                f"The weights were trained to undo {', '.join(known.values())}, this "
                f"evaluation judges {', '.join(strange)}. Choose a config of theirs, "
                "or other weights."
            )

    @property
    def _margin(self) -> int:
        return degradations.context(self.degradations)[0]

    @property
    def _align(self) -> int:
        return degradations.context(self.degradations)[1]

    @property
    def _on_host(self) -> bool:
        return any(d.on_host for d in self.degradations)

    @property
    def _only_on_host(self) -> bool:
        return all(d.on_host for d in self.degradations)

    def _core(self, data: config.Data) -> tuple[int, int]:
        return tuple(tiles.round_up(side, self._align) for side in data.crop)

    def smallest_side(self, protocol: str | None = None) -> int:
        """Returns the shorter side that a picture must have.

        Args:
            protocol: how pictures are scored; None for those that are trained on.

        Returns:
            Pixels: a cell of the degradations' grid for training; a window of SSIM
            for scoring, inside of what the protocol leaves of the picture.
        """
        if protocol is None:
            return self._align
        sides = []
        for condition in self.conditions():
            judge, _ = self._judge(condition, protocol)
            scale = judge.scale if isinstance(judge, degradations.Bicubic) else 1
            scored = metrics.SMALLEST_SIDE + 2 * _shave(judge, protocol)
            sides.append(tiles.round_up(scored, scale))
        return max(sides)

    def batch_spec(
        self, data: config.Data, batch_size: int
    ) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns shapes and types of image, kind, valid, position.

        Where a host codec takes part, of degraded, too.
        """
        sides = data.crop
        if not self._only_on_host:
            sides = (side + 2 * self._margin for side in self._core(data))
        shape = (batch_size, *sides, planes.channels(self.space))
        spec = {
            "image": jax.ShapeDtypeStruct(shape, jnp.uint8),
            "kind": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
            "valid": jax.ShapeDtypeStruct((batch_size,), jnp.bool_),
            "position": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        }
        if self._on_host:
            spec["degraded"] = jax.ShapeDtypeStruct(shape, jnp.uint8)
        return spec

    def train_example(
        self, record: task.Example, rng: np.random.Generator, data: config.Data
    ) -> dict[str, np.ndarray]:
        """Returns one augmented crop, with the context that its degradation needs.

        Args:
            record: `image` uint8 [h, w, 3].

        Returns:
            `image` uint8 [h, w, c], `kind` int32, and `degraded` where needed.
        """
        kind = int(rng.integers(len(self.degradations)))
        chosen = self.degradations[kind]
        core = self._core(data)
        if self._only_on_host:
            # Room to shift the crop against the codec's grid of blocks.
            core = tuple(side + self._align for side in core)
        crop = transforms.random_crop(
            record["image"],
            core,
            rng=rng,
            margin=self._margin,
            align=self._align,
            border=chosen.border,
        )
        images = {"image": planes.take(crop, self.space)}
        if self._on_host:
            images["degraded"] = images["image"]
            if chosen.on_host:
                images["degraded"] = chosen.apply_host(images["image"], rng)
        if self._only_on_host:
            top, left = self._margin + rng.integers(self._align, size=2)
            rows = slice(top, top + data.crop[0])
            columns = slice(left, left + data.crop[1])
            images = {name: image[rows, columns] for name, image in images.items()}
        return {**transforms.random_dihedral(images, rng), "kind": np.int32(kind)}

    def inputs(
        self, batch: task.Batch, keys: jax.Array, data: config.Data
    ) -> tuple[jax.Array, task.Batch]:
        """Returns degraded images and their clean targets.

        Returns:
            float32 [b, h, w, c] in [0, 1], and the batch with `clean` of that shape.
        """
        clean = batch["image"].astype(jnp.float32) / 255
        given = degradations.degrade_batch(
            self.degradations, clean, batch["kind"], keys, batch.get("degraded")
        )
        first = 0 if self._only_on_host else self._margin
        rows, columns = (slice(first, first + side) for side in data.crop)
        clean, given = clean[:, rows, columns], given[:, rows, columns]
        return given, {**batch, "clean": clean}

    def loss_terms(
        self, outputs: jax.Array, batch: task.Batch
    ) -> dict[str, tuple[jax.Array, jax.Array]]:
        """Returns the loss over all pixels, and the mean squared error beside it.

        Args:
            outputs: restored images, float32 [b, h, w, c].

        Returns:
            "loss" and "mse" as (sum [b], count [b]).
        """
        squared = losses.squared_error(outputs, batch["clean"], batch["valid"])
        if self.loss == "mse":
            return {"loss": squared}
        kinds = {"l1": losses.absolute_error, "charbonnier": losses.charbonnier}
        chosen = kinds[self.loss](outputs, batch["clean"], batch["valid"])
        return {"loss": chosen, "mse": squared}

    def conditions(self) -> tuple[str, ...]:
        """Returns the labels of `judged`.

        Returns:
            For example ("noise15", "noise25", "noise50").
        """
        return tuple(d.label for d in self.judged)

    def _judge(
        self, condition: str, protocol: str
    ) -> tuple[degradation.Degradation, bool]:
        """What is judged, and whether it starts from a stored small RGB image."""
        judge = self.judged[self.conditions().index(condition)]
        is_small = isinstance(judge, degradations.Bicubic)
        if is_small and PROTOCOLS[protocol].stored_small:
            return dataclasses.replace(judge, lr_round=True), True
        return judge, False

    def _plane(self, image: np.ndarray, judge: degradation.Degradation) -> np.ndarray:
        """What of a photograph is judged, [h, w, c] of uint8."""
        # Published JPEG scores take a gray photograph (all of Classic5) as it is; the
        # luma of rgb2ycbcr has less contrast, which is worth 1.3 dB.
        is_luma_of_jpeg = self.space == "y" and isinstance(judge, degradations.Jpeg)
        if is_luma_of_jpeg and not np.ptp(image, axis=-1).any():
            return image[..., :1]
        return planes.take(image, self.space)

    def evaluation_input(
        self, record: task.Example, condition: str, protocol: str
    ) -> np.ndarray:
        """Returns the degraded photograph, the same bytes on every machine.

        Args:
            record: `image` uint8 [h, w, 3], `id`, `depth` in metres if it is known.

        Returns:
            float32 [h, w, c].
        """
        judge, is_stored = self._judge(condition, protocol)
        # The id, not the order, chooses the noise: subsets and shards agree.
        rng = np.random.default_rng(zlib.crc32(record["id"].encode()))
        image = judge.crop_to_fit(record["image"])
        if is_stored:
            given = judge.evaluate(image, rng, record.get("depth"))
            return planes.take(given.astype(np.float64), self.space).astype(np.float32)
        return judge.evaluate(self._plane(image, judge), rng, record.get("depth"))

    def score(
        self,
        record: task.Example,
        condition: str,
        given: np.ndarray,
        output: np.ndarray,
        protocol: str,
    ) -> task.Row:
        """Returns PSNR and SSIM of the output, and of the degraded input beside it.

        Args:
            output: what it returned, float32 [h, w, c].

        Returns:
            psnr, psnr_input in dB; ssim, ssim_input; for JPEG also psnr_b and
            psnr_b_input in dB, which count blocking as an error.
        """
        rules = PROTOCOLS[protocol]
        judge, is_stored = self._judge(condition, protocol)
        image = judge.crop_to_fit(record["image"])
        is_small = isinstance(judge, degradations.Bicubic)
        if is_stored:
            # DnCNN and BasicSR convert the photograph without rounding its luma.
            clean = planes.take(image / 255.0, self.space) * 255.0
        else:
            clean = self._plane(image, judge)
        shave = _shave(judge, protocol)
        rounds = rules.quantize == "always" or (
            rules.quantize == "levels" and not is_small
        )
        row = {}
        # The input is judged unrounded: clipping noise would flatter it.
        for suffix, image in (("", output), ("_input", given)):
            levels = image.astype(np.float64) * 255.0
            if rounds and not suffix:
                levels = np.clip(np.floor(levels + 0.5), 0, 255)
            row["psnr" + suffix] = metrics.psnr(clean, levels, shave=shave)
            row["ssim" + suffix] = metrics.ssim(clean, levels, shave=shave)
            if isinstance(judge, degradations.Jpeg):
                row["psnr_b" + suffix] = metrics.psnr_b(levels, clean)
        return row

    def summarise(self, rows: Sequence[task.Row]) -> dict[str, float]:
        """Returns the mean of each metric over the images.

        Returns:
            psnr, ssim, psnr_input, ssim_input, and psnr_b, psnr_b_input of JPEG.
        """
        names = [f"{m}{s}" for s in ("", "_input") for m in ("psnr", "ssim", "psnr_b")]
        return {
            name: float(np.mean([row[name] for row in rows]))
            for name in names
            if name in rows[0]
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
        """Returns input, output and truth side by side, with their scores."""
        judge = self.judged[self.conditions().index(condition)]
        clean = self._plane(judge.crop_to_fit(record["image"]), judge)
        parts = [
            (f"input  {row['psnr_input']:.2f} dB", degradation.to_levels(given)),
            (f"output  {row['psnr']:.2f} dB", degradation.to_levels(output)),
            ("truth", clean),
        ]
        return panels.compose(parts, title=f"{record['id']}  {condition}")

    def enlargement(self, options: Mapping[str, Any]) -> int:
        """Returns the factor of super-resolution.

        Args:
            options: {"scale": s}, or nothing.

        Returns:
            1 for weights that do not enlarge.

        Raises:
            UserError: an option that these weights do not know.
        """
        for name in options:
            if name != "scale":
                raise errors.unknown_name("option of restoration", name, ["scale"])
        return self._scale(options.get("scale"))

    def request(
        self,
        image: np.ndarray,
        options: Mapping[str, Any],
        *,
        image_size: tuple[int, int] | None = None,
    ) -> tuple[list[np.ndarray], Callable[[list[np.ndarray]], np.ndarray]]:
        """Returns the network's inputs for a photograph, and how to put it together.

        A gray network restores each colour channel; a luma network restores Y and
        leaves the colour differences as they are.

        Args:
            options: {"scale": s} enlarges first, for super-resolution.

        Returns:
            Inputs, float32 [h, w, c], and the function that gives the picture, float32
            [h, w, 1 or 3], clipped to [0, 1].

        Raises:
            UserError: an option that these weights do not know.
        """
        scale = self.enlargement(options)
        if scale > 1:
            image = resize.imresize(image.astype(np.float64), scale=float(scale))
            image = image.astype(np.float32)
        return planes.split(image, self.space)

    def _scale(self, asked: int | None) -> int:
        scales = sorted(
            {d.scale for d in self.degradations if isinstance(d, degradations.Bicubic)}
        )
        if not scales and asked in (None, 1):
            return 1
        if not scales:
            raise errors.UserError(
                f"These weights do not enlarge; got scale {asked}. Leave it out, or "
                "choose super-resolution weights."
            )
        if asked is None and len(scales) == 1:
            return scales[0]
        if asked not in scales:
            raise errors.UserError(
                f"These weights enlarge by {' or '.join(map(str, scales))}; got scale "
                f"{asked}. Choose one of them, as in --scale {scales[0]}."
            )
        return asked


def _shave(judge: degradation.Degradation, protocol: str) -> int:
    is_small = isinstance(judge, degradations.Bicubic)
    return judge.scale if is_small and PROTOCOLS[protocol].shave else 0
