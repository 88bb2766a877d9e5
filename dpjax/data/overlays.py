"""Degradations that hide pixels: text and scratches.

They give y = (1 - M) x + M v with a mask M of zeros and ones and one
colour v for each image; a blind model sees y only, M is returned for scoring.
"""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from dpjax import errors
from dpjax.data import degradation, glyphs


@dataclasses.dataclass(frozen=True)
class Overlay(degradation.Degradation):
    """Base of the degradations that paint over some pixels.

    Attributes:
        coverage: lowest and highest expected share of hidden pixels; each image draws
            one uniformly.
        level: value of the paint in [0, 1]; None draws a colour for each image.
    """

    coverage: tuple[float, float] = (0.05, 0.3)
    level: float | None = None

    def __post_init__(self):
        low, high = self.coverage
        if not 0 <= low <= high <= 0.5:
            raise errors.UserError(
                f"{type(self).__name__}.coverage wants 0 <= low <= high <= 0.5, got "
                f"{low:g} and {high:g}. Give shares, not percents."
            )

    def mask(self, h: int, w: int, key: jax.Array) -> jax.Array:
        """Returns which pixels are hidden.

        Args:
            h: height, in pixels.
            w: width, in pixels.
            key: PRNG key.

        Returns:
            bool [h, w, 1].
        """
        raise NotImplementedError

    def apply_with_mask(
        self, clean: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the degraded image and what of it is hidden.

        Args:
            clean: float32 [h, w, c] in [0, 1].
            key: PRNG key.

        Returns:
            float32 [h, w, c] and bool [h, w, 1].
        """
        mask_key, paint_key = jax.random.split(key)
        hidden = self.mask(clean.shape[0], clean.shape[1], mask_key)
        paint = self.level
        if paint is None:
            paint = jax.random.uniform(paint_key, clean.shape[-1:])
        return jnp.where(hidden, paint, clean), hidden

    def apply(self, clean: jax.Array, key: jax.Array) -> jax.Array:
        return self.apply_with_mask(clean, key)[0]

    def evaluate_with_mask(
        self, image: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the degraded whole image and what of it is hidden.

        Args:
            image: uint8 [h, w, c].
            rng: generator of this example.

        Returns:
            float32 [h, w, c] and bool [h, w, 1].
        """
        given, hidden = degradation.on_cpu(self, "apply_with_mask", image, rng)
        # The paint is a colour of a stored image, so a whole number of gray levels.
        return np.where(hidden, degradation.to_levels(given), image).astype(
            np.float32
        ) / np.float32(255), hidden

    def evaluate(
        self,
        image: np.ndarray,
        rng: np.random.Generator,
        depth: np.ndarray | None = None,
    ) -> np.ndarray:
        return self.evaluate_with_mask(image, rng)[0]


@dataclasses.dataclass(frozen=True)
class TextMask(Overlay):
    """Lines of random lowercase letters and digits all over the image.

    Attributes:
        size_px: smallest and largest height of a line of text, in pixels.
    """

    size_px: tuple[float, float] = (8.0, 24.0)

    def __post_init__(self):
        super().__post_init__()
        if not 4 <= self.size_px[0] <= self.size_px[1]:
            raise errors.UserError(
                f"TextMask.size_px wants 4 <= low <= high, got {self.size_px}."
            )

    @property
    def label(self) -> str:
        """ "text"."""
        return "text"

    def mask(self, h: int, w: int, key: jax.Array) -> jax.Array:
        atlas, weights, fills = glyphs.atlas()
        count, cell_h, cell_w = atlas.shape
        smallest = self.size_px[0]
        lines = math.ceil(h / smallest) + 2
        columns = math.ceil(w / (smallest * cell_w / cell_h)) + 2
        # Few draws of many numbers: each draw costs a second of compilation.
        shape_key, letter_key = jax.random.split(key)
        ways = jax.random.uniform(shape_key, (5 + lines,))
        draws = jax.random.uniform(letter_key, (2, lines, columns))
        # Else the compiler draws anew for every pixel that looks a letter up.
        ways, draws = jax.lax.optimization_barrier((ways, draws))
        height = degradation.within(ways[0], self.size_px)
        width = height * (cell_w / cell_h)
        pitch = degradation.within(ways[1], (1.0, 1.4))  # line spacing, in heights
        shown = degradation.within(ways[2], (0.7, 1.0))  # the others are spaces
        # The pen that inks as much as is wanted.
        target = degradation.within(ways[3], self.coverage)
        pen = jnp.interp(target * pitch / shown, fills, weights)
        start = ways[4:]  # each line begins elsewhere
        letters = (draws[0] * count).astype(jnp.int32)
        inked = draws[1] < shown

        v = (jnp.arange(h) + 0.5) / (height * pitch) + start[-1]
        line = jnp.floor(v).astype(jnp.int32)
        v = (v - line) * pitch
        u = (jnp.arange(w) + 0.5) / width + start[line][:, None]  # [h, w]
        column = jnp.floor(u).astype(jnp.int32)
        letter = letters[line[:, None], column]
        seen = inked[line[:, None], column] & (v < 1.0)[:, None]
        distance = _between(
            jnp.asarray(atlas), letter, v[:, None] * cell_h, (u - column) * cell_w
        )
        return (seen & (distance < pen))[..., None]


@dataclasses.dataclass(frozen=True)
class ScratchMask(Overlay):
    """Straight and curved scratches.

    Attributes:
        coverage: as in `Overlay`; crossings are not counted twice.
        width_px: smallest and largest width, in pixels.
        length_px: smallest and largest distance of the ends, in pixels.
    """

    coverage: tuple[float, float] = (0.02, 0.15)
    width_px: tuple[float, float] = (1.0, 4.0)
    length_px: tuple[float, float] = (30.0, 120.0)

    def __post_init__(self):
        super().__post_init__()
        for name in ("width_px", "length_px"):
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                raise errors.UserError(
                    f"ScratchMask.{name} wants 1 <= low <= high, got {low:g}, {high:g}."
                )

    @property
    def label(self) -> str:
        """ "scratch"."""
        return "scratch"

    def mask(self, h: int, w: int, key: jax.Array) -> jax.Array:
        # Centres also lie around the image, so that a crop sees as many as a whole.
        reach = self.length_px[1] / 2
        box = jnp.array([h + 2 * reach, w + 2 * reach])
        area = (h + 2 * reach) * (w + 2 * reach)
        one = sum(self.width_px) / 2 * sum(self.length_px) / 2
        # Random scratches that cover s areas in total leave exp(-s) of them bare.
        count = math.ceil(-math.log1p(-self.coverage[1]) * area / one)
        ways = jax.random.uniform(key, (1 + count * 7,))
        target = degradation.within(ways[0], self.coverage)
        ways = ways[1:].reshape(count, 7)
        expected = -jnp.log1p(-target) * area / one
        shown = ways[:, 0] * count < expected
        width = jnp.where(shown, degradation.within(ways[:, 1], self.width_px), 0.0)
        length = degradation.within(ways[:, 2:3], self.length_px)
        angle = ways[:, 3:4] * (2 * math.pi)
        centre = ways[:, 4:6] * box - reach
        along = jnp.concatenate([jnp.cos(angle), jnp.sin(angle)], 1) * length / 2
        across = along[:, ::-1] * jnp.array([-1.0, 1.0])
        bend = across * (ways[:, 6:] - 0.5)
        # A quadratic Bezier curve as eight chords, within half a pixel of it.
        s = jnp.linspace(-1.0, 1.0, 9)[:, None]
        points = centre[:, None] + s * along[:, None] + (1 - s**2) * bend[:, None]

        def draw(hidden, scratch):
            curve, thickness = scratch
            near = _squared_distance(h, w, curve) < (thickness / 2) ** 2
            return hidden | near, None

        # All False; made of a draw, because the train step tells apart what differs
        # between devices from what does not.
        bare = jnp.broadcast_to(target < 0, (h, w))
        return jax.lax.scan(draw, bare, (points, width))[0][..., None]


def _between(atlas, letter, y, x):
    """Bilinear samples of atlas[letter] at (y, x), pixel centres at halves."""
    y, x = y - 0.5, x - 0.5
    top, left = jnp.floor(y), jnp.floor(x)
    out = 0.0
    for i in (0, 1):
        for j in (0, 1):
            share = (1 - jnp.abs(y - top - i)) * (1 - jnp.abs(x - left - j))
            row = jnp.clip(top + i, 0, atlas.shape[1] - 1).astype(jnp.int32)
            column = jnp.clip(left + j, 0, atlas.shape[2] - 1).astype(jnp.int32)
            out = out + share * atlas[letter, row, column]
    return out


def _squared_distance(h, w, curve):
    """From each pixel of an image to a chain of points [p, 2]."""
    best = jnp.inf
    row, column = jnp.arange(h)[:, None] + 0.5, jnp.arange(w)[None, :] + 0.5
    for (y, x), (next_y, next_x) in itertools.pairwise(curve):
        # Coordinates apart, as a trailing axis of two would not vectorise.
        dy, dx = next_y - y, next_x - x
        scale = 1.0 / jnp.maximum(dy**2 + dx**2, 1e-6)
        share = (row - y) * (dy * scale) + (column - x) * (dx * scale)
        share = jnp.clip(share, 0.0, 1.0)
        gap = (row - y - share * dy) ** 2 + (column - x - share * dx) ** 2
        best = jnp.minimum(best, gap)
    return best
