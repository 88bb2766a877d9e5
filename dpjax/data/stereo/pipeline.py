"""Frames matched by the workers of an Apache Beam pipeline.

Workers keep what they find in a `store` that all machines see; TFDS then writes the
records from there, in order, as it does on one machine.  So both ways give the same
records, and a pipeline that was killed goes on.
"""

import functools
import logging
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from dpjax import errors
from dpjax.data.stereo import frames, results, store

Reader = Callable[[], Iterable[frames.Pair]]

_LOG = logging.getLogger(__name__)


def check(runner: str) -> Any:
    """Returns Apache Beam.

    Args:
        runner: of its pipelines, by name.

    Returns:
        The module.

    Raises:
        UserError: it is not installed, or has no such runner.
    """
    try:
        import apache_beam
    except ImportError as error:
        raise errors.UserError(
            "--beam-runner wants Apache Beam, which is not installed. Run `pip install "
            "'dpjax[beam]'`, or leave the option out to use this machine alone."
        ) from error
    try:
        apache_beam.runners.create_runner(runner)
    except (ValueError, ImportError, AttributeError) as error:
        raise errors.UserError(
            f"Apache Beam cannot make a runner of --beam-runner {runner} ({error}). "
            "Name one that it has, such as DirectRunner, or install what it needs."
        ) from error
    return apache_beam


def fill(
    readers: Sequence[Reader],
    settings: frames.Settings,
    folder: pathlib.Path,
    *,
    runner: str,
    options: str = "",
) -> None:
    """Matches the frames of files and keeps the results.

    Args:
        readers: one for each file or pair, which can be pickled; a worker takes one.
        settings: how pairs are matched.
        folder: of the store, on a disk that all workers see under this path.
        runner: of Beam, such as DirectRunner, FlinkRunner or DataflowRunner.
        options: of the pipeline, as in "project=mine,region=europe-west4".

    Raises:
        UserError: see `check`; or the pipeline failed, or kept nothing.
    """
    beam = check(runner)
    flags = [f"--{one.strip()}" for one in options.split(",") if one.strip()]
    work = functools.partial(keep, settings=settings, folder=folder)
    configured = beam.options.pipeline_options.PipelineOptions(flags)
    _warn_of_unknown(configured, runner)
    try:
        with beam.Pipeline(runner=runner, options=configured) as pipeline:
            # Without a new shuffle, readers of a file would stay with one worker.
            tasks = pipeline | beam.Create(list(readers)) | beam.Reshuffle()
            tasks | beam.Map(work)
    except errors.DpjaxError:
        raise
    # Runners raise what they like: of a server that is not there, of a worker.
    except Exception as error:
        said = (str(error) or repr(error)).strip().splitlines()[0]
        raise errors.UserError(
            f"The pipeline of --beam-runner {runner} failed: {said}. Mend its cause, "
            "which its log tells, and run the same command again: frames that were "
            "matched are kept."
        ) from error
    if readers and not any(folder.glob(f"*{store.ENDING}")):
        raise errors.UserError(
            f"The workers of --beam-runner {runner} kept nothing in {folder}. Either "
            "they cannot read any of the files, or they write to a disk of their own: "
            "--from and --dir want folders that all machines see under the same path. "
            "Without --beam-runner this machine says which files it cannot read."
        )


def _warn_of_unknown(configured: Any, runner: str) -> None:
    """Beam drops options that it does not know, which some runners do."""
    known = configured.get_all_options(drop_default=True)
    given = configured.get_all_options(drop_default=True, retain_unknown_options=True)
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        _LOG.warning(
            "Apache Beam has no option %s; it counts only if %s knows it.",
            ", ".join(unknown),
            runner,
        )


def keep(reader: Reader, *, settings: frames.Settings, folder: pathlib.Path) -> int:
    """Matches the frames of one file and keeps the results.

    Args:
        reader: of the file; what it cannot read is told when records are written.
        settings: how pairs are matched.
        folder: of the store.

    Returns:
        How many frames and rejections there are.
    """
    kept = store.Store(folder, settings)
    return sum(1 for _ in results.of_pairs(_readable(reader), settings, kept))


def _readable(reader: Reader) -> Iterator[frames.Pair]:
    try:
        yield from reader()
    except errors.DataError as error:
        _LOG.warning("Left for the end: %s", error)
