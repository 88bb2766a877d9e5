"""Weights on disk: a safetensors file, and a card that says what it holds.

The file carries its own card and a checksum, so that it is whole by itself and a
flipped byte is found.  NAME.json beside it is the same card for people and programs;
scores may be added to it later.  Nothing here runs code that a file brings along.
"""

import dataclasses
import fnmatch
import hashlib
import json
import logging
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import safetensors
from flax import traverse_util
from safetensors import numpy as safetensors_numpy

from dpjax import errors, storage
from dpjax.weights import matching

FORMAT = 1
check_matches = matching.check_matches  # whoever loads must check
_RELEASED = pathlib.Path(__file__).parent / "released"
# In this order: the best were chosen by their score, so that score flatters them.
_OF_A_RUN = ("weights/last.safetensors", "weights/best.safetensors")
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Weights:
    """What `load` found.

    Attributes:
        variables: collections of a Flax module, NumPy arrays; floats are float32.
        card: JSON values: "name", "model", "task", "sha256" of the file, and more.
        file: name of the file without its folder, None if they come from elsewhere.
    """

    variables: dict[str, Any]
    card: dict[str, Any]
    file: str | None = None


def save(
    path: str | os.PathLike,
    variables: Mapping[str, Any],
    card: Mapping[str, Any],
    *,
    half: bool = False,
) -> dict[str, Any]:
    """Writes weights and their card, each completely or not at all.

    Args:
        path: a .safetensors file; its folder is made, old files are replaced.
        variables: collections of a Flax module, `{"params": ...}`.
        card: JSON values; "name" defaults to that of the file.
        half: store floats in 16 bits, half the size; `load` gives float32 again.

    Returns:
        The card as written, with "format", "stored" and "sha256".

    Raises:
        UserError: another ending, or a number too large for 16 bits.
        StorageError: the place cannot be written.
    """
    path = pathlib.Path(path)
    check_ending(path)
    arrays = {
        name: np.asarray(_narrow(name, np.asarray(value), half), order="C")
        for name, value in traverse_util.flatten_dict(variables, sep="/").items()
    }
    stored = sorted({str(a.dtype) for a in arrays.values()})
    whole = {"format": FORMAT, "name": path.stem, **card, "stored": stored}
    whole.pop("sha256", None)  # of the file, so it cannot stand inside the file
    text = json.dumps(whole, sort_keys=True)
    # One entry, because safetensors writes several of them in random order.
    inside = json.dumps({"card": text, "checksum": _checksum(text, arrays)})
    data = safetensors_numpy.save(arrays, metadata={"dpjax": inside})
    whole["sha256"] = hashlib.sha256(data).hexdigest()
    storage.replace(path, data)
    _write_card(path, whole)
    return whole


def check_ending(path: pathlib.Path) -> None:
    """Raises unless `save` would write under a name.

    Args:
        path: the file to write.

    Raises:
        UserError: another ending than .safetensors.
    """
    if path.suffix != ".safetensors":
        raise errors.UserError(
            f"Weights are written as .safetensors, got {path.name}. Use "
            f"{path.with_suffix('.safetensors').name}."
        )


def write_scores(
    path: str | os.PathLike, scores: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Writes what weights achieved into the card beside them; the weights stay.

    Args:
        path: a .safetensors file that `save` wrote.
        scores: JSON values, one mapping for each source and condition.

    Returns:
        The card as written.

    Raises:
        UserError: no such weights.
        StorageError: they are damaged, or the card cannot be written.
    """
    card = {**load(path).card, "scores": [dict(score) for score in scores]}
    _write_card(pathlib.Path(path), card)
    return card


def _write_card(path: pathlib.Path, card: Mapping[str, Any]) -> None:
    text = json.dumps(card, indent=2) + "\n"
    storage.replace(path.with_suffix(".json"), text.encode())


def load(name_or_path: str | os.PathLike) -> Weights:
    """Returns weights and their card.

    Args:
        name_or_path: a released name, a .safetensors file, or the folder of a run (see
            `find`).

    Returns:
        Variables, card and the name of the file.

    Raises:
        UserError: no such weights, or a file of another kind.
        StorageError: the file cannot be read or is damaged.
    """
    path = find(name_or_path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise errors.StorageError(f"Cannot read {path}: {error.strerror}.") from error
    try:
        metadata = _metadata(data)
        arrays = safetensors_numpy.load(data)
    except (ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise errors.StorageError(
            f"{path} is damaged: {error}. Copy or download it again."
        ) from error
    card = _card(path, arrays, metadata, hashlib.sha256(data).hexdigest())
    if card.get("format", FORMAT) > FORMAT:
        raise errors.UserError(
            f"{path} has weight format {card['format']}, this version of dpjax reads "
            f"{FORMAT}. Update dpjax."
        )
    floats = {name: _widen(value) for name, value in arrays.items()}
    return Weights(traverse_util.unflatten_dict(floats, sep="/"), card, path.name)


def list_released(pattern: str = "*") -> list[str]:
    """Returns the names of the weights that come with this package, sorted.

    Args:
        pattern: shell-style pattern, such as "rednet*".

    Returns:
        The names that match; empty when none does.
    """
    names = (path.stem for path in _RELEASED.glob("*.safetensors"))
    return sorted(fnmatch.filter(names, pattern))


def find(name_or_path: str | os.PathLike) -> pathlib.Path:
    """Returns the file that a name or path of weights means.

    The folder of a run means its last weights.  Its best ones were chosen by the score
    on the evaluation's images, which makes that score too good; they are taken, with a
    warning, before the run is finished, and afterwards where their file is named.

    Args:
        name_or_path: a released name, a .safetensors file, or the folder of a run.

    Returns:
        The .safetensors file; it exists.

    Raises:
        UserError: no such weights, with the nearest names, or a file of another kind.
    """
    path = pathlib.Path(name_or_path)
    if str(name_or_path) in list_released():
        return _RELEASED / f"{name_or_path}.safetensors"
    if path.is_dir():
        for inner in _OF_A_RUN:
            if not (path / inner).is_file():
                continue
            if inner != _OF_A_RUN[0]:
                _LOG.warning("%s is not finished: taking %s so far.", path, inner)
            return path / inner
        raise errors.UserError(
            f"{path} holds no {' or '.join(_OF_A_RUN)}. Give the folder of a run that "
            "was evaluated at least once, or a .safetensors file."
        )
    if path.suffix == ".safetensors" and path.is_file():
        return path
    if path.is_file():
        raise errors.UserError(
            f"{path} is not a .safetensors file. `python -m dpjax convert MODEL {path} "
            "-o NAME.safetensors` reads weights of other frameworks."
        )
    if path.suffix == ".safetensors" or len(path.parts) != 1:
        raise errors.UserError(
            f"{path} does not exist. Name a .safetensors file, the folder of a run, "
            "or weights that `python -m dpjax list` shows."
        )
    known = list_released()
    if not known:
        raise errors.UserError(
            f"Unknown weights {str(name_or_path)!r}, and none come with this package. "
            "Give a .safetensors file or the folder of a run."
        )
    raise errors.unknown_name("weights", str(name_or_path), known)


def _narrow(name: str, value: np.ndarray, half: bool) -> np.ndarray:
    if not half or value.dtype.kind != "f":
        return value
    with np.errstate(over="ignore"):
        narrow = value.astype(np.float16)
    if np.isfinite(value).all() and not np.isfinite(narrow).all():
        raise errors.UserError(
            f"{name} holds {np.abs(value).max():g}, too large for 16 bits. Save with "
            "half=False."
        )
    return narrow


def _widen(value: np.ndarray) -> np.ndarray:
    is_narrow = value.dtype == np.float16 or value.dtype.name == "bfloat16"
    return value.astype(np.float32) if is_narrow else value


def _checksum(card: str, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(card.encode())
    for name in sorted(arrays):
        value = arrays[name]
        digest.update(f"{name} {value.dtype} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _metadata(data: bytes) -> dict[str, str]:
    """The card and checksum inside a safetensors file; empty if it is not ours."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise ValueError(f"it ends after {len(data)} bytes, inside its header")
    metadata = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    return json.loads(metadata["dpjax"]) if "dpjax" in metadata else {}


def _card(
    path: pathlib.Path,
    arrays: Mapping[str, np.ndarray],
    metadata: Mapping[str, str],
    sha256: str,
) -> dict[str, Any]:
    """The card beside the file if it belongs to it, else the one inside."""
    beside = path.with_suffix(".json")
    try:
        card = json.loads(beside.read_text())
        is_current = card["sha256"] == sha256
    except FileNotFoundError:
        card, is_current = None, False
    except (OSError, ValueError, KeyError, TypeError) as error:
        if "card" not in metadata:
            raise errors.StorageError(
                f"{beside}, the card of {path.name}, is damaged: {error}. Copy or "
                "download both files again."
            ) from error
        card, is_current = None, False
    if is_current:
        return card
    # A run that dies between its two writes leaves the card of the older file.
    if "card" in metadata:
        if _checksum(metadata["card"], arrays) != metadata.get("checksum"):
            raise errors.StorageError(
                f"{path} is damaged: its checksum does not match its contents. Copy or "
                "download it again."
            )
        return {**json.loads(metadata["card"]), "sha256": sha256}
    if card is not None:
        raise errors.StorageError(
            f"{path} is damaged, or {beside.name} belongs to another file: its sha256 "
            f"is {sha256[:12]}..., the card says {str(card['sha256'])[:12]}.... Copy "
            "or download both again."
        )
    raise errors.UserError(
        f"{path} has no card: another program wrote it. `python -m dpjax convert MODEL "
        f"{path} -o NAME.safetensors` reads weights of other frameworks."
    )
