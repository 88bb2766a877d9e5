"""What every degradation of a clean image offers, to training and to evaluation."""

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import errors


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


def within(share: Any, bounds: tuple[float, float]) -> Any:
    """Returns the value at a share of the way between two bounds.

    Args:
        share: from 0 to 1, a number or an array, such as a uniform draw.
        bounds: lowest and highest value.

    Returns:
        Of the type and shape of `share`.
    """
    return bounds[0] + (bounds[1] - bounds[0]) * share


def to_levels(image: np.ndarray) -> np.ndarray:
    """Returns an image on the scale of [0, 1] as uint8, clipped, rounded half up.

    Args:
        image: floats of any shape.

    Returns:
        uint8 of the same shape.
    """
    levels = np.floor(image.astype(np.float64) * 255.0 + 0.5)
    return np.clip(levels, 0, 255).astype(np.uint8)


def on_cpu(
    operator: Degradation, method: str, image: np.ndarray, rng: np.random.Generator
) -> Any:
    """Returns what a device method gives for a whole image, computed on the processor.

    Accelerators round differently; an evaluation wants the same bytes on every machine.

    Args:
        operator: the degradation.
        method: its method of an image and a key, by name.
        image: uint8 [h, w, c].
        rng: generator of this example, which gives the key.

    Returns:
        The result of the method, as NumPy arrays.

    Raises:
        UserError: JAX was told to leave the processor alone.
    """
    try:
        processor = jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
        raise errors.UserError(
            f"Evaluating {operator.label} wants JAX's cpu platform beside the "
            f"accelerator, got {error}. Add it, as in JAX_PLATFORMS=cuda,cpu."
        ) from error
    with jax.default_device(processor):
        key = jax.random.key(int(rng.integers(2**31)))
        clean = jnp.asarray(image / 255.0, jnp.float32)
        return jax.tree.map(np.asarray, _compiled(operator, method)(clean, key))


@functools.lru_cache(maxsize=32)
def _compiled(operator, method):
    return jax.jit(getattr(operator, method))
