"""Prepared records as random-access sequences, decoded.

A source is written as "name", "name:split" or "name/config:split"; "-id,id" after the
split leaves records out, as in "bsds500:train-302003"; "[:90%]", "[90%:]" or "[:100]"
after it takes a part, as TFDS writes it.
"""

import dataclasses
import hashlib
import json
import pathlib
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from dpjax import errors
from dpjax.data import builders, preparation, published, records, slices

Role = Literal["train", "evaluate"]

_REFERENCE = re.compile(
    r"(?P<name>[a-z0-9_]+)"
    rf"(/(?P<config>{preparation.NAME}))?"
    rf"(:(?P<split>\w+({slices.PATTERN})?)(-(?P<without>.+))?)?"
)


@dataclasses.dataclass(frozen=True)
class Reference:
    """What a source string says.

    Attributes:
        name: data set.
        config: named variant, or None.
        split: and perhaps a part of it, or None for the default of its use.
        without: ids of records that are left out.
    """

    name: str
    config: str | None = None
    split: str | None = None
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Returns the source string.

        Returns:
            What `parse` reads.
        """
        return (
            self.name
            + (f"/{self.config}" if self.config else "")
            + (f":{self.split}" if self.split else "")
            + (f"-{','.join(self.without)}" if self.without else "")
        )


def parse(reference: str) -> Reference:
    """Returns the parts of a source string.

    Args:
        reference: "name", "name:split" or "name/config:split"; after that "[:90%]" or
            "-id,id" or both.

    Returns:
        The parts; nothing is opened.

    Raises:
        UserError: the string is written differently.
    """
    match = _REFERENCE.fullmatch(reference.strip())
    if match is None:
        raise errors.UserError(
            f"Cannot read the source {reference!r}. Write it as name, name:split or "
            "name/config:split, for example bsds500:train or image_folder/birds:test."
        )
    without = tuple(filter(None, (match["without"] or "").split(",")))
    return Reference(match["name"], match["config"], match["split"], without)


class Source(Sequence):
    """Decoded records of one or several splits, by position.

    A record is a dict: `image` uint8 RGB [h, w, 3], `id` str, `source` str, whatever
    targets the data set has, and `fingerprint` bytes if `is_indexed`; arrays are
    read-only.  Reading is thread-safe; a copy sent to another process opens its own
    files and starts with an empty cache.

    Attributes:
        names: the references that were opened, with their splits.
        cache_bytes: decoded records kept in memory, at most.
    """

    def __init__(self, parts: Sequence[records.Split], *, cache_bytes: int = 0):
        """Joins opened splits; use `open_sources`.

        Args:
            parts: the splits, in order.
            cache_bytes: decoded records kept in memory, at most.
        """
        self.names = tuple(part.name for part in parts)
        self.cache_bytes = cache_bytes
        self._parts = tuple(parts)
        self._starts = np.cumsum([0] + [len(part) for part in parts])
        self._reset()

    def _reset(self) -> None:
        self._cache: dict[int, dict[str, Any]] = {}
        self._cached_bytes = 0
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Returns what another process needs.

        Returns:
            The state without cache and lock.
        """
        private = ("_cache", "_cached_bytes", "_lock")
        return {k: v for k, v in self.__dict__.items() if k not in private}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores a copy in another process.

        Args:
            state: what `__getstate__` gave.
        """
        self.__dict__.update(state)
        self._reset()

    def __len__(self) -> int:
        """Returns how many records there are.

        Returns:
            The sum over all splits.
        """
        return int(self._starts[-1])

    def __getitem__(self, position: int) -> dict[str, Any]:
        """Returns one decoded record.

        Args:
            position: from 0; negative counts from the end.

        Returns:
            `image`, `id`, `source`, the targets of its data set, and `fingerprint` if
            it is known.

        Raises:
            DataError: the record is damaged.
            IndexError: there is no such position.
        """
        position = range(len(self))[position]
        part, inner = self._find(position)
        record = self._cache.get(position)
        if record is None:
            record = part.record(inner)
            for value in record.values():
                if isinstance(value, np.ndarray):
                    value.setflags(write=False)  # shared with the cache
            self._keep(position, record)
        return dict(record)

    def _find(self, position: int) -> tuple[records.Split, int]:
        which = int(np.searchsorted(self._starts, position, side="right")) - 1
        return self._parts[which], position - int(self._starts[which])

    def _keep(self, position: int, record: dict[str, Any]) -> None:
        # Filled once and never evicted: under a new permutation each epoch every
        # record is equally likely to come next, so replacing would gain nothing.
        with self._lock:
            size = sum(getattr(value, "nbytes", 0) for value in record.values())
            fits = self._cached_bytes + size <= self.cache_bytes
            if fits and position not in self._cache:
                self._cache[position] = record
                self._cached_bytes += size

    def with_cache(self, cache_bytes: int) -> "Source":
        """Returns the same records with another cache, which starts empty.

        Args:
            cache_bytes: decoded records kept in memory, at most.

        Returns:
            A source that shares the opened files.
        """
        return Source(self._parts, cache_bytes=cache_bytes)

    def ids(self) -> list[str]:
        """Returns the id of each record, without reading images.

        Returns:
            One string per position.
        """
        return [name for part in self._parts for name in part.ids]

    @property
    def is_indexed(self) -> bool:
        """Whether identity and size of every record are known without reading it."""
        return all(part.index.is_complete for part in self._parts)

    def fingerprints(self) -> np.ndarray:
        """Returns the perceptual identity of each record, without reading images.

        Returns:
            uint8 [n, 32]; [0, 32] unless `is_indexed`.
        """
        parts = self._parts if self.is_indexed else ()
        none = np.zeros((0, records.FINGERPRINT_BYTES), np.uint8)
        return np.concatenate([none, *(part.index.fingerprints for part in parts)])

    def sizes(self) -> np.ndarray:
        """Returns height and width of each record, without reading images.

        Returns:
            int [n, 2], pixels; [0, 2] unless `is_indexed`.
        """
        parts = self._parts if self.is_indexed else ()
        none = np.zeros((0, 2), np.int64)
        return np.concatenate([none, *(part.index.sizes for part in parts)])

    @property
    def parts(self) -> tuple[records.Split, ...]:
        """The splits that were joined, in order."""
        return self._parts

    @property
    def fingerprint(self) -> str:
        """A hash over ids and identities in order: the same records, the same hash."""
        digest = hashlib.sha256()
        for part in self._parts:
            if not part.index.is_complete:
                digest.update(part.index.stamp)
                continue
            for name, code in zip(part.ids, part.index.fingerprints, strict=True):
                digest.update(name.encode() + b"\0" + code.tobytes())
        return digest.hexdigest()[:16]


def samples(opened: Iterable[Source]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields a record of each split, to see what targets it has.

    Args:
        opened: sources, of one or several splits each.

    Yields:
        The split's name and its first record, unless it has none.

    Raises:
        DataError: the record is damaged.
    """
    for source in opened:
        place = 0
        for part in source.parts:
            if len(part):
                yield part.name, source[place]
            place += len(part)


def open_sources(
    references: Sequence[str],
    *,
    role: Role = "train",
    directory: str | pathlib.Path | None = None,
    cache_bytes: int = 0,
) -> Source:
    """Returns the records of several sources as one sequence.

    A source without a split means "train" for training; for evaluation "test" if there
    is one, else the only split.

    Args:
        references: source strings.
        role: what the records are for; chooses the default split.
        directory: where prepared records live; None takes TFDS_DATA_DIR or
            ~/tensorflow_datasets.
        cache_bytes: decoded records kept in memory, at most.

    Returns:
        The records, in the order of `references`.

    Raises:
        UserError: a malformed source or an unknown data set.
        DataError: a set is not prepared, lacks the split, or is damaged.
    """
    if not references:
        raise errors.UserError("No source given; name at least one, such as photos.")
    parts = [
        _open_split(parse(text), role, _absolute(directory)) for text in references
    ]
    return Source(parts, cache_bytes=cache_bytes)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What lies on disk of one data set.

    Attributes:
        folder: of its records.
        counts: number of records of each split.
        skipped: messages about files that were left out when it was prepared.
        notes: what else is worth knowing of it.
    """

    folder: pathlib.Path
    counts: dict[str, int]
    skipped: list[str]
    notes: list[str] = dataclasses.field(default_factory=list)


def inspect(reference: str, *, directory: str | pathlib.Path | None = None) -> Prepared:
    """Returns what lies on disk of a data set.

    Args:
        reference: a source string; its split is ignored.
        directory: where prepared records live; None takes the default.

    Returns:
        Folder, splits and the files that were left out.

    Raises:
        UserError: a malformed source or an unknown data set.
        DataError: the set is not prepared.
    """
    parsed = parse(reference)
    folder = preparation.locate(parsed.name, parsed.config, _absolute(directory))
    if folder is not None and published.is_published(parsed.name, folder):
        return Prepared(folder, published.counts(folder), [])
    folder, metadata = _read_metadata(parsed, _absolute(directory))
    counts = {split: len(rows) for split, rows in metadata["index"].items()}
    return Prepared(folder, counts, metadata["skipped"], metadata["notes"])


def _absolute(directory: str | pathlib.Path | None) -> pathlib.Path:
    given = pathlib.Path(directory or preparation.default_directory())
    return given.expanduser().absolute()


def _open_split(
    reference: Reference, role: Role, directory: pathlib.Path
) -> records.Split:
    folder = preparation.locate(reference.name, reference.config, directory)
    if folder is not None and published.is_published(reference.name, folder):
        count = published.counts(folder)
        split, part = _choose_split(reference, role, folder, count)
        name = str(dataclasses.replace(reference, split=split + part))
        return published.open_split(name, folder, split, part, reference.without)
    folder, metadata = _read_metadata(reference, directory)
    index = metadata["index"]
    split, part = _choose_split(reference, role, folder, index)
    source = str(dataclasses.replace(reference, split=split + part))
    rows, without = index[split], reference.without
    numbers = slices.positions(part, len(rows), name=source)
    known = {rows[number][0] for number in numbers}
    for name in without:
        if name not in known:
            raise errors.unknown_name(
                f"record of {reference.name}:{split}{part}", name, known
            )
    kept = {n: rows[n] for n in numbers if rows[n][0] not in without}
    return records.Split(
        source,
        folder,
        split,
        records.Index.from_rows(kept),
        units=metadata["units"],
        classes=metadata["classes"],
    )


def _choose_split(
    reference: Reference, role: Role, folder: pathlib.Path, known: Mapping[str, Any]
) -> tuple[str, str]:
    """The name of the split, and the slice of it that is wanted."""
    split, part = slices.split_off(
        reference.split or _default_split(reference, role, known)
    )
    if split not in known:
        raise errors.DataError(
            f"{reference.name} has no split {split!r}; prepared in {folder}: "
            f"{', '.join(known)}."
        )
    return split, part


def _default_split(reference: Reference, role: Role, index: Mapping[str, Any]) -> str:
    wanted = "train" if role == "train" else "test"
    if wanted in index:
        return wanted
    if len(index) == 1 and role == "evaluate":
        return next(iter(index))
    found = " or ".join(f"{reference}:{split}" for split in index)
    raise errors.DataError(
        f"{reference} has no split {wanted!r}. Say which one to "
        f"{'train on' if role == 'train' else 'evaluate'}: {found}."
    )


def _read_metadata(
    reference: Reference, directory: pathlib.Path
) -> tuple[pathlib.Path, dict[str, Any]]:
    kind = builders.find(reference.name)
    folder = preparation.locate(reference.name, reference.config, directory)
    if folder is None and not kind.needs_folder:
        folder = preparation.prepare(reference.name, directory=directory)
    if folder is None:
        raise _not_prepared(reference, directory)
    try:
        metadata = json.loads((folder / "metadata.json").read_text())
        found = {key: metadata[key] for key in ("index", "skipped")}
        # Sets of older versions lack these.
        later = {"units": {}, "classes": [], "notes": []}
        return folder, {k: metadata.get(k, v) for k, v in later.items()} | found
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise errors.DataError(
            f"The list of records {folder / 'metadata.json'} cannot be read ({error}). "
            f"Prepare {reference.name} again with --replace."
        ) from error


def _not_prepared(reference: Reference, directory: pathlib.Path) -> errors.DataError:
    command = f"python -m dpjax prepare {reference.name} --from DIR"
    if reference.config:
        command += f" --name {reference.config}"
    if directory != preparation.default_directory():
        command += f" --dir {directory}"
    names = sorted(
        path.parent.parent.name
        for path in (directory / reference.name).glob("*/*/dataset_info.json")
    )
    beside = f" Prepared there: {', '.join(names)}." if names else ""
    return errors.DataError(
        f"{str(reference)!r} is not prepared in {directory}.{beside} Run `{command}`, "
        "DIR being your copy of its images."
    )
