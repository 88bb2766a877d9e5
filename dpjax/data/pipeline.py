"""The endless training stream: order, reading, augmentation, shards, batches.

Position i of the stream is record `permutation(epoch)[i % n]` of epoch `i // n`, seen
with the random generator of (seed, i).  Nothing else has a say, so an integer resumes a
run, and neither threads nor workers nor processes change what a global batch holds.
"""

import collections
import dataclasses
import gc
import signal
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dpjax import config, errors
from dpjax.data import sources

Transform = Callable[[dict[str, Any], np.random.Generator], dict[str, np.ndarray]]
_BUFFERED_BATCHES = 2
_ENDLESS = 1 << 60  # grain wants a length; no run gets there


def train_stream(
    source: sources.Source,
    transform: Transform,
    *,
    data: config.Data,
    seed: int,
    start: int = 0,
    process_index: int = 0,
    process_count: int = 1,
) -> "Stream":
    """Returns this process's share of the endless stream of training batches.

    Global batch t holds positions t*B ... (t+1)*B-1; process p of P gets the p-th of P
    equal runs of them, so that neighbours stay together.

    Args:
        source: the records.
        transform: (record, rng) -> arrays of the same shapes for each record; it must
            be picklable if `data.workers` is not 0.
        data: batch size, threads and workers.
        seed: of the run.
        start: first global position, a multiple of the batch size.
        process_index: p.
        process_count: P.

    Returns:
        An iterator of batches: the arrays of `transform` stacked, [B/P, ...], and
        `position` int32 [B/P], `valid` bool [B/P].

    Raises:
        UserError: the batch size is not a multiple of the process count, or `start` not
            of the batch size, or a number is out of range.
    """
    if data.batch_size < 1 or data.batch_size % process_count:
        raise errors.UserError(
            f"The batch size must be a multiple of the {process_count} processes, "
            f"got {data.batch_size}. Change --data.batch-size."
        )
    if start < 0 or start % data.batch_size:
        raise errors.UserError(
            f"The stream starts at a multiple of the batch size {data.batch_size}, "
            f"got {start}."
        )
    if seed < 0:
        raise errors.UserError(f"A seed is 0 or more, got {seed}. Change --seed.")
    if data.threads < 1 or data.workers < 0:
        raise errors.UserError(
            "Wanted at least 1 reader thread and 0 workers, got "
            f"--data.threads {data.threads}, --data.workers {data.workers}."
        )
    return Stream(
        _dataset(source, transform, data, seed, start, process_index, process_count)
    )


class Order:
    """Which record stands at each position of the stream.

    Epoch e is the permutation that NumPy's generator of (seed, e, number of records)
    draws.  The last few epochs are kept, so a lookup costs nothing.
    """

    def __init__(self, length: int, seed: int):
        """Draws nothing yet.

        Args:
            length: number of records.
            seed: of the run.
        """
        self.length = length
        self.seed = seed
        self._epochs: dict[int, np.ndarray] = {}

    def __getitem__(self, position: int) -> int:
        """Returns the number of the record at a position.

        Args:
            position: from 0, without end.

        Returns:
            0 to `length` - 1.
        """
        epoch, place = divmod(position, self.length)
        permutation = self._epochs.get(epoch)
        if permutation is None:
            rng = np.random.default_rng([self.seed, epoch, self.length])
            permutation = rng.permutation(self.length)
            # A new dict: other threads may be reading the old one.
            kept = {e: p for e, p in self._epochs.items() if abs(e - epoch) <= 1}
            self._epochs = {**kept, epoch: permutation}
        return int(permutation[place])


class Stream(Iterator):
    """An iterator of batches that can be closed; closing twice does no harm."""

    def __init__(self, dataset: Any):
        """Starts reading ahead.

        Args:
            dataset: a grain `IterDataset`.
        """
        self._held = [iter(dataset)]
        # Also when the program ends: grain's own clean-up comes too late then.
        self._end = weakref.finalize(self, _close, self._held)

    def __next__(self) -> dict[str, np.ndarray]:
        """Returns the next batch.

        Returns:
            A dict of arrays.

        Raises:
            DataError: a record is damaged.
        """
        if not self._held:
            raise StopIteration
        batch = next(self._held[0])
        # Workers hand over shared memory that must be given back at once: grain loses
        # what is still held when the interpreter exits.
        return {name: _own(array) for name, array in batch.items()}

    def close(self) -> None:
        """Ends threads and workers; the stream is then exhausted."""
        self._end()

    def __enter__(self) -> "Stream":
        """Returns the stream, to be closed at the end of the block.

        Returns:
            Itself.
        """
        return self

    def __exit__(self, *failure: Any) -> None:
        """Closes the stream.

        Args:
            *failure: what the block raised, if anything.
        """
        self.close()


class DevicePrefetch(Iterator):
    """Batches on the device, transferred ahead of their use.

    Attributes:
        waited_s: seconds that `next` has waited for the host pipeline so far.
    """

    def __init__(self, iterator: Iterator, put: Callable[[Any], Any], size: int):
        """Transfers nothing yet; use `device_prefetch`.

        Args:
            iterator: host batches.
            put: starts the transfer of one batch and returns the device's arrays.
            size: batches on the device, the one in use not counted.
        """
        self.waited_s = 0.0
        self._iterator = iterator
        self._put = put
        self._size = size
        self._ready: collections.deque = collections.deque()

    def __next__(self) -> Any:
        """Returns the next batch on the device and starts one more transfer.

        Returns:
            What `put` returned.
        """
        while len(self._ready) <= self._size:
            begin = time.perf_counter()
            try:
                batch = next(self._iterator)
            except StopIteration:
                break
            finally:
                self.waited_s += time.perf_counter() - begin
            self._ready.append(self._put(batch))
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def close(self) -> None:
        """Drops the transferred batches and closes the host pipeline."""
        self._ready.clear()
        if hasattr(self._iterator, "close"):
            self._iterator.close()


def device_prefetch(
    iterator: Iterator, put: Callable[[Any], Any], size: int = 2
) -> DevicePrefetch:
    """Returns batches on the device, the next `size` already on their way.

    Args:
        iterator: host batches; closed together with the result.
        put: starts the transfer of one batch, without waiting for it, and returns the
            device's arrays.
        size: batches transferred ahead; each occupies device memory.

    Returns:
        An iterator; its `waited_s` is the time lost waiting for data.
    """
    return DevicePrefetch(iterator, put, size)


def _close(held: list[Any]) -> None:
    """Closes the iterator and lets go of it while its modules are still there."""
    while held:
        held.pop().close()
    gc.collect()  # grain's iterators refer to themselves


def _ignore_interrupts(worker: int, workers: int) -> None:
    """Ctrl-C reaches a whole group of processes; only the run decides when to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _own(array: np.ndarray) -> np.ndarray:
    return array if type(array) is np.ndarray else np.array(array)


@dataclasses.dataclass(frozen=True)
class _Share:
    """The examples of one process by their place in its share; picklable and pure."""

    source: sources.Source
    order: Order
    transform: Transform
    start: int
    process_index: int
    process_count: int
    batch_size: int

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, place: int) -> dict[str, np.ndarray]:
        own = self.batch_size // self.process_count
        batch, row = divmod(place, own)
        position = self.start + batch * self.batch_size + self.process_index * own + row
        rng = np.random.default_rng([self.order.seed, position])
        example = self.transform(self.source[self.order[position]], rng)
        return {
            **example,
            "position": np.int32(position % 2**31),
            "valid": np.bool_(True),
        }


def _dataset(
    source: sources.Source,
    transform: Transform,
    data: config.Data,
    seed: int,
    start: int,
    process_index: int,
    process_count: int,
) -> Any:
    import grain

    if data.workers:
        _parse_flags()
        source = source.with_cache(source.cache_bytes // data.workers)
    order = Order(len(source), seed)
    share = _Share(
        source, order, transform, start, process_index, process_count, data.batch_size
    )
    dataset = grain.MapDataset.source(share)
    dataset = dataset.batch(data.batch_size // process_count, drop_remainder=True)
    dataset = dataset.to_iter_dataset(
        grain.ReadOptions(
            num_threads=data.threads,
            # grain's default of 500 elements would be 500 batches here
            prefetch_buffer_size=data.threads * _BUFFERED_BATCHES,
        )
    )
    if data.workers:
        dataset = dataset.mp_prefetch(
            grain.MultiprocessingOptions(
                num_workers=data.workers, per_worker_buffer_size=_BUFFERED_BATCHES
            ),
            worker_init_fn=_ignore_interrupts,
        )
    return dataset


def _parse_flags() -> None:
    """Marks absl's flags as read: grain's workers ask for them, nobody sets them."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
