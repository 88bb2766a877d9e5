"""Reads the arrays of a PyTorch checkpoint without PyTorch and without running code.

torch.save pickles, and a pickle may call anything.  The reader below knows tensors and
ordered dicts; any other name ends the reading before it has been called.  Both
containers are read: the zip of torch 1.6 and later, and the older row of pickles.
"""

import collections
import io
import math
import os
import pathlib
import pickle
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from dpjax import errors

_DTYPES = {
    "FloatStorage": np.dtype(np.float32),
    "DoubleStorage": np.dtype(np.float64),
    "HalfStorage": np.dtype(np.float16),
    "BFloat16Storage": np.dtype(jnp.bfloat16),
    "LongStorage": np.dtype(np.int64),
    "IntStorage": np.dtype(np.int32),
    "ShortStorage": np.dtype(np.int16),
    "CharStorage": np.dtype(np.int8),
    "ByteStorage": np.dtype(np.uint8),
    "BoolStorage": np.dtype(np.bool_),
}
_OLD_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of the container before torch 1.6
_WRAPPERS = ("state_dict", "model_state_dict", "model", "params_ema", "params", "net")


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the arrays of a state dict.

    Args:
        path: a file of torch.save: a state dict, or a dict that holds one under a usual
            name such as "state_dict".

    Returns:
        Names to arrays, in the order of the file.

    Raises:
        DataError: the file is damaged, is no PyTorch file, or names an object that is
            neither tensor nor plain value; nothing of it was run.
        StorageError: the file cannot be read.
    """
    path = pathlib.Path(path)
    try:
        with path.open("rb") as file:
            is_zip = zipfile.is_zipfile(file)
            file.seek(0)
            value = _read_zip(file, path) if is_zip else _read_old(file, path)
    except errors.DpjaxError:
        raise
    except OSError as error:
        raise errors.StorageError(f"Cannot read {path}: {error.strerror}.") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise errors.DataError(
            f"{path} is damaged or no PyTorch file: {type(error).__name__}: {error}. "
            "Copy or download it again."
        ) from error
    while isinstance(value, Mapping):
        inner = [value[k] for k in _WRAPPERS if isinstance(value.get(k), Mapping)]
        if not inner:
            break
        value = inner[0]
    if not isinstance(value, Mapping) or not all(
        isinstance(name, str) and isinstance(array, np.ndarray)
        for name, array in value.items()
    ):
        raise errors.DataError(
            f"{path} holds no state dict. Save one: torch.save(model.state_dict(), "
            "path)."
        )
    return dict(value)


class _Call:
    """A function that a pickle may call, and cannot change."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]):
        object.__setattr__(self, "_function", function)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("a pickle may not change what it names")

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)


class _Storage:
    """Numbers of the file; tensors are parts of these, never of other tensors.

    A tensor may show one number many times: bounds that hold for what it shows would
    reach beyond what there is.
    """

    __slots__ = ("numbers",)

    def __init__(self, numbers: np.ndarray):
        object.__setattr__(self, "numbers", numbers)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("a pickle may not change what it refers to")


class _Reader(pickle.Unpickler):
    """Unpickles plain values and tensors; refuses every other name."""

    def __init__(
        self,
        file: io.BufferedIOBase | io.BytesIO,
        path: pathlib.Path,
        storage: Callable[..., np.ndarray] | None = None,
    ):
        super().__init__(file)
        self._path = path
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in _DTYPES:
            return name
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Call(_tensor)
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _Call(lambda tensor, *_: tensor)
        if (module, name) == ("torch", "Size"):
            return _Call(tuple)
        raise errors.DataError(
            f"{self._path} holds an object of {module}.{name}, and reading it would "
            "run foreign code. Nothing was run. Save only the arrays: "
            "torch.save(model.state_dict(), path)."
        )

    def persistent_load(self, pid: Any) -> _Storage:
        if self._storage is None or not isinstance(pid, tuple) or pid[0] != "storage":
            raise pickle.UnpicklingError(f"unknown reference {pid!r}")
        return _Storage(self._storage(*pid[1:]))


def _tensor(
    storage: _Storage,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    *_: Any,
) -> np.ndarray:
    """The part of a storage that a tensor shows, as PyTorch's rebuild function."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor is made of something else than numbers")
    numbers = storage.numbers
    if not all(type(n) is int for n in (offset, *size, *stride)):
        # Integers of NumPy would wrap around in the sums below.
        raise pickle.UnpicklingError("a tensor is placed by something else than int")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    count = math.prod(size)
    if count and (
        min(offset, *size, *stride, 0) < 0
        or last >= numbers.size
        or count > numbers.size  # an expanded tensor could fill the memory
    ):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    steps = [s * numbers.itemsize for s in stride]
    return np.lib.stride_tricks.as_strided(numbers[offset:], size, steps)


def _read_zip(file: io.BufferedIOBase, path: pathlib.Path) -> Any:
    size = path.stat().st_size
    with zipfile.ZipFile(file) as archive:
        (pickled,) = (n for n in archive.namelist() if n.endswith("/data.pkl"))
        folder = pickled.removesuffix("data.pkl")

        def member(name: str) -> bytes:
            if archive.getinfo(folder + name).file_size > size:
                raise ValueError(f"{name} claims to be larger than the file")
            return archive.read(folder + name)

        is_big = (
            folder + "byteorder" in archive.namelist()
            and member("byteorder").strip() == b"big"
        )
        read: dict[str, np.ndarray] = {}

        def storage(kind: str, key: str, place: str, count: int) -> np.ndarray:
            if key not in read:
                dtype = _DTYPES[kind].newbyteorder(">" if is_big else "<")
                values = np.frombuffer(member(f"data/{key}"), dtype, count)
                read[key] = values.astype(_DTYPES[kind])
            return read[key]

        return _Reader(io.BytesIO(member("data.pkl")), path, storage).load()


def _read_old(file: io.BufferedIOBase, path: pathlib.Path) -> Any:
    if _Reader(file, path).load() != _OLD_MAGIC:
        raise ValueError("it does not begin as a file of torch.save")
    _Reader(file, path).load()  # version of the protocol
    order = "<" if _Reader(file, path).load()["little_endian"] else ">"
    size = path.stat().st_size
    made: dict[str, np.ndarray] = {}

    def storage(
        kind: str, key: str, place: str, count: int, view: Any = None
    ) -> np.ndarray:
        if count * _DTYPES[kind].itemsize > size or view is not None:
            raise ValueError(f"storage {key} is larger than the file, or a view")
        # Numbers follow the pickle, so tensors are views until they have arrived.
        return made.setdefault(key, np.zeros(count, _DTYPES[kind]))

    value = _Reader(file, path, storage).load()
    for key in _Reader(file, path).load():
        count = int.from_bytes(file.read(8), "little")
        array = made[key]
        if count != array.size:
            raise ValueError(f"storage {key} has {count} numbers, not {array.size}")
        data = file.read(array.nbytes)
        array[...] = np.frombuffer(data, array.dtype.newbyteorder(order), count)
    return value
