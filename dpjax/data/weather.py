"""Haze between the camera and the scene."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import errors
from dpjax.data import degradation
from dpjax.ops import haze


@dataclasses.dataclass(frozen=True)
class Haze(degradation.Degradation):
    """Haze by distance: I = J t + A (1 - t), t = exp(-beta d).

    An evaluation uses the `depth` of a record that has one; training, and records
    without it, draw a smooth random one.

    Attributes:
        beta: lowest and highest density, per metre.
        airlight: lowest and highest brightness of the haze, in [0, 1].
        depth_m: nearest and farthest distance of a random depth, in metres.
    """

    beta: tuple[float, float] = (0.6, 1.8)
    airlight: tuple[float, float] = (0.7, 1.0)
    depth_m: tuple[float, float] = (0.5, 3.0)

    def __post_init__(self):
        for name in ("beta", "airlight", "depth_m"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise errors.UserError(
                    f"Haze.{name} wants 0 <= low <= high, got {low:g} and {high:g}."
                )

    @property
    def label(self) -> str:
        """ "haze"."""
        return "haze"

    def apply(
        self, clean: jax.Array, key: jax.Array, depth: jax.Array | None = None
    ) -> jax.Array:
        """Returns the hazy image, on the device.

        Args:
            clean: float32 [h, w, c] in [0, 1].
            key: PRNG key.
            depth: metres, [h, w]; None draws one.

        Returns:
            float32 [h, w, c].
        """
        level_key, depth_key = jax.random.split(key)
        ways = jax.random.uniform(level_key, (2,))
        if depth is None:
            depth = self.random_depth(clean.shape[0], clean.shape[1], depth_key)
        t = haze.transmission(depth, degradation.within(ways[0], self.beta))
        return haze.add_haze(clean, t, degradation.within(ways[1], self.airlight))

    def random_depth(self, h: int, w: int, key: jax.Array) -> jax.Array:
        """Returns a smooth depth: far at the top, with broad hills and hollows.

        Args:
            h: height, in pixels.
            w: width, in pixels.
            key: PRNG key.

        Returns:
            Metres within `depth_m`, float32 [h, w].
        """
        waves = 6
        ways = jax.random.uniform(key, (3, waves + 1))
        # Radians per pixel: wavelengths of 60 to 600 pixels, in every direction.
        rate = 2 * math.pi / jnp.exp(degradation.within(ways[0, :waves], (4.1, 6.4)))
        angle, phase = ways[1:, :waves] * (2 * math.pi)
        row, column = jnp.arange(h)[:, None, None], jnp.arange(w)[None, :, None]
        path = row * jnp.sin(angle) + column * jnp.cos(angle)
        hills = jnp.cos(rate * path + phase).sum(-1)
        steep = degradation.within(ways[0, waves], (0.0, 4.0))
        slope = steep * (0.5 - jnp.arange(h) / h)
        start = degradation.within(ways[1, waves], (-1.5, 1.5))
        near, far = self.depth_m
        return near + (far - near) * jax.nn.sigmoid(hills + slope[:, None] + start)

    def evaluate(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        depth: np.ndarray | None = None,
    ) -> np.ndarray:
        if depth is None:
            return np.asarray(degradation.on_cpu(self, "apply", image, rng))
        t = haze.transmission(depth.astype(np.float64), rng.uniform(*self.beta))
        airlight = rng.uniform(*self.airlight)
        return haze.add_haze(image / 255.0, t, airlight).astype(np.float32)
