"""Weights at work on a video, for `predict`: each frame is a picture of its own."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dpjax import errors
from dpjax.data import video_files
from dpjax.inference import predictor

_RATE = 25.0  # frames a second, of videos that do not say
_ROOM = 0.1  # of the first frame's range, left at both ends for what comes later


def check(source: Path, output: Path | None) -> Path | None:
    """Returns where the result of a video goes, before weights are loaded.

    Args:
        source: the video.
        output: a file or an existing folder that was named; None if none was.

    Returns:
        An .mp4; None if no output was named.

    Raises:
        UserError: no such video, the video itself, or another ending.
        DataError: a video that cannot be opened.
    """
    if not source.is_file():
        raise errors.UserError(
            f"{source} does not exist. Name a picture, a video or a folder of pictures."
        )
    video_files.inspect(source)
    if output is None:
        return None
    if output.is_dir():
        output = output / source.with_suffix(video_files.SUFFIX).name
    video_files.check_suffix(output)
    if output.exists() and output.samefile(source):
        raise errors.UserError(
            f"{output} is the input; it would be overwritten. Name another output."
        )
    return output


def run(
    predict: predictor.Predictor,
    source: Path,
    target: Path,
    task_options: Mapping[str, Any],
) -> int:
    """Writes the video of all results, and says what it is.

    Where pictures have a scale of their own, all frames get one: the range that was
    asked for, or that of the first frame and a tenth more at both ends, in logarithms
    where colours are.

    Args:
        predict: the weights.
        source: the video.
        target: an .mp4; it is there once it is whole.
        task_options: as for `predict`.

    Returns:
        The exit status: 0, or 3 if the video is cut off; what came before is written.

    Raises:
        UserError: weights that answer in words, or frames that are too large.
        DataError: a video that cannot be opened, has no frame, or frames of two sizes.
        StorageError: the place cannot be written.
    """
    import tqdm

    if predict.task.answers_in_words:
        raise errors.UserError(
            f"{predict.name} answers in words, of which a video would have some for "
            "each frame. Choose weights that make pictures, or a folder of pictures."
        )
    about = video_files.inspect(source)
    rate = about.rate or _RATE
    if about.rate is None:
        said = f"{source} does not say how many frames it has a second"
        print(f"{said}; {rate:g} are written.", file=sys.stderr)
    task_options, count, blended, is_whole = dict(task_options), 0, 0, True
    with (
        video_files.create(target, rate=rate) as add,
        tqdm.tqdm(
            total=about.frames, unit="frame", disable=None, leave=False
        ) as progress,
    ):
        try:
            for _, frame in video_files.read(source):
                result = predict(frame, **task_options)
                if result.scale is not None and "range" not in task_options:
                    task_options["range"] = _widened(*result.scale, result.scale_is_log)
                    result = predict(frame, **task_options)
                add(_picture(result))
                count += 1
                blended += not result.exact
                progress.update()
        except video_files.CutOff:
            if not count:
                raise
            is_whole = False
    height, width = (side + side % 2 for side in _picture(result).shape[:2])
    said = f"{target}: {width} x {height}, {count} frames at {rate:g} a second"
    if result.scale is not None:
        low, high = result.scale
        unit = next(iter(result.units.values()), "")
        said += f", colours from {low:.3g} to {high:.3g} {unit}".rstrip()
    print(f"{said}, blended: too large for one window" if blended else said)
    if is_whole:
        return 0
    print(
        f"{source} ends early: {count} frames of the {about.frames} that it announces "
        f"are in {target}. Copy it again for the others.",
        file=sys.stderr,
    )
    return errors.DataError.exit_code


def _picture(result: predictor.Result) -> np.ndarray:
    """What is shown of a frame: no legend, which would be another one each time."""
    return result.image[: len(result.image) - result.legend_rows]


def _widened(low: float, high: float, is_log: bool) -> tuple[float, float]:
    if not is_log:
        room = _ROOM * (high - low)
        return low - room, high + room
    factor = math.pow(high / low, _ROOM)
    return low / factor, high * factor
