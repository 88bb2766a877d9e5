"""Running a network that needs more of an example than its image.

Such a network takes a dict of arrays, for instance an image and its superpixels, and
may give one.  It sees the image as a whole, so there are no windows and nothing to
blend; examples of equal shapes are batched over the devices of this process, as many
as their memory takes.
"""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from dpjax import errors
from dpjax.inference import memory
from dpjax.models import zoo

Inputs = Mapping[str, np.ndarray]
Key = tuple[tuple[str, tuple[int, ...]], ...]

# Examples that a device of an accelerator takes at once, at most.
_BATCH = 4


class StructuredEngine:
    """A network, its parameters on the devices, and its compiled programs.

    Attributes:
        module: the network; its `example_inputs()` says what it takes.
        devices: where examples run.
    """

    exact = True

    def __init__(
        self,
        module: nn.Module,
        variables: Any,
        *,
        memory_bytes: int | None = None,
        max_batch: int | None = None,
        devices: Sequence[jax.Device] | None = None,
    ):
        """Places the parameters.

        Args:
            module: the network.
            variables: its parameters and statistics, on the host or on any devices.
            memory_bytes: what a device may hold for one call, bytes; an example that
                takes more is refused.  None lets as many run together as fit what
                `memory.available` allows, and a single one in any case.
            max_batch: examples that a device takes at once; None chooses by device.
            devices: None takes all devices of this process.
        """
        self.module = module
        self.devices = tuple(devices or jax.local_devices())
        self._memory_bytes = memory_bytes
        on_cpu = self.devices[0].platform == "cpu"
        self._most = max_batch or (1 if on_cpu else _BATCH)
        self._fitting: dict[Key, int] = {}
        mesh = Mesh(np.array(self.devices), ("batch",))
        self._spread = NamedSharding(mesh, P("batch"))
        # Copies: training donates its buffers, and other processes hold parts of them.
        host = jax.tree.map(lambda a: np.array(a, copy=True), variables)
        self._variables = jax.device_put(host, NamedSharding(mesh, P()))
        self._apply = jax.jit(module.apply, out_shardings=self._spread)
        self._wanted = {
            name: (spec.ndim - 1, np.dtype(spec.dtype))
            for name, spec in zoo.example_input(module).items()
        }
        self._used: set[Any] = set()

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
            True: there is no other way.
        """
        return True

    def __call__(self, inputs: Inputs) -> Any:
        """Returns what the network makes of one example.

        Args:
            inputs: what the network takes, without the batch axis.

        Returns:
            Its arrays, without the batch axis.

        Raises:
            UserError: an array is missing, unknown, or of another rank or type, or
                the example takes more than the memory that was allowed.
        """
        return next(self.map([inputs]))

    def map(self, examples: Iterable[Inputs]) -> Iterator[Any]:
        """Returns what the network makes of examples, in their order.

        Args:
            examples: as for a single one; shapes may differ.  A few are read ahead.

        Returns:
            An iterator of what a single call returns.

        Raises:
            UserError: as for a single example.
        """
        waiting: list[Inputs] = []
        for inputs in examples:
            self._check(inputs)
            waiting.append(inputs)
            if len(waiting) == len(self.devices) * self._most:
                yield from self._run(waiting)
                waiting = []
        yield from self._run(waiting)

    def _check(self, inputs: Inputs) -> None:
        if not isinstance(inputs, Mapping) or set(inputs) != set(self._wanted):
            got = sorted(inputs) if isinstance(inputs, Mapping) else type(inputs)
            raise errors.UserError(
                f"The network wants {sorted(self._wanted)}, got {got}."
            )
        for name, (ndim, dtype) in self._wanted.items():
            array = inputs[name]
            if array.ndim != ndim or array.dtype != dtype:
                raise errors.UserError(
                    f"The network wants {name!r} of rank {ndim} and type {dtype}, got "
                    f"{list(array.shape)} of {array.dtype}."
                )

    def _run(self, waiting: list[Inputs]) -> Iterator[Any]:
        groups = collections.defaultdict(list)
        for place, inputs in enumerate(waiting):
            key = tuple((name, inputs[name].shape) for name in sorted(inputs))
            groups[key].append(place)
        results: dict[int, Any] = {}
        for key, places in groups.items():
            lanes = len(self.devices) * self._examples_at_once(key)
            for start in range(0, len(places), lanes):
                now = places[start : start + lanes]
                outputs = self._call([waiting[place] for place in now], lanes)
                results.update(zip(now, outputs, strict=True))
            self._used.add(key)
        for place in range(len(waiting)):
            yield results[place]

    def _call(self, examples: list[Inputs], lanes: int) -> list[Any]:
        """Always as many lanes: the program is compiled once for each shape."""
        filled = examples + examples[-1:] * (lanes - len(examples))
        batch = {name: np.stack([x[name] for x in filled]) for name in self._wanted}
        outputs = self._apply(self._variables, jax.device_put(batch, self._spread))
        outputs = jax.device_get(outputs)
        return [
            jax.tree.map(lambda a, lane=lane: a[lane], outputs)
            for lane in range(len(examples))
        ]

    def _examples_at_once(self, key: Key) -> int:
        """Examples of these shapes that a device takes at once."""
        if self._memory_bytes is None and self._most == 1:
            return 1
        if key not in self._fitting:
            inputs = {
                name: jax.ShapeDtypeStruct((1, *shape), self._wanted[name][1])
                for name, shape in key
            }
            one = memory.bytes_of_call(self.module, self._variables, inputs)
            budget = self._memory_bytes
            if budget is None:
                budget = max(memory.available(self.devices[0]), one)
            self._fitting[key] = memory.largest_batch(budget, one, largest=self._most)
        return self._fitting[key]
