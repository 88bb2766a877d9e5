"""What every degradation of a clean image offers, to training and to evaluation."""

import dataclasses
from typing import ClassVar

import jax
import numpy as np


@dataclasses.dataclass(frozen=True)
class Degradation:
    """Base of all degradations; fields are the configuration, methods are pure.

    A crop that is degraded together with `margin` pixels of context on every side, its
    origin and size multiples of `align`, equals the crop of the degraded whole image
    once the margin is cut off; where it leaves the image, the image has to be padded
    the way `border` says.

    Attributes:
        on_host: whether training needs `apply_host`, because a host codec defines the
            result; otherwise `apply` runs on the device.
        border: padding of the image that continues the degradation beyond its edge,
            "symmetric" (edge pixel repeated) or "edge".
    """

    on_host: ClassVar[bool] = False
    # Without a type, so that it may become a field further down without coming first.
    border = "symmetric"

    @property
    def label(self) -> str:
        """Short name with its level, as in "noise25"; unique within an evaluation."""
        raise NotImplementedError

    @property
    def margin(self) -> int:
        """Context that a crop needs on every side, in pixels."""
        return 0

    @property
    def align(self) -> int:
        """What the origin and the size of a crop must be multiples of, in pixels."""
        return 1

    def apply(self, clean: jax.Array, key: jax.Array) -> jax.Array:
        """Returns the degraded image, on the device; vmap over images and keys.

        Args:
            clean: float32 [h, w, c] in [0, 1].
            key: PRNG key; the same key gives the same result.

        Returns:
            float32 [h, w, c].
        """
        raise NotImplementedError

    def apply_host(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Returns the degraded image for training, on the host.

        Args:
            image: uint8 [h, w, c].
            rng: the example's own generator.

        Returns:
            uint8 [h, w, c] if `on_host`, else what `evaluate` gives.
        """
        return self.evaluate(image, rng)

    def evaluate(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        depth: np.ndarray | None = None,
    ) -> np.ndarray:
        """Returns the degraded whole image exactly as the published protocols make it.

        Args:
            image: uint8 [h, w, c].
            rng: generator of this example.
            depth: distance of each pixel in metres, [h, w], where it is known; only
                haze reads it.

        Returns:
            float32 [h, w, c] on the scale of [0, 1], computed in float64.
        """
        raise NotImplementedError

    def crop_to_fit(self, image: np.ndarray) -> np.ndarray:
        """Returns the part of a whole image that the protocols degrade and score.

        Args:
            image: [h, w, c], any type.

        Returns:
            A view; bottom and right are dropped where the size does not fit.
        """
        return image


def to_levels(image: np.ndarray) -> np.ndarray:
    """Returns an image on the scale of [0, 1] as uint8, clipped, rounded half up.

    Args:
        image: floats of any shape.

    Returns:
        uint8 of the same shape.
    """
    levels = np.floor(image.astype(np.float64) * 255.0 + 0.5)
    return np.clip(levels, 0, 255).astype(np.uint8)
