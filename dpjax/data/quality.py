"""Degradations of the whole picture: noise, resampling, compression, blur."""

import dataclasses
import functools
import io
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import errors
from dpjax.data import degradation
from dpjax.ops import filters, resize


@dataclasses.dataclass(frozen=True)
class GaussianNoise(degradation.Degradation):
    """White Gaussian noise, y = x + sigma / 255 n, neither clipped nor rounded.

    Attributes:
        sigma_255: lowest and highest standard deviation, in gray levels of 255; each
            image draws one uniformly (blind denoising).
        quantize: clip and round the result to uint8, another and easier task.
    """

    sigma_255: tuple[float, float] = (0.0, 55.0)
    quantize: bool = False

    def __post_init__(self):
        _check_range("GaussianNoise.sigma_255", self.sigma_255, 0.0)

    @property
    def label(self) -> str:
        """ "noise25", or "noise0-55" for a range."""
        return "noise" + _range_label(self.sigma_255)

    def apply(self, clean: jax.Array, key: jax.Array) -> jax.Array:
        level_key, noise_key = jax.random.split(key)
        low, high = self.sigma_255
        sigma = jax.random.uniform(level_key, minval=low, maxval=high)
        noise = jax.random.normal(noise_key, clean.shape, jnp.float32)
        noisy = clean + sigma / 255.0 * noise
        return _round_device(noisy) if self.quantize else noisy

    def evaluate(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        depth: np.ndarray | None = None,
    ) -> np.ndarray:
        low, high = self.sigma_255
        # A fixed level draws nothing else: the noise is the generator's first normals.
        sigma = low if low == high else rng.uniform(low, high)
        noisy = image / 255.0 + sigma / 255.0 * rng.standard_normal(image.shape)
        if self.quantize:
            noisy = degradation.to_levels(noisy) / 255.0
        return noisy.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Bicubic(degradation.Degradation):
    """MATLAB's bicubic shrinking by a whole factor, and enlarging back.

    Attributes:
        scale: the factor, 2, 3, 4 ...
        lr_round: round the small image to uint8, as stored ones are.
        up_round: round the enlarged image to uint8.
        pass_round: round uint8 after each of the two passes of a resampling, as MATLAB
            does, instead of once.
        border: "symmetric" mirrors at the edge, "edge" repeats it (older MATLAB; there
            a crop with context equals the whole image only away from the edge).
    """

    scale: int = 2
    lr_round: bool = False
    up_round: bool = False
    pass_round: bool = True
    border: Literal["symmetric", "edge"] = "symmetric"

    def __post_init__(self):
        if self.scale < 2:
            raise errors.UserError(
                f"Bicubic.scale must be a whole number from 2, got {self.scale}."
            )

    @property
    def label(self) -> str:
        """For example "bicubic2"."""
        return f"bicubic{self.scale}"

    @property
    def margin(self) -> int:
        """Two small pixels of the enlarging, two of the shrinking around them."""
        return 4 * self.scale

    @property
    def align(self) -> int:
        """The factor."""
        return self.scale

    def apply(self, clean: jax.Array, key: jax.Array) -> jax.Array:
        if self.lr_round:
            clean = jnp.floor(clean * 255.0 + 0.5).astype(jnp.uint8)
        out = self._there_and_back(clean)
        return _round_device(out) if self.up_round else out

    def evaluate(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        depth: np.ndarray | None = None,
    ) -> np.ndarray:
        out = self._there_and_back(image if self.lr_round else image / 255.0)
        if self.up_round:
            out = degradation.to_levels(out) / 255.0
        return out.astype(np.float32)

    def crop_to_fit(self, image: np.ndarray) -> np.ndarray:
        h, w = (n - n % self.scale for n in image.shape[:2])
        if min(h, w) == 0:
            raise errors.DataError(
                f"{self.label} wants at least {self.scale} x {self.scale} pixels, got "
                f"{image.shape[0]} x {image.shape[1]}. Leave this image out."
            )
        return image[:h, :w]

    def _there_and_back(self, image):
        """uint8 means a rounded small image; the result is on the scale of [0, 1]."""
        border = "reflect" if self.border == "symmetric" else "replicate"
        again = functools.partial(
            resize.imresize, border=border, pass_round=self.pass_round
        )
        small = again(image, scale=1.0 / self.scale)
        if small.dtype == np.uint8 and not self.up_round:
            xp = jnp if isinstance(small, jax.Array) else np
            small = small.astype(np.float32 if xp is jnp else np.float64) / 255.0
        out = again(small, scale=float(self.scale))
        out = out / 255.0 if out.dtype == np.uint8 else out
        return out[: image.shape[0], : image.shape[1]]


@dataclasses.dataclass(frozen=True)
class Jpeg(degradation.Degradation):
    """JPEG by Pillow: gray for one channel, colour 4:2:0 for three.

    Attributes:
        quality: lowest and highest quality of the IJG scale, 1..100; each image draws
            one uniformly.
    """

    on_host: ClassVar[bool] = True

    quality: tuple[int, int] = (10, 40)

    def __post_init__(self):
        _check_range("Jpeg.quality", self.quality, 1)

    @property
    def label(self) -> str:
        """ "jpeg10", or "jpeg10-40" for a range."""
        return "jpeg" + _range_label(self.quality)

    @property
    def margin(self) -> int:
        """One coding unit: smooth chroma reaches into its neighbours."""
        return 16

    @property
    def align(self) -> int:
        """The coding unit of 4:2:0."""
        return 16

    def apply_host(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from PIL import Image

        low, high = self.quality
        quality = low if low == high else int(rng.integers(low, high + 1))
        plane = image[..., 0] if image.shape[-1] == 1 else image
        file = io.BytesIO()
        Image.fromarray(plane).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file)).reshape(image.shape)

    def evaluate(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        depth: np.ndarray | None = None,
    ) -> np.ndarray:
        return (self.apply_host(image, rng) / 255.0).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Blur(degradation.Degradation):
    """MATLAB's imfilter with repeated edges; the result is rounded to uint8.

    Attributes:
        kernel: "disk" (out of focus), "gaussian" or "motion".
        size: in pixels: radius of the disk, side of the Gaussian window, length of the
            motion.
        sigma: standard deviation of the Gaussian, in pixels.
        angle_deg: direction of the motion, counter-clockwise from the rows.
    """

    border = "edge"

    kernel: Literal["disk", "gaussian", "motion"] = "disk"
    size: int = 7
    sigma: float = 1.6
    angle_deg: float = 45.0

    @property
    def label(self) -> str:
        """ "blur-disk7", "blur-gaussian1.6" or "blur-motion15-45"."""
        level = {
            "disk": f"{self.size}",
            "gaussian": f"{self.sigma:g}",
            "motion": f"{self.size}-{self.angle_deg:g}",
        }[self.kernel]
        return f"blur-{self.kernel}{level}"

    @property
    def margin(self) -> int:
        """Reach of the kernel."""
        return max(self.weights().shape) // 2

    def weights(self) -> np.ndarray:
        """Returns the kernel.

        Returns:
            float64 [kh, kw], odd sides, sum 1.
        """
        if self.kernel == "disk":
            return filters.disk(self.size)
        if self.kernel == "gaussian":
            return filters.gaussian(self.size, self.sigma)
        return filters.motion(self.size, self.angle_deg)

    def apply(self, clean: jax.Array, key: jax.Array) -> jax.Array:
        return _round_device(filters.blur(clean, self.weights()))

    def evaluate(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        depth: np.ndarray | None = None,
    ) -> np.ndarray:
        levels = np.floor(filters.blur(image, self.weights()) + 0.5)
        return (levels / 255.0).astype(np.float32)


def _round_device(image):
    return jnp.clip(jnp.floor(image * 255.0 + 0.5), 0.0, 255.0) / 255.0


def _range_label(pair):
    low, high = pair
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def _check_range(name, pair, least):
    low, high = pair
    if not least <= low <= high:
        raise errors.UserError(
            f"{name} wants {least:g} <= low <= high, got {low:g} and {high:g}. "
            "Give the same number twice for a single level."
        )
