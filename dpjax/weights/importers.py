"""Weights of other frameworks as variables of our networks.

PyTorch and Caffe store convolutions (out, in, h, w) and transposed convolutions (in,
out, h, w); ours are (h, w, in, out), transposed ones as the equal convolution: flipped.
"""

import os
import pathlib
import re
import zipfile
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import safetensors

from dpjax import errors
from dpjax.weights import torch_files

# Layers count from 0 where they are items of a list (conv_layers.0.0.weight, as in
# yjn870/REDNet-pytorch), else from 1 (conv1.weight; Caffe: conv1_w, conv1/0).
_NAMES = (
    re.compile(
        r"(?:\w+\.)*?(?P<kind>deconv|conv)_?(?:layer)?s?\.(?P<index>\d+)(?:\.0)?"
        r"\.(?P<what>weight|bias)"
    ),
    re.compile(
        r"(?:\w+\.)*?(?P<kind>deconv|conv)_?(?P<number>\d+)[._/]"
        r"(?P<what>weight|bias|w|b|0|1)"
    ),
)
_KERNELS = ("weight", "w", "0")
# Types of safetensors that say nothing to NumPy by themselves.
_TYPES = {
    "BF16": np.dtype(jnp.bfloat16),
    "BOOL": np.dtype(np.bool_),
    "F8_E4M3": np.dtype(jnp.float8_e4m3fn),
    "F8_E5M2": np.dtype(jnp.float8_e5m2),
}
_LETTERS = {"F": "f", "I": "i", "U": "u"}
_ELSEWHERE = {
    ".params": (
        "MXNet",
        "numpy.savez(path, **{k: v.asnumpy() for k, v in mxnet.nd.load(file).items()})",
    ),
    ".caffemodel": (
        "Caffe",
        "numpy.savez(path, **{f'{k}_{w}': b.data for k, v in net.params.items() for "
        "w, b in zip('wb', v)})",
    ),
}
_FLIP = np.s_[:, :, ::-1, ::-1]


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Returns the named arrays of a file of another framework; runs no code of it.

    Args:
        path: .safetensors; .npz; anything but a file of MXNet or Caffe is read as one
            of torch.save.

    Returns:
        Names to arrays.

    Raises:
        UserError: no such file, or one that only MXNet or Caffe can read.
        DataError: the file is damaged, or holds objects instead of arrays.
        StorageError: the file cannot be read.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise errors.UserError(f"{path} does not exist, or is no file.")
    if path.suffix in _ELSEWHERE:
        framework, call = _ELSEWHERE[path.suffix]
        raise errors.UserError(
            f"{path} is by its name a file of {framework}, which only {framework} "
            f"reads. Save its arrays there as .npz: {call}"
        )
    if path.suffix not in (".safetensors", ".npz"):
        return torch_files.read(path)
    try:
        if path.suffix == ".safetensors":
            return _safetensors(path.read_bytes())
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise errors.StorageError(f"Cannot read {path}: {error}.") from error
    except (
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        AttributeError,
        zipfile.BadZipFile,
        safetensors.SafetensorError,
    ) as error:
        raise errors.DataError(
            f"{path} is damaged, or holds objects instead of arrays: {error}. Write it "
            "again, from plain arrays."
        ) from error


def _safetensors(data: bytes) -> dict[str, np.ndarray]:
    """As `safetensors.numpy.load`, which knows no bfloat16."""
    return {
        name: np.frombuffer(entry["data"], _dtype(entry["dtype"])).reshape(
            entry["shape"]
        )
        for name, entry in safetensors.deserialize(data)
    }


def _dtype(name: str) -> np.dtype:
    """ "F32" and the like; numbers are little-endian in every file."""
    if name in _TYPES:
        return _TYPES[name]
    return np.dtype(f"<{_LETTERS[name[0]]}{int(name[1:]) // 8}")


def rednet_variables(
    arrays: Mapping[str, np.ndarray], *, transposed: bool = False
) -> dict[str, Any]:
    """Returns RED-Net variables from arrays in the layout of PyTorch and Caffe.

    Args:
        arrays: for each layer a kernel, (out, in, 3, 3) for conv and (in, out, 3, 3)
            for deconv, and a bias, by names such as conv_layers.0.0.weight,
            conv1.weight, conv1_w or conv1/0.
        transposed: exchange height and width of the kernels, for networks that were
            trained with MATLAB's Caffe, which sees images transposed.

    Returns:
        `{"params": {"conv1": {"kernel", "bias"}, ..., "deconv1": ...}}`, float32.

    Raises:
        DataError: names that are not understood, layers that are missing, or kernels of
            another shape.
    """
    params: dict[str, dict[str, np.ndarray]] = {}
    unknown = []
    for name, array in arrays.items():
        match = next(filter(None, (p.fullmatch(name) for p in _NAMES)), None)
        if match is None:
            unknown.append(name)
            continue
        found = match.groupdict()
        number = int(found.get("number") or int(found.get("index", -1)) + 1)
        leaf = "kernel" if found["what"] in _KERNELS else "bias"
        layer = params.setdefault(f"{found['kind']}{number}", {})
        layer[leaf] = _convert(name, array, found["kind"], leaf, transposed)
    if unknown:
        shown = ", ".join(unknown[:5]) + (", ..." if len(unknown) > 5 else "")
        raise errors.DataError(
            f"{len(unknown)} of {len(arrays)} arrays are not part of a RED-Net: "
            f"{shown}. Understood are names such as conv_layers.0.0.weight, "
            "conv1.weight, conv1_w and conv1/0."
        )
    half = max(len(params) // 2, 1)
    wanted = {
        f"{kind}{i + 1}": ("kernel", "bias")
        for kind in ("conv", "deconv")
        for i in range(half)
    }
    given = {name: tuple(layer) for name, layer in params.items()}
    gaps = [
        f"{name}/{leaf}"
        for name, leaves in {**given, **wanted}.items()
        for leaf in ("kernel", "bias")
        if (leaf in given.get(name, ())) != (leaf in wanted.get(name, ()))
    ]
    if gaps:
        raise errors.DataError(
            f"The arrays are no RED-Net: {', '.join(gaps[:6])} missing or without "
            "counterpart. It wants conv1..convL and deconv1..deconvL, each with kernel "
            "and bias."
        )
    return {"params": {name: params[name] for name in wanted}}


def _convert(
    name: str, array: np.ndarray, kind: str, leaf: str, transposed: bool
) -> np.ndarray:
    if leaf == "bias":
        return np.asarray(array, np.float32).reshape(-1)  # old Caffe: (1, 1, 1, n)
    if array.ndim != 4 or array.shape[2:] != (3, 3):
        raise errors.DataError(
            f"{name} has shape {list(array.shape)}; a RED-Net kernel is [n, m, 3, 3]."
        )
    if transposed:
        array = array.swapaxes(2, 3)
    if kind == "conv":
        array = array.transpose(2, 3, 1, 0)
    else:
        array = array[_FLIP].transpose(2, 3, 0, 1)
    return np.ascontiguousarray(array, np.float32)
