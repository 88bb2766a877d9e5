"""What a run tells: a progress line, TensorBoard events, and two JSONL files.

`metrics.jsonl` holds numbers that are a function of the run alone, so a resumed run
writes the same bytes as an undisturbed one.  Everything that depends on the clock goes
to `speed.jsonl`.
"""

import contextlib
import json
import math
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dpjax import storage
from dpjax.training import checkpoint, events


class RunLog:
    """Writes the records of one run; only the first process makes one.

    Attributes:
        folder: the run's folder.
    """

    def __init__(self, folder: Path, total_steps: int, start_step: int):
        """Opens the files and drops what was written after `start_step`.

        Args:
            folder: the run's folder.
            total_steps: updates of the whole run.
            start_step: updates already done.

        Raises:
            StorageError: the folder cannot be written.
        """
        self.folder = folder
        self._total = total_steps
        self._clock = _Clock(start_step)
        with self._storage_errors():
            self._metrics = _open_after(folder / "metrics.jsonl", start_step)
            self._speed = _open_after(folder / "speed.jsonl", start_step)
            self._events = events.EventFile(folder / "events", start_step)

    def train(
        self, step: int, numbers: dict[str, float], examples: int, wait_s: float
    ) -> None:
        """Writes the averages of a log window and shows the progress line.

        Args:
            step: updates done.
            numbers: averages since the last line.
            examples: training examples seen since the last line.
            wait_s: seconds the devices waited for data since the last line.

        Raises:
            StorageError: the disk refused.
        """
        seconds = self._clock.lap()
        speed = {
            "images_per_s": examples / seconds,
            "wait_share": wait_s / seconds,
            "eta_s": self._clock.per_step(step) * (self._total - step),
        }
        with self._storage_errors():
            _write(self._metrics, {"step": step, **numbers})
            _write(self._speed, {"step": step, **speed})
            for name, value in {**numbers, **speed}.items():
                self._events.scalar(step, f"train/{name}", value)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        say(
            f"step {step}/{self._total}  {shown}  "
            f"{speed['images_per_s']:.0f} images/s  wait {speed['wait_share']:.0%}  "
            f"left {_clock_text(speed['eta_s'])}"
        )

    def scores(
        self, step: int, summary: dict[str, Any], headlines: Collection[str] = ()
    ) -> None:
        """Writes an evaluation.

        Args:
            step: updates done.
            summary: source to condition to metric to number.
            headlines: metrics on the progress line; none shows all.

        Raises:
            StorageError: the disk refused.
        """
        with self._storage_errors():
            _write(self._metrics, {"step": step, "evaluation": summary})
        for source, conditions in summary.items():
            for condition, metrics in conditions.items():
                place = f"{source}/{condition}".rstrip("/")
                with self._storage_errors():
                    for name, value in metrics.items():
                        self._events.scalar(step, f"{name}/{place}", value)
                shown = "  ".join(
                    f"{name} {value:.4g}"
                    for name, value in metrics.items()
                    if not headlines or name in headlines
                )
                say(f"step {step}/{self._total}  evaluation  {place}  {shown}")

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Writes a panel as a PNG in `panels/` and as a TensorBoard image.

        Args:
            step: updates done.
            name: file name without its ending; "/" becomes "_"; shortened if need be.
            image: uint8 [h, w, 3].

        Raises:
            StorageError: the disk refused.
        """
        import cv2

        name = storage.short_name(name.replace("/", "_"))
        folder = self.folder / "panels" / f"{step:08d}"
        with self._storage_errors():
            folder.mkdir(parents=True, exist_ok=True)
            encoded = cv2.imencode(".png", image[..., ::-1])[1]
            (folder / f"{name}.png").write_bytes(encoded.tobytes())
            self._events.picture(step, f"panels/{name}", image)

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leaves what happens inside (evaluation, saving) out of the training speed.

        Returns:
            A context manager.
        """
        start = time.perf_counter()
        try:
            yield
        finally:
            self._clock.skip(time.perf_counter() - start)

    def close(self) -> None:
        """Flushes and closes the files.

        Raises:
            StorageError: the disk refused; all of them are closed nevertheless.
        """
        with self._storage_errors(), contextlib.ExitStack() as files:
            for file in (self._events, self._metrics, self._speed):
                files.callback(file.close)

    @contextlib.contextmanager
    def _storage_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise checkpoint.storage_error(self.folder, error) from error


class _Clock:
    """Training time between log lines; time spent aside is left out."""

    def __init__(self, start_step: int):
        self._start_step = start_step
        self._spent = 0.0
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        seconds, self._last = max(now - self._last, 1e-9), now
        self._spent += seconds
        return seconds

    def skip(self, seconds: float) -> None:
        self._last += seconds

    def per_step(self, step: int) -> float:
        return self._spent / max(step - self._start_step, 1)


def say(text: str) -> None:
    """Prints one line of progress at once.

    Args:
        text: the line.
    """
    print(text, file=sys.stderr, flush=True)


def _open_after(path: Path, step: int) -> Any:
    """Opens for appending after dropping lines past `step` and a torn last line."""
    kept = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                if json.loads(line)["step"] > step:
                    break
            except (ValueError, KeyError):
                break
            kept.append(line + "\n")
    storage.replace(path, "".join(kept).encode())
    return path.open("a")


def _write(file: Any, line: dict[str, Any]) -> None:
    file.write(json.dumps(_plain(line)) + "\n")
    file.flush()


def _plain(value: Any) -> Any:
    """JSON has no NaN; a number that is not finite is written as its name."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value


def _clock_text(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
