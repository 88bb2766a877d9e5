"""Every pair of two folders, one read while one is matched and one is written."""

import dataclasses
import sys
import time
from concurrent import futures
from pathlib import Path

import numpy as np

from dpjax import errors
from dpjax.data import depth_files, folders
from dpjax.inference import ahead
from dpjax.inference.stereo import engines, one_pair, pairs, scores


@dataclasses.dataclass(frozen=True)
class _Pair:
    left: Path
    right: Path
    target: Path
    truth: Path | None


@dataclasses.dataclass(frozen=True)
class _Outcome:
    pair: _Pair
    result: one_pair.Checked | None = None
    row: np.ndarray | None = None
    failure: errors.DpjaxError | None = None


def run(
    matcher: one_pair.Matcher,
    left: Path,
    right: Path,
    output: Path | None,
    *,
    truth: Path | None = None,
    scale: float = 1.0,
) -> int:
    """Matches the pairs of two folders, and says which ones could not be used.

    Args:
        matcher: of every pair.
        left: folder of left views.
        right: folder of right views of the same names.
        output: folder of the results; None makes one here.
        truth: folder of true disparities of the same names; None for no score.
        scale: as for `pairs.read_truth`.

    Returns:
        The exit status: 0, or 3 if pairs were left out.

    Raises:
        UserError: folders that cannot be used.
        DataError: no pairs.
        StorageError: a result cannot be written.
    """
    import tqdm

    found, failures = pairs.find(left, right)
    output = _output(left, right, output)
    truths = {} if truth is None else _truths(truth, found)
    work = [
        _Pair(*views, output / f"{name}.png", truths.get(name))
        for name, views in found.items()
    ]
    _check_targets(matcher, work)
    _check_inputs(matcher, work)
    begun = time.perf_counter()
    outcomes = []
    with (
        futures.ThreadPoolExecutor(1) as reader,
        futures.ThreadPoolExecutor(1) as writer,
        tqdm.tqdm(total=len(work), unit="image", disable=None, leave=False) as progress,
    ):
        read = ahead.one_ahead(reader, lambda x: pairs.read(x.left, x.right), work)
        matched = (
            _matched(matcher, pair, views, scale)
            for pair, views in zip(work, read, strict=True)
        )
        for future in ahead.one_ahead(writer, lambda x: _saved(matcher, x), matched):
            outcomes.append(future.result())
            progress.update()
    speed = len(work) / (time.perf_counter() - begun)
    done = [x for x in outcomes if x.failure is None]
    print(f"{output}: {len(done)} of {len(found)} pairs, {speed:.2f} images/s")
    print(f"matched by {engines.NAMES[matcher.engine]}")
    _print_doubts(done)
    rows = [x.row for x in done if x.row is not None]
    if rows:
        print(scores.line(rows))
    if truth is not None and len(rows) < len(done):
        print(f"not scored, without a truth: {len(done) - len(rows)} of {len(done)}")
    failures += [f"{x.pair.left}: {x.failure}" for x in outcomes if x.failure]
    for line in failures:
        print(f"left out {line}", file=sys.stderr)
    return errors.DataError.exit_code if failures else 0


def _matched(
    matcher: one_pair.Matcher,
    pair: _Pair,
    views: futures.Future[pairs.Views],
    scale: float,
) -> _Outcome:
    """What was found, or the error that takes its place among the others."""
    try:
        result = matcher.match(views.result())
    except errors.DpjaxError as error:
        return _Outcome(pair, failure=error)
    if pair.truth is None:
        return _Outcome(pair, result)
    try:
        truth = pairs.read_truth(pair.truth, scale, result.match.valid.shape)
    except errors.DpjaxError as error:  # the disparities are worth keeping
        told = [*result.warnings, f"not scored: {error}"]
        return _Outcome(pair, result._replace(warnings=told))
    told = [*result.warnings, *scores.doubts(result.match, truth)]
    row = scores.row(result.match, truth)
    return _Outcome(pair, result._replace(warnings=told), row)


def _saved(matcher: one_pair.Matcher, outcome: _Outcome) -> _Outcome:
    """The outcome without its maps, which are on disk now."""
    if outcome.result is None:
        return outcome
    matcher.save(outcome.result.match, outcome.pair.target)
    return dataclasses.replace(outcome, result=outcome.result._replace(match=None))


def _print_doubts(done: list[_Outcome]) -> None:
    for outcome in done:
        for line in outcome.result.warnings:
            print(f"warning: {outcome.pair.left}: {line}", file=sys.stderr)


def _output(left: Path, right: Path, output: Path | None) -> Path:
    """The folder of the results, in neither of those that are read."""
    if output is None:
        output = Path(f"{left.resolve().name}-stereo")
        if output.exists():
            raise errors.UserError(
                f"{output} exists already, and results would mix with what it holds. "
                "Remove it, or name a folder with -o."
            )
    if output.is_file() or (output.suffix and not output.is_dir()):
        raise errors.UserError(
            f"{left} is a folder, so the output must be a folder too, got {output}."
        )
    for source in (left, right):
        if output.resolve().is_relative_to(source.resolve()):
            raise errors.UserError(
                f"Results in {output} would be taken for views of {source}. Name "
                "another folder."
            )
    return output


def _truths(folder: Path, wanted: dict) -> dict[str, Path]:
    """Files of true disparities by the names of their pairs."""
    if not folder.is_dir():
        raise errors.UserError(
            f"Pairs of folders want a folder of true disparities, got {folder}."
        )
    # .npy is no picture, so `pairs.by_stem` would not see it.
    found: dict[str, Path] = {}
    for path in folders.files(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if path.suffix.lower() not in depth_files.EXTENSIONS or name not in wanted:
            continue
        if name in found:
            raise errors.UserError(
                f"{found[name]} and {path} differ by their ending alone. Which one "
                "has the true disparities? Remove the other."
            )
        found[name] = path
    if not found:
        raise errors.DataError(
            f"No file below {folder} has the name of a pair, such as "
            f"{next(iter(wanted))}."
        )
    return found


def _check_targets(matcher: one_pair.Matcher, work: list[_Pair]) -> None:
    """Views named a and a-valid would both be written to a-valid.png."""
    seen: dict[Path, Path] = {}
    for pair in work:
        for path in matcher.files(pair.target):
            if path in seen:
                raise errors.UserError(
                    f"{path} would hold results of {seen[path]} and of {pair.left}. "
                    "Rename one of them."
                )
            seen[path] = pair.left


def _check_inputs(matcher: one_pair.Matcher, work: list[_Pair]) -> None:
    """Nothing that is read is overwritten: truths may lie where results would."""
    read = {
        path.resolve()
        for pair in work
        for path in (pair.left, pair.right, pair.truth)
        if path is not None
    }
    for pair in work:
        for path in matcher.files(pair.target):
            if path.resolve() in read:
                raise errors.UserError(
                    f"{path} is an input; it would be overwritten. Name another "
                    "folder with -o."
                )
