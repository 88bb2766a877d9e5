"""A network as StableHLO: one file that runs without its Python code.

Batch, height and width stay open wherever the network allows it, and the same file runs
on CPU, GPU and TPU.  StableHLO of `jax.export` is readable by newer versions of JAX for
a limited time: it is a build product, the safetensors file is the archive.
"""

import hashlib
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from dpjax import errors, storage
from dpjax.inference import receipts
from dpjax.models import zoo
from dpjax.ops import tiles
from dpjax.weights import store

FORMAT = 1
PLATFORMS = ("cpu", "cuda", "rocm", "tpu")
_TOLERANCE = (
    1e-5  # largest difference to the live network, relative to its largest value
)
_JAX_NAMES = {"gpu": "cuda"}
_KIND = "stablehlo"
# Endings of files that hold weights, or speak of them.
_WEIGHTS = (".safetensors", ".json", ".npz", ".pt", ".pth")


def write(
    path: str | os.PathLike,
    module: nn.Module,
    variables: Any,
    *,
    card: Mapping[str, Any] | None = None,
    weights: Literal["baked", "beside"] = "baked",
    platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
    size: tuple[int, int] | None = None,
) -> dict[str, Any]:
    """Writes a network as StableHLO, with a JSON description beside it.

    The file is read back and compared with the live network first; only then the new
    files take their places.

    Args:
        path: the file, by custom *.stablehlo; its description goes to the same name
            with .json behind it, weights that are not baked in to
            .weights.safetensors.
        module: the network.
        variables: its parameters and statistics.
        card: of the weights; becomes part of the description.
        weights: "baked" into the file, or "beside" it and passed at each call.
        platforms: where it shall run; that of this process is always added.
        size: height and width if they are to be fixed; None leaves them open.

    Returns:
        The description.

    Raises:
        UserError: an unknown platform, a network that needs fixed sizes or takes more
            than an image, or a path that would take the place of weights or of a card.
        StorageError: the files differ from the network, or cannot be written.
    """
    path = pathlib.Path(path)
    _check_place(path)
    if zoo.is_structured(module):
        raise errors.UserError(
            "Only networks that take an image can be exported, this one takes "
            f"{sorted(module.example_inputs())}. Use dpjax.Predictor."
        )
    for name in platforms:
        if name not in PLATFORMS:
            raise errors.unknown_name("platform", name, PLATFORMS)
    here = _JAX_NAMES.get(jax.default_backend(), jax.default_backend())
    platforms = tuple(dict.fromkeys((*platforms, here)))
    host = jax.tree.map(np.asarray, variables)
    exported, shape = _export(module, host, weights, platforms, size)
    data = bytes(exported.serialize())
    difference = _difference(data, module, host, weights, size)
    if not difference <= _TOLERANCE:
        raise errors.StorageError(
            f"The exported network differs from the live one by {difference:.2g}, more "
            f"than {_TOLERANCE:.0e}. Nothing was written."
        )
    description = {
        "kind": _KIND,
        "format": FORMAT,
        "file": path.name,
        "sha256": hashlib.sha256(data).hexdigest(),
        "input": {"shape": shape, "dtype": "float32", "range": [0, 1]},
        "stride": module.stride,
        "platforms": list(platforms),
        "weights": "baked",
        "parity": difference,
        "card": None if card is None else dict(card),
        "versions": receipts.versions(),
    }
    if weights == "beside":
        beside = path.with_suffix(".weights.safetensors")
        store.save(beside, host, dict(card or {}))
        description["weights"] = beside.name
    storage.replace(path, data)
    text = json.dumps(description, indent=2) + "\n"
    storage.replace(_description(path), text.encode())
    return description


def read(path: str | os.PathLike) -> Callable[[np.ndarray], np.ndarray]:
    """Returns an exported network as a function.

    Args:
        path: what `write` wrote.

    Returns:
        A function of images, float32 [b, h, w, c] in [0, 1], to float32 [b, h, w, k].

    Raises:
        DataError: a file is missing or damaged.
    """
    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
        description = json.loads(_description(path).read_text())
    except (OSError, ValueError) as error:
        raise errors.DataError(
            f"Cannot read {path} and its .json: {error}. Export again."
        ) from error
    if hashlib.sha256(data).hexdigest() != description.get("sha256"):
        raise errors.DataError(
            f"{path} is damaged: its checksum is not the one in "
            f"{_description(path)}. Export again."
        )
    call = _call(data)
    if description["weights"] == "baked":
        return lambda images: np.asarray(call(images))
    variables = store.load(path.with_name(description["weights"])).variables
    return lambda images: np.asarray(call(variables, images))


def _description(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(path.name + ".json")


def _check_place(path: pathlib.Path) -> None:
    """Raises if weights, a card or a receipt would be overwritten."""
    if path.suffix in _WEIGHTS:
        raise errors.UserError(
            f"An exported network is no file of weights, so {path} would mislead. "
            f"Choose another ending, such as {path.with_suffix('.stablehlo')}."
        )
    about = _description(path)
    try:
        kind = json.loads(about.read_text()).get("kind")
    except FileNotFoundError:
        return
    except (OSError, ValueError, AttributeError):
        kind = None
    if kind != _KIND:
        raise errors.UserError(
            f"The description of the network would take the place of {about}, which "
            "describes something else. Choose another name for the network."
        )


def _export(module, variables, weights, platforms, size):
    dims = f"{size[0]}, {size[1]}" if size else "h, w"
    if size is None and module.stride > 1:
        dims = f"{module.stride}*h, {module.stride}*w"
    shape = f"b, {dims}, {module.channels}"
    images = jax.ShapeDtypeStruct(jax_export.symbolic_shape(shape), jnp.float32)
    if weights == "baked":
        given, function = (images,), lambda x: module.apply(variables, x)
    else:
        abstract = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), variables
        )
        given, function = (abstract, images), module.apply
    try:
        return jax_export.export(jax.jit(function), platforms=platforms)(*given), shape
    except Exception as error:
        if size is not None:
            raise
        reason = str(error).strip().splitlines()[0]
        raise errors.UserError(
            f"This network cannot leave its image size open ({reason}). Fix it with "
            "--size HEIGHT WIDTH."
        ) from error


def _difference(data, module, variables, weights, size) -> float:
    """The largest difference to the live network, over its largest value."""
    call = _call(data)
    live = jax.jit(module.apply)
    unit = module.stride
    sizes = [size] if size else [(5 * unit, 8 * unit), (tiles.round_up(33, unit),) * 2]
    worst = 0.0
    for batch, (height, width) in enumerate(sizes, 1):
        rng = np.random.default_rng(batch)
        images = rng.random((batch, height, width, module.channels), np.float32)
        given = (images,) if weights == "baked" else (variables, images)
        wanted, got = np.asarray(live(variables, images)), np.asarray(call(*given))
        scale = max(float(np.abs(wanted).max()), 1.0)
        worst = max(worst, float(np.abs(got - wanted).max()) / scale)
    return worst


def _call(data: bytes) -> Callable[..., jax.Array]:
    try:
        return jax.jit(jax_export.deserialize(bytearray(data)).call)
    except Exception as error:  # flatbuffers raises whatever the bytes suggest
        raise errors.DataError(
            f"The StableHLO file cannot be read by jax {jax.__version__}: {error}"
        ) from error
