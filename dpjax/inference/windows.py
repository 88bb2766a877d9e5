"""Running a network over images of any size with few compiled programs.

Every image becomes windows of a few static sizes: one window padded to a bucket if it
is small, tiles with the network's halo if it is large.  A mask tells the network where
the image ends, so both give what the network gives for the whole image (`ops.tiles`).
Windows of equal size are batched over the devices of this process.
"""

import collections
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, SingleDeviceSharding
from jax.sharding import PartitionSpec as P

from dpjax import errors
from dpjax.inference import cutting, memory
from dpjax.ops import enlarge, tiles

# Compiling is cheap for a processor and computing is not, so buckets are finer there.
_BUCKETS = {"cpu": 32}
_BUCKET = 64
# Windows that an accelerator takes at once; beyond this larger batches gain nothing.
_BATCH = 16


class Engine:
    """A network, its parameters on the devices, and its compiled programs.

    Attributes:
        module: the network; `models.zoo` says what it must tell of itself.
        limit: longest side of a window, pixels.
        bucket: window sides are multiples of it, pixels.
        devices: where windows run.
    """

    def __init__(
        self,
        module: nn.Module,
        variables: Any,
        *,
        max_window: int = 1024,
        memory_bytes: int | None = None,
        bucket: int | None = None,
        devices: Sequence[jax.Device] | None = None,
    ):
        """Places the parameters and chooses the window limit.

        Args:
            module: the network.
            variables: its parameters and statistics, on the host or on any devices.
            max_window: longest side of a window, pixels.
            memory_bytes: what a device may hold for one call, bytes; None takes what
                `memory.available` allows: half of an accelerator's memory, a quarter
                of a processor's and at most 4 GiB, however much is free.
            bucket: window sides are multiples of it, pixels; None chooses by device.
            devices: None takes all devices of this process.

        Raises:
            UserError: the budget has no room for the smallest possible window.
        """
        self.module = module
        self.devices = tuple(devices or jax.local_devices())
        platform = self.devices[0].platform
        wanted = bucket or _BUCKETS.get(platform, _BUCKET)
        self.bucket = tiles.round_up(wanted, module.stride)
        if module.halo is None:
            smallest = self.bucket
        else:
            smallest = tiles.smallest_limit(
                halo=module.halo, stride=module.stride, bucket=self.bucket
            )
        self.limit = memory.largest_window(
            memory.available(self.devices[0]) if memory_bytes is None else memory_bytes,
            memory.bytes_per_pixel(
                module, variables, module.channels, stride=module.stride
            ),
            largest=max(max_window // self.bucket * self.bucket, smallest),
            smallest=smallest,
            bucket=self.bucket,
        )
        self._batch = 1 if platform == "cpu" else _BATCH
        self._mesh = Mesh(np.array(self.devices), ("batch",))
        # Copies: training donates its buffers, and other processes hold parts of them.
        host = jax.tree.map(lambda a: np.array(a, copy=True), variables)
        self._variables = jax.device_put(host, NamedSharding(self._mesh, P()))
        self._programs = _programs_of(module, self.devices)
        self._used: set[Any] = set()

    @property
    def exact(self) -> bool:
        """Whether windows equal the whole image, whatever its size."""
        return self.module.halo is not None

    @property
    def compilations(self) -> int:
        """Number of compiled programs that this engine has used."""
        return len(self._used)

    def is_exact(self, height: int, width: int) -> bool:
        """Returns whether an image of this size comes out as from one whole call.

        Args:
            height: rows of the image.
            width: columns of the image.

        Returns:
            False where windows have to be blended.
        """
        return (
            self.exact or not self.module.is_dense or max(height, width) <= self.limit
        )

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns what the network makes of one image.

        Args:
            image: float32 [h, w, c] with the channels of the network; any h and w.

        Returns:
            float32 [h, w, k], or [k] of a network that is not dense.

        Raises:
            UserError: another rank, type or number of channels, or an empty image.
        """
        return next(self.map([image]))

    def map(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Returns what the network makes of images, in their order, batching windows.

        Args:
            images: float32 [h, w, c] each; sizes may differ.  A few are read ahead.

        Returns:
            An iterator of float32 [h, w, k], or [k].

        Raises:
            UserError: as for a single image.
        """
        # Enough windows ahead that those of equal size fill a batch.
        capacity = len(self.devices) * self._batch
        ahead = 1 if capacity == 1 else 4 * capacity
        waiting: list[cutting.Job | cutting.WholeJob] = []
        windows = 0
        for image in images:
            job = self._job(image)
            waiting.append(job)
            windows += len(job.windows)
            if windows >= ahead:
                yield from self._run(waiting)
                waiting, windows = [], 0
        yield from self._run(waiting)

    def _job(self, image: np.ndarray) -> cutting.Job | cutting.WholeJob:
        image = np.asarray(image)
        channels = self.module.channels
        if image.ndim != 3 or image.shape[-1] != channels or not image.size:
            raise errors.UserError(
                f"The network wants images [h, w, {channels}], got {list(image.shape)}."
            )
        if not np.issubdtype(image.dtype, np.floating):
            raise errors.UserError(
                f"The network wants float32 images in [0, 1], got {image.dtype}; "
                f"divide by the largest value of the type, or use dpjax.Predictor."
            )
        # float64 survives only where jax has been told to keep it.
        image = image.astype(jax.dtypes.canonicalize_dtype(image.dtype), copy=False)
        if not self.module.is_dense:
            self._check_whole(image)
            return cutting.WholeJob(image)
        return cutting.Job(
            image,
            limit=self.limit,
            halo=self.module.halo,
            stride=self.module.stride,
            bucket=self.bucket,
        )

    def _check_whole(self, image: np.ndarray) -> None:
        height, width = image.shape[:2]
        least = self.module.smallest_side
        if min(height, width) < least:
            raise errors.UserError(
                f"The network wants images of at least {least} x {least} pixels, got "
                f"{height} x {width}. Enlarge them first."
            )
        if height * width > self.limit**2:
            raise errors.UserError(
                f"The network sees an image as a whole; there is room for "
                f"{self.limit**2:,} pixels, got {height} x {width}. Shrink it, or "
                "allow more memory."
            )

    def _run(
        self, waiting: list[cutting.Job | cutting.WholeJob]
    ) -> Iterator[np.ndarray]:
        groups = collections.defaultdict(list)
        for job in waiting:
            key = job.size, job.image.dtype, job.is_blended
            groups[key] += [(job, w) for w in job.windows]
        running: collections.deque = collections.deque()
        for (size, dtype, is_blended), windows in groups.items():
            for lanes, count in self._calls(len(windows), size):
                now, windows = windows[:count], windows[count:]
                running.append((self._start(now, lanes, size, dtype, is_blended), now))
                # Two calls under way: one computes while the next is being cut.
                if len(running) > 1:
                    _collect(*running.popleft())
        while running:
            _collect(*running.popleft())
        for job in waiting:
            yield job.result()

    def _calls(self, windows: int, size: tuple[int, int]) -> Iterator[tuple[int, int]]:
        """Returns (windows in the program, windows used) until none is left."""
        d = len(self.devices)
        full = d * max(1, min(self._batch, self.limit**2 // (size[0] * size[1])))
        while windows:
            # Three programs at most for each size: one, one per device, and full.
            lanes = full if windows >= full else d if windows > 1 else 1
            used = min(windows, lanes)
            yield lanes, used
            windows -= used

    def _start(self, windows, lanes, size, dtype, is_blended) -> jax.Array:
        images = np.zeros((lanes, *size, self.module.channels), dtype)
        valid = np.zeros((lanes, *size), bool)
        for lane, (job, window) in enumerate(windows):
            part = job.cut(window)
            images[lane, : part.shape[0], : part.shape[1]] = part
            valid[lane, : part.shape[0], : part.shape[1]] = True
        is_spread = lanes > 1 and len(self.devices) > 1
        place = (
            NamedSharding(self._mesh, P("batch"))
            if is_spread
            else SingleDeviceSharding(self.devices[0])
        )
        variables = self._variables
        if len(self.devices) > 1 and not is_spread:
            variables = jax.tree.map(lambda a: a.addressable_data(0), variables)
        given = [variables, jax.device_put(images, place)]
        if self.exact:
            given.append(jax.device_put(valid, place))
        return self._program(given, place, is_blended)(*given)

    def _program(
        self, given: list[Any], place: Any, is_blended: bool
    ) -> Callable[..., jax.Array]:
        shapes = ((a.shape, str(a.dtype)) for a in jax.tree.leaves(given))
        key = (is_blended, *shapes)
        if key not in self._programs:
            module = self.module

            def network(variables, images, *valid):
                # Only a network with a halo knows masks: the others see no padding.
                masks = {"valid": valid[0]} if valid else {}
                result = module.apply(variables, images, **masks)
                if is_blended and result.shape[1:3] != images.shape[1:3]:
                    # Windows lie anywhere: only pixels are a grid that all share.
                    corners = "align_corners" if module.align_corners else "half_pixel"
                    result = enlarge.to_size(result, images.shape[1:3], corners)
                return result

            jitted = jax.jit(network, out_shardings=place)
            self._programs[key] = jitted.lower(*given).compile()
        self._used.add(key)
        return self._programs[key]


def _collect(result: jax.Array, windows: list[tuple[cutting.Job, Any]]) -> None:
    for value, (job, window) in zip(np.asarray(result), windows, strict=False):
        job.put(window, value)


def _programs_of(module: nn.Module, devices: tuple[jax.Device, ...]) -> dict:
    """Returns the compiled programs of a network, shared by all its engines."""
    try:
        return _shared_programs(module, devices)
    except TypeError:  # a module with a field that cannot be hashed shares nothing
        return {}


# A run evaluates the same network again and again; a few networks are kept.
@functools.lru_cache(maxsize=4)
def _shared_programs(module: nn.Module, devices: tuple[jax.Device, ...]) -> dict:
    return {}
