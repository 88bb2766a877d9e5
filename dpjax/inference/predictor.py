"""Trained weights as a function from a user's picture to the result.

restore = dpjax.Predictor("rednet30-denoise-gray")
restore("photo.jpg").save("clean.png")
"""

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from dpjax import config, errors, tasks
from dpjax.inference import engines, memory, pictures, trained
from dpjax.ops import resize
from dpjax.tasks import answer
from dpjax.weights import store

# Host bytes for each pixel and channel of the result, measured: the picture, what the
# network sees and answers, the result; enlarging works in float64.
_HOST_BYTES = 36
_ENLARGING_HOST_BYTES = 56
# Noise reaches beyond [0, 1]; values out here come from another range, such as 0..255.
_PLAUSIBLE = (-1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a network made of a picture.

    Attributes:
        array: the result as float32 [h, w, 1 or 3], nominally in [0, 1].
        image: the result like the input: uint8 (or uint16, if that was given), [h, w]
            for a grey input without channel axis, transparency as the last channel.
        exact: whether it equals one call on the whole picture; False where windows had
            to be blended.
        channels: colour channels of `image`, 1 or 3; further ones are transparency.
        maps: what the picture shows, for programs, such as {"labels": uint8 [h, w]};
            empty where the picture is the result.
        units: of the maps that have one, such as {"depth": "m"}.
        scale: what the first and the last colour of the picture stand for, where it has
            a scale of its own.
        scale_is_log: even ratios get even steps of colour, not even differences.
        legend_rows: rows at the bottom of the picture that name what is in it, in which
            pictures of one size differ.
    """

    array: np.ndarray
    image: np.ndarray
    exact: bool
    channels: int
    maps: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    units: Mapping[str, str] = dataclasses.field(default_factory=dict)
    scale: tuple[float, float] | None = None
    scale_is_log: bool = False
    legend_rows: int = 0

    def save(self, path: str | os.PathLike, name: str | None = None) -> None:
        """Writes the picture, or one of the maps, completely or not at all.

        Args:
            path: ends in .png, .tif, .webp, .jpg, .bmp or .ppm; 16 bits need the first
                two, transparency the first three.  A map goes to .npy or .tif, one of
                whole numbers also to .png.
            name: of a map; None for the picture.

        Raises:
            UserError: an unknown ending, or no such map.
            StorageError: the place cannot be written.
        """
        if name is not None:
            if name not in self.maps:
                raise errors.unknown_name("map of this result", name, self.maps)
            pictures.write_map(path, self.maps[name])
            return
        image = self.image if self.image.ndim == 3 else self.image[..., None]
        alpha = image[..., self.channels :]
        colour = image[..., : self.channels]
        pictures.write(path, colour, alpha if alpha.shape[-1] else None)

    def map_paths(self, picture: str | os.PathLike) -> dict[str, pathlib.Path]:
        """Returns where the maps go that are kept beside a picture.

        Args:
            picture: its file, such as room.png.

        Returns:
            By name of the map, a file that keeps its numbers: room.depth.npy, or
            room.labels.png for whole numbers.
        """
        return {
            name: map_path(picture, name, values.dtype)
            for name, values in self.maps.items()
        }


def map_path(
    picture: str | os.PathLike, name: str, dtype: np.dtype | type
) -> pathlib.Path:
    """Returns where a map goes that is kept beside a picture.

    Args:
        picture: its file.
        name: of the map.
        dtype: of its numbers.

    Returns:
        The file of the picture with another ending.
    """
    return pathlib.Path(picture).with_suffix(f".{name}{pictures.map_suffix(dtype)}")


class Predictor:
    """Trained weights, ready for pictures of any size, depth and colour.

    Attributes:
        name: of the weights.
        card: what is known about the weights, as JSON values.
        task: what the network does.
        module: the network.
        memory_bytes: budget for one picture, bytes; None if none was given.
    """

    def __init__(
        self,
        weights: str | os.PathLike | store.Weights,
        *,
        memory_bytes: int | None = None,
        ensemble: bool = False,
        compute_dtype: config.ComputeDtype | None = None,
    ):
        """Loads weights.

        Args:
            weights: a released name, a .safetensors file, the folder of a run (its
                last weights; its best so far before it is finished), or loaded weights.
            memory_bytes: what one picture may take, half of it on the device and half
                on the host; None takes on the device what `memory.available` allows
                (half of an accelerator, at most a quarter of a processor's memory) and
                on the host what is free.
            ensemble: average over the eight flips and rotations; 8 times slower.
            compute_dtype: "float32", or "bfloat16" for speed on accelerators; None
                takes what the card of the weights says.

        Raises:
            UserError: unknown weights, or a budget too small for the network.
            StorageError: the weights are damaged.
        """
        loaded = trained.load(weights, compute_dtype=compute_dtype)
        self.name: str = loaded.name
        self.card: Mapping[str, Any] = loaded.card
        self.task: tasks.Task = loaded.task
        self.module = loaded.module
        self.memory_bytes = memory_bytes
        self._image_size = tuple(getattr(self.module, "image_size", ())) or None
        self._engine = engines.open_engine(
            self.module,
            loaded.variables,
            memory_bytes=None if memory_bytes is None else memory_bytes // 2,
            ensemble=ensemble,
        )

    def read(self, path: str | os.PathLike, **options: Any) -> pictures.Picture:
        """Returns a decoded file, for callers that read the next one ahead.

        Args:
            path: the file.
            **options: those of the call that will get the picture.

        Returns:
            What `__call__` takes in place of the file, with the same result.

        Raises:
            UserError: no such file, an unknown option, or too large for the memory.
            DataError: a file that cannot be decoded.
        """
        self.task.enlargement(options)  # a wrong one is told before decoding
        return pictures.read(path, memory_bytes=self._host_budget())

    def __call__(
        self, image: str | os.PathLike | np.ndarray | pictures.Picture, **options: Any
    ) -> Result | answer.Answer:
        """Returns the result for one picture.

        Args:
            image: a file, what `read` returned, or an array [h, w], [h, w, 1] or [h, w,
                3], with one more channel for transparency if there is any: uint8,
                uint16, or float in [0, 1].
            **options: of the task, such as `scale=3`.

        Returns:
            A picture, or an answer in words where the task gives one; `.save(path)`
            writes either.

        Raises:
            UserError: an array of another shape, type or range, an unknown option, or
                a picture too large for the memory.
            DataError: a file that cannot be decoded.
        """
        if isinstance(image, (str, os.PathLike)):
            image = self.read(image, **options)
        enlarged = self.task.enlargement(options)
        if isinstance(image, pictures.Picture):
            dtype, has_axis = image.pixels.dtype, image.pixels.shape[-1] == 3
            values, alpha = _unit(image.pixels), image.alpha
            alpha = None if alpha is None else _unit(alpha)
        else:
            image = np.asarray(image)
            _check(image)
            dtype = image.dtype if image.dtype == np.uint16 else np.dtype(np.uint8)
            has_axis = image.ndim == 3
            values = _unit(image if has_axis else image[..., None])
            values, alpha = _split_alpha(values)
        self._check_size(values.shape, enlarged)
        inputs, finish = self.task.request(values, options, image_size=self._image_size)
        images = [x["image"] if isinstance(x, dict) else x for x in inputs]
        is_exact = all(self._engine.is_exact(*image.shape[:2]) for image in images)
        outputs = list(self._engine.map(inputs))
        if not all(np.isfinite(output).all() for output in jax.tree.leaves(outputs)):
            raise errors.NotFiniteError(
                f"{self.name} returned values that are not finite for this picture. "
                "The weights are damaged or were trained astray."
            )
        array = finish(outputs)
        del outputs  # the memory that a large picture takes is budgeted
        if isinstance(array, answer.Answer):
            return array
        if isinstance(array, answer.Shown):
            picture = array.picture
            return Result(
                _unit(picture),
                picture,
                is_exact,
                3,
                maps=array.maps,
                units=array.units,
                scale=array.scale,
                scale_is_log=array.scale_is_log,
                legend_rows=array.legend_rows,
            )
        shown = array if alpha is None else _with_alpha(array, alpha)
        if not has_axis and shown.shape[-1] == 1:
            shown = shown[..., 0]
        return Result(array, _levels(shown, dtype), is_exact, array.shape[-1])

    @property
    def compilations(self) -> int:
        """Number of compiled programs used so far."""
        return self._engine.compilations

    def _host_budget(self) -> int:
        if self.memory_bytes is not None:
            return self.memory_bytes // 2
        return memory.free_on_host()

    def _check_size(self, shape: tuple[int, ...], enlarged: int) -> None:
        pixels = shape[0] * shape[1] * enlarged**2
        each = _HOST_BYTES if enlarged == 1 else _ENLARGING_HOST_BYTES
        needed, budget = pixels * shape[2] * each, self._host_budget()
        if needed > budget:
            raise errors.UserError(
                f"A result of {shape[1] * enlarged} x {shape[0] * enlarged} pixels "
                f"takes about {needed / 1e9:.3g} GB of host memory, {budget / 1e9:.3g} "
                "GB are allowed. Allow more memory, or cut the picture up."
            )


def _check(image: np.ndarray) -> None:
    kinds = ("uint8", "uint16", "float16", "float32", "float64")
    if image.dtype.name not in kinds:
        raise errors.UserError(
            f"A picture is uint8, uint16 or float in [0, 1], got {image.dtype}."
        )
    is_flat = image.ndim == 2
    if not image.size or not (is_flat or (image.ndim == 3 and image.shape[2] <= 4)):
        raise errors.UserError(
            "A picture is [h, w] or [h, w, c] with 1 to 4 channels and at least one "
            f"pixel, got {list(image.shape)}."
        )
    if image.dtype.kind != "f":
        return
    if not np.isfinite(image).all():
        count = image.size - int(np.isfinite(image).sum())
        raise errors.UserError(
            f"{count} of {image.size} values of the picture are NaN or infinite. "
            "Replace them first."
        )
    low, high = float(image.min()), float(image.max())
    if low < _PLAUSIBLE[0] or high > _PLAUSIBLE[1]:
        raise errors.UserError(
            f"A float picture is in [0, 1], got values from {low:.4g} to {high:.4g}. "
            "Divide by the largest possible value, or pass uint8."
        )


def _unit(image: np.ndarray) -> np.ndarray:
    if image.dtype.kind == "f":
        return image.astype(np.float32)
    return image.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)


def _split_alpha(values: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    if values.shape[-1] in (2, 4):
        return values[..., :-1], values[..., -1:]
    return values, None


def _with_alpha(array: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    if alpha.shape[:2] != array.shape[:2]:
        alpha = resize.imresize(alpha.astype(np.float64), size=array.shape[:2])
    return np.concatenate([array, alpha.astype(np.float32)], axis=-1)


def _levels(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    top = np.iinfo(dtype).max
    return np.rint(np.clip(values, 0, 1) * np.float64(top)).astype(dtype)
