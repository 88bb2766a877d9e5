"""Feature maps and scores on another grid, inside networks: two small matrices.

Sampling is separable and linear, so each axis is a matrix, built once in float64.  TPUs
multiply by it; everything else adds the few entries of each row, which is up to twenty
times faster there.  Gradients are products everywhere.  A map that becomes smaller is
sampled, not smoothed; for pictures see `ops.resize`.
"""

import functools
from collections.abc import Callable
from typing import Literal

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import resize

Mode = Literal["align_corners", "half_pixel", "cubic"]
Bilinear = Literal["half_pixel", "align_corners"]


def to_size(
    x: jax.Array,
    size: tuple[int, int],
    mode: Mode = "align_corners",
    *,
    scale: float | None = None,
) -> jax.Array:
    """Returns maps sampled on a grid of another size.

    Output i lies at input i (length - 1) / (new length - 1) with "align_corners", and
    at (i + 1/2) / scale - 1/2 with the others.

    Args:
        x: maps, float [b, h, w, c].
        size: rows and columns of the result.
        mode: "align_corners" is bilinear, with corners on corners; "half_pixel" is
            bilinear between the centres of pixels, repeating the edge, as PyTorch with
            align_corners=False; "cubic" is MATLAB's imresize, Keys' cubic with
            a = -0.5, beyond the edge the mirrored map.
        scale: output over input density on both axes, where that is not the ratio of
            the lengths; "align_corners" has none.

    Returns:
        [b, *size, c] of the type of `x`, summed in float32 at least; `x` itself where
        nothing changes.

    Raises:
        UserError: an unknown mode, maps of another rank, a size below 1, or a scale
            that is not above 0 or that corners on corners leave no choice of.
    """
    if x.ndim != 4 or len(size) != 2 or min(size) < 1:
        raise errors.UserError(
            "to_size wants maps [b, h, w, c] and at least 1 row and column, got "
            f"{list(x.shape)} and {tuple(size)}."
        )
    if mode not in Mode.__args__:
        raise errors.unknown_name("mode of sampling", mode, Mode.__args__)
    if scale is not None and (mode == "align_corners" or scale <= 0):
        raise errors.UserError(
            f"A scale is a positive number and for centres of pixels, got {scale} with "
            f"{mode!r}. Leave it out."
        )
    kind = jnp.promote_types(x.dtype, jnp.float32)
    y = x
    for axis in (1, 2):
        length, wanted = x.shape[axis], int(size[axis - 1])
        if length == wanted and scale in (None, 1):
            continue
        y = _sampling(axis, length, wanted, mode, scale)(y.astype(kind))
    return y.astype(x.dtype)


def on_host(
    x: np.ndarray, size: tuple[int, int], mode: Mode = "align_corners"
) -> np.ndarray:
    """Returns a map sampled as `to_size` does, without a device.

    Args:
        x: float32 [h, w, c].
        size: rows and columns of the result.
        mode: see `to_size`.

    Returns:
        float32 [*size, c]; `x` itself where nothing changes.
    """
    for axis in (0, 1):
        if x.shape[axis] != size[axis]:
            weights, sources = _taps(x.shape[axis], size[axis], mode, None)
            shape = (-1, 1, 1) if axis == 0 else (1, -1, 1)
            x = sum(
                weight.reshape(shape).astype(x.dtype) * x.take(source, axis)
                for weight, source in zip(weights, sources, strict=True)
            )
    return x


def _sampling(
    axis: int, length: int, wanted: int, mode: Mode, scale: float | None
) -> Callable[[jax.Array], jax.Array]:
    """The function that samples rows (1) or columns (2) of [b, h, w, c]."""
    matrix = _matrix(length, wanted, mode, scale)
    weights, sources = _taps(length, wanted, mode, scale)

    def multiply(x):
        sums = {1: "ih,bhwc->biwc", 2: "jw,bhwc->bhjc"}[axis]
        dense = jnp.asarray(matrix, x.dtype)
        return jnp.einsum(sums, dense, x, precision="highest")

    def add_taps(x):
        shape = (-1, 1, 1) if axis == 1 else (-1, 1)
        return sum(
            jnp.asarray(weight.reshape(shape), x.dtype)
            * jnp.take(x, source, axis, mode="clip")
            for weight, source in zip(weights, sources, strict=True)
        )

    @jax.custom_jvp
    def sample(x):
        return lax.platform_dependent(x, tpu=multiply, default=add_taps)

    @sample.defjvp
    def _(primals, tangents):
        # The gradient of a gather would be a scatter; that of a product is a product.
        return sample(*primals), multiply(*tangents)

    return sample


@functools.lru_cache(maxsize=256)
def _taps(
    length: int, wanted: int, mode: Mode, scale: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The entries of the matrix that are not 0, [taps, wanted], and their columns."""
    dense = _matrix(length, wanted, mode, scale)
    most = max(np.count_nonzero(dense, axis=1))
    sources = np.argsort(-np.abs(dense), axis=1, kind="stable")[:, :most]
    weights = np.take_along_axis(dense, sources, axis=1)
    return weights.T, sources.T


@functools.lru_cache(maxsize=256)
def _matrix(length: int, wanted: int, mode: Mode, scale: float | None) -> np.ndarray:
    """The sampling of one axis, [wanted, length] in float64; its rows sum to 1."""
    if mode == "align_corners":
        step = (length - 1) / (wanted - 1) if wanted > 1 else 0.0
        distance = np.arange(wanted)[:, None] * step - np.arange(length)
        made = np.maximum(1 - np.abs(distance), 0.0)
    else:
        kernel, border = _KERNELS[mode]
        scale = scale or wanted / length
        w, index = resize.weights(length, wanted, scale, False, border, kernel)
        made = np.zeros((wanted, length))
        np.add.at(made, (np.arange(wanted)[:, None], index), w)
    made.setflags(write=False)
    return made


_KERNELS = {"half_pixel": ("linear", "replicate"), "cubic": ("cubic", "reflect")}
