"""Label files: a class for each pixel, as numbers, as colours, or in MATLAB's format.

What a file stores becomes class numbers 0 to k-1, and `IGNORE` where nothing is known.
Only lossless files can say which class a pixel has; values without a meaning are told.
"""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import image_files, matlab_files

IGNORE = 255  # in records only; past the loader such pixels are not valid
MOST_CLASSES = IGNORE  # numbers 0 to 254
EXTENSIONS = image_files.EXTENSIONS - image_files.LOSSY | {".mat"}
# The labels of PASCAL-Context, of NYUDv2 as FCN read it, and of SBD.
_MATLAB_NAMES = ("LabelMap", "segmentation", "GTcls")
_SHOWN = 5
_BYTES = np.array([1 << 16, 1 << 8, 1], np.int32)  # of a colour in one number

Colour = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Files whose pixels are numbers: grey, palette or MATLAB.

    Attributes:
        meaning: class of each number that a file may hold, or `IGNORE`.
    """

    meaning: Mapping[int, int]

    @classmethod
    def of(cls, count: int, *, first: int = 0, ignore: Sequence[int] = ()) -> "Numbers":
        """Returns the coding whose numbers count the classes.

        Args:
            count: of the classes.
            first: number of the first class.
            ignore: numbers of pixels without a class.

        Returns:
            The coding.
        """
        return cls(dict.fromkeys(ignore, IGNORE) | {first + i: i for i in range(count)})

    def decode(self, stored: np.ndarray, path: pathlib.Path) -> tuple[np.ndarray, int]:
        """Returns the classes of one file.

        Args:
            stored: what `read` gave.
            path: of the file, for messages.

        Returns:
            uint8 [h, w], and 0, as no number is passed over.

        Raises:
            DataError: the file is a colour picture, or holds other numbers.
        """
        _check_numbers(stored, path)
        counts = np.bincount(stored.ravel())
        table = np.full(len(counts), IGNORE, np.uint8)
        strange = []
        for number in np.flatnonzero(counts).tolist():
            if number in self.meaning:
                table[number] = self.meaning[number]
            else:
                strange.append(f"{number} ({counts[number]} pixels)")
        if strange:
            raise errors.DataError(
                f"{path} holds {listed(strange)}; wanted {_numbers(self.meaning)}. "
                "Correct the file, or the list of classes, or say which number stands "
                "for pixels without a class: mask_folder has --ignore N."
            )
        return table[stored], 0


@dataclasses.dataclass(frozen=True)
class Colours:
    """Files whose pixels are colours.

    Attributes:
        meaning: class of each colour (red, green, blue), or `IGNORE`.
        stray_share: of the pixels of a file that may have other colours, as smoothed
            borders do; they have no class.
    """

    meaning: Mapping[Colour, int]
    stray_share: float = 0.0

    def decode(self, stored: np.ndarray, path: pathlib.Path) -> tuple[np.ndarray, int]:
        """Returns the classes of one file.

        Args:
            stored: what `read` gave, with a palette looked up; a grey file is one of
                grey colours.
            path: of the file, for messages.

        Returns:
            uint8 [h, w], and how many pixels have a colour without a meaning.

        Raises:
            DataError: too many pixels have a colour without a meaning.
        """
        if stored.ndim == 2:
            stored = np.repeat(stored[..., None], 3, axis=-1)
        known = sorted(
            (r << 16 | g << 8 | b, m) for (r, g, b), m in self.meaning.items()
        )
        codes = stored.astype(np.int32) @ _BYTES
        places = np.searchsorted([code for code, _ in known[1:]], codes, side="right")
        # The nearest known colour at or below each; equal unless it is a stray one.
        is_known = np.array([code for code, _ in known])[places] == codes
        classes = np.array([number for _, number in known], np.uint8)[places]
        strays = int(is_known.size - is_known.sum())
        if strays > self.stray_share * is_known.size:
            shown = listed(_colours(codes[~is_known]))
            raise errors.DataError(
                f"{path} has colours of no class: {shown}; known are "
                f"{len(known)} colours. Save the labels without smoothing; colours of "
                "classes of your own are lines `R G B NAME` in classes.txt."
            )
        return np.where(is_known, classes, np.uint8(IGNORE)), strays


Coding = Numbers | Colours


def load(path: pathlib.Path, coding: Coding) -> tuple[np.ndarray, int]:
    """Returns the classes that a label file stores.

    Args:
        path: the file.
        coding: what its numbers or colours mean.

    Returns:
        As `coding.decode`: uint8 [h, w], and how many pixels were passed over.

    Raises:
        DataError: as `read` and `coding.decode`.
    """
    stored = read(path, has_colours=isinstance(coding, Colours))
    return coding.decode(stored, path)


def read(path: pathlib.Path, *, has_colours: bool = False) -> np.ndarray:
    """Returns what a label file stores.

    Args:
        path: the file.
        has_colours: a class is a colour and not a number, so that those of a palette
            are looked up; otherwise its numbers count, whatever they look like.

    Returns:
        uint8 or uint16 numbers [h, w], or uint8 colours [h, w, 3].

    Raises:
        DataError: the file cannot be read, is lossy, or holds something else.
    """
    if path.suffix.lower() == ".mat":
        return _from_matlab(path)
    if path.suffix.lower() in image_files.LOSSY:
        raise errors.DataError(
            f"{path} is compressed with loss, so its values are not those that were "
            "drawn. Export the labels again, as PNG."
        )
    with image_files.opened(path) as (opened, _):
        mode, stored = opened.mode, np.asarray(opened)
        palette = _palette(opened) if has_colours and mode == "P" else None
    if palette is not None:
        return _looked_up(stored, palette, path)
    if mode == "1":
        return stored * np.uint8(255 if has_colours else 1)
    if mode in ("L", "P", "RGB"):
        return np.array(stored)
    if mode.startswith("I") and stored.min() >= 0 and stored.max() < 1 << 16:
        return stored.astype(np.uint16)
    if mode == "RGBA" and stored[..., 3].min() == 255:
        return stored[..., :3]
    raise errors.DataError(
        f"{path} has pixels of type {mode}; wanted numbers of 8 or 16 bits, a palette "
        "or opaque colours. Save it as a grey or palette PNG."
    )


def read_numbers(path: pathlib.Path) -> np.ndarray:
    """Returns what a label file of numbers stores.

    Args:
        path: the file.

    Returns:
        uint8 or uint16 [h, w].

    Raises:
        DataError: as `read`, or the file is a colour picture.
    """
    stored = read(path)
    _check_numbers(stored, path)
    return stored


def listed(words: Sequence[str]) -> str:
    """Returns the first of some words, for messages.

    Args:
        words: such as colours with their numbers of pixels.

    Returns:
        Five of them, and how many more there are.
    """
    shown = ", ".join(words[:_SHOWN])
    more = len(words) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def _check_numbers(stored: np.ndarray, path: pathlib.Path) -> None:
    if stored.ndim == 3:
        codes = stored.astype(np.int32) @ _BYTES
        raise errors.DataError(
            f"{path} is a colour picture; wanted the number of its class in each "
            "pixel. Save the numbers as a grey or palette PNG. Or keep the colours, in "
            "a mask_folder whose classes.txt has a line `R G B NAME` for each of them; "
            f"here these are {listed(_colours(codes))}."
        )


def _palette(opened: Any) -> np.ndarray:
    """Colours of an opened file's palette, uint8 [n, 3]."""
    return np.array(opened.getpalette("RGB"), np.uint8).reshape(-1, 3)


def _looked_up(
    stored: np.ndarray, palette: np.ndarray, path: pathlib.Path
) -> np.ndarray:
    """Colours of all pixels; a palette may be shorter than its numbers are large."""
    outside = stored[stored >= len(palette)]
    if outside.size:
        numbers, counts = np.unique(outside, return_counts=True)
        entries = zip(numbers.tolist(), counts.tolist(), strict=True)
        shown = listed([f"{n} ({count} pixels)" for n, count in entries])
        raise errors.DataError(
            f"{path} has pixels of the palette entries {shown}; its palette ends with "
            f"entry {len(palette) - 1}. Save the file again with all of its colours."
        )
    return palette[stored]


def _colours(codes: np.ndarray) -> list[str]:
    """For example "0 128 0 (30 pixels)", the most frequent first."""
    colours, counts = np.unique(codes, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [
        f"{code >> 16} {code >> 8 & 255} {code & 255} ({count} pixels)"
        for code, count in zip(
            colours[order].tolist(), counts[order].tolist(), strict=True
        )
    ]


def _from_matlab(path: pathlib.Path) -> np.ndarray:
    found = matlab_files.load(path)
    for name in _MATLAB_NAMES:
        if name in found:
            values = found[name]
            if values.dtype.names:  # SBD keeps the classes beside their boundaries
                values = values["Segmentation"][0, 0]
            if values.ndim == 2 and values.dtype.kind in "ui" and values.min() >= 0:
                return values.astype(np.uint16)
    raise errors.DataError(
        f"{path} holds {', '.join(found) or 'nothing'}; wanted whole numbers [h, w] "
        f"under {' or '.join(_MATLAB_NAMES)}."
    )


def _numbers(meaning: Mapping[int, int]) -> str:
    """For example "0 to 10, or 11 where no class is known"."""
    runs: list[list[int]] = []
    for number in sorted(n for n, m in meaning.items() if m != IGNORE):
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    said = ", ".join(" to ".join(map(str, run)) for run in runs)
    ignored = sorted(n for n, m in meaning.items() if m == IGNORE)
    if not ignored:
        return said
    return f"{said}, or {listed(list(map(str, ignored)))} where no class is known"
