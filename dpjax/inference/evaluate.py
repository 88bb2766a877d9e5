"""Scoring a network on whole sources: the one evaluation that everything uses.

The training loop and `evaluate.py` call `evaluate`, so a number seen while training is
the number seen afterwards.  Inputs and metrics are computed on the host in threads,
the network on the devices in batches of windows; several processes share the records
and all return the scores of all.
"""

import collections
import concurrent.futures
import dataclasses
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from dpjax import config, errors
from dpjax.data import sizes
from dpjax.data import sources as data_sources
from dpjax.inference import engines, gather
from dpjax.tasks import task as tasks

Sources = Mapping[str, Sequence[tasks.Example]]
Progress = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True)
class Scores:
    """What an evaluation found.

    Attributes:
        rows: one for each example and condition: "source", "condition", "id" and the
            metrics of the task.
        summary: for each source and condition, what the task makes of its rows.
        best: mean over sources and conditions of the task's `best` entry.
        protocol: how degradation, rounding and borders were treated.
        ensemble: whether the eight symmetries were averaged.
        data: for each source the number of "examples" and its "fingerprint".
        panels: pictures of some examples, each with a name.
        seconds: duration of everything.
        compilations: compiled programs that were needed.
        tables: for each source and condition, the task's tables by name.
    """

    rows: list[tasks.Row]
    summary: dict[str, dict[str, dict[str, float]]]
    best: float
    protocol: str
    ensemble: bool
    data: dict[str, dict[str, Any]]
    panels: list[tuple[str, np.ndarray]]
    seconds: float
    compilations: int
    tables: dict[str, dict[str, dict[str, tasks.Table]]] = dataclasses.field(
        default_factory=dict
    )


def evaluate(
    task: tasks.Task,
    module: nn.Module,
    variables: Any,
    data: config.Data,
    evaluation: config.Evaluation,
    *,
    sources: Sources | None = None,
    panels: int = 0,
    progress: Progress | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Scores:
    """Returns the scores of a network under every condition of its task.

    Every process of a run must call this; process p of P scores every P-th record.

    Args:
        task: makes inputs, scores outputs.
        module: the network.
        variables: its parameters and statistics.
        data: `evaluate` names the sources; `directory` and `threads` are used.
        evaluation: protocol, ensemble and limit.
        sources: records by source name, instead of opening `data.evaluate`.
        panels: number of examples to make pictures of, on each process.
        progress: called with examples done and all examples of this process.
        devices: where the network runs; None takes all of this process.

    Returns:
        The scores of all processes, equal on each of them; panels of this one.

    Raises:
        UserError: unknown protocol, or no room for the network.
        DataError: a source is missing, empty or damaged.
    """
    start = time.perf_counter()
    sources = open_sources(task, data, evaluation) if sources is None else sources
    engine = engines.open_engine(
        module, variables, ensemble=evaluation.ensemble, devices=devices
    )
    rows: list[tasks.Row] = []
    pictures: list[tuple[str, np.ndarray]] = []
    failure: Exception | None = None
    try:
        jobs = _jobs(task, sources, evaluation.limit)
        mine = jobs[jax.process_index() :: jax.process_count()]
        total = len(mine) * len(task.conditions())
        results = _predict(task, engine, sources, mine, evaluation, data.threads)
        for done, (job, row, picture) in enumerate(results(panels), 1):
            rows.append({"source": job[0], "index": job[1], **row})
            if picture is not None:
                pictures.append((_picture_name({"source": job[0], **row}), picture))
            if progress is not None:
                progress(done, total)
    except Exception as error:
        # The others wait for this process: it tells them before it gives up.
        failure = error
    rows = gather.rows(rows, failure)
    summary, tables = _summarise(task, rows, sources)
    scored = [s[task.best] for by_name in summary.values() for s in by_name.values()]
    return Scores(
        rows=rows,
        summary=summary,
        best=float(np.mean(scored)),
        protocol=evaluation.protocol,
        ensemble=evaluation.ensemble,
        data={name: _describe(sources[name], evaluation.limit) for name in sources},
        panels=pictures,
        seconds=time.perf_counter() - start,
        compilations=engine.compilations,
        tables=tables,
    )


def open_sources(
    task: tasks.Task, data: config.Data, evaluation: config.Evaluation
) -> Sources:
    """Returns the records of each evaluation source, after checking what can be.

    Args:
        task: knows its protocols and how small a picture may be.
        data: names the sources.
        evaluation: names the protocol and the limit.

    Returns:
        Records by source name, the split included.

    Raises:
        UserError: unknown protocol, one that the records do not fit, or no source.
        DataError: a source is missing, holds a picture too small to be scored, or
            records without what the protocol wants.
    """
    if evaluation.protocol not in task.protocols:
        raise errors.unknown_name(
            f"protocol of {task.kind}", evaluation.protocol, task.protocols
        )
    if not data.evaluate:
        raise errors.UserError(
            "There is nothing to evaluate on; name sources in data.evaluate."
        )
    opened = [
        data_sources.open_sources([name], role="evaluate", directory=data.directory)
        for name in data.evaluate
    ]
    least = task.smallest_side(evaluation.protocol)
    for source in opened:
        sizes.check(source, least, "scored", limit=evaluation.limit)
        task.check_record(source[0], evaluation.protocol)
    return {source.names[0]: source for source in opened}


def worst(
    scores: Scores, count: int, *, metric: str, best_is_high: bool = True
) -> list[tasks.Row]:
    """Returns the rows with the poorest scores.

    Args:
        scores: of an evaluation.
        count: how many at most.
        metric: the entry of a row that judges it.
        best_is_high: whether a high value is good.

    Returns:
        Rows, the poorest first; rows without the metric, or where it is no number as
        that of a picture without a labelled pixel, are left out.
    """
    rows = [row for row in scores.rows if not math.isnan(row.get(metric, math.nan))]
    return sorted(rows, key=lambda row: row[metric], reverse=not best_is_high)[:count]


def pictures(
    task: tasks.Task,
    module: nn.Module,
    variables: Any,
    evaluation: config.Evaluation,
    rows: Iterable[tasks.Row],
    sources: Sources,
) -> Iterator[tuple[str, np.ndarray]]:
    """Returns panels of chosen rows, predicting them once more.

    Args:
        task: makes inputs and panels.
        module: the network.
        variables: its parameters and statistics.
        evaluation: as the rows were scored.
        rows: rows of `Scores`.
        sources: the records that were scored.

    Returns:
        An iterator of names, "source/id/condition", and pictures uint8 [h, w, 3].
    """
    engine = engines.open_engine(module, variables, ensemble=evaluation.ensemble)
    for row in rows:
        record = sources[row["source"]][row["index"]]
        condition = row["condition"]
        given = task.evaluation_input(record, condition, evaluation.protocol)
        outputs = list(engine.map(_views(given)))
        output = _like(given, outputs)
        picture = task.panel(record, condition, given, output, row, evaluation.protocol)
        yield _picture_name(row), picture


def _picture_name(row: tasks.Row) -> str:
    return f"{row['source']}/{row['id']}/{row['condition']}".rstrip("/")


def _jobs(task: tasks.Task, sources: Sources, limit: int | None) -> list:
    jobs = []
    for name, source in sources.items():
        if not len(source) or limit == 0:
            raise errors.DataError(
                f"{name} has no records to evaluate {task.kind} on"
                f"{' within evaluation.limit 0' if limit == 0 else ''}."
            )
        jobs += [(name, i) for i in range(len(source))[:limit]]
    return jobs


def _predict(task, engine, sources, jobs, evaluation, threads):
    """Returns a function that yields (job, row, picture or None) in order."""
    protocol, conditions = evaluation.protocol, task.conditions()

    def prepare(job):
        record = sources[job[0]][job[1]]
        return record, [task.evaluation_input(record, c, protocol) for c in conditions]

    def finish(job, record, condition, given, output, is_shown):
        row = task.score(record, condition, given, output, protocol)
        row = {"id": record["id"], "condition": condition, **row}
        if not is_shown:
            return job, row, None
        return job, row, task.panel(record, condition, given, output, row, protocol)

    def results(panels):
        under_way: collections.deque = collections.deque()

        def inputs():
            ready = _ahead(pool, prepare, jobs, 2 * threads)
            for place, (job, (record, all_given)) in enumerate(
                zip(jobs, ready, strict=True)
            ):
                for i, (c, given) in enumerate(zip(conditions, all_given, strict=True)):
                    # One picture of each of the first examples, conditions in turn.
                    is_shown = place < panels and i == place % len(conditions)
                    under_way.append((job, record, c, given, is_shown))
                    yield from _views(given)

        def scored():
            outputs = engine.map(inputs())
            for first in outputs:
                job, record, condition, given, is_shown = under_way.popleft()
                rest = itertools.islice(outputs, len(_views(given)) - 1)
                output = _like(given, [first, *rest])
                yield job, record, condition, given, output, is_shown

        with concurrent.futures.ThreadPoolExecutor(max(threads, 1)) as pool:
            yield from _ahead(pool, lambda a: finish(*a), scored(), 2 * threads)

    return results


def _views(given: Any) -> Sequence[Any]:
    """What the network sees of one example: itself, or several views."""
    if isinstance(given, list):
        return given
    return (given,) if isinstance(given, dict) or given.ndim == 3 else given


def _like(given: Any, outputs: list[Any]) -> Any:
    """The outputs of the views in the form in which the task gave them."""
    if isinstance(given, list):
        return outputs
    if isinstance(given, dict) or given.ndim == 3:
        return outputs[0]
    return np.stack(outputs)


def _ahead(
    pool: concurrent.futures.Executor,
    function: Callable[[Any], Any],
    items: Iterable[Any],
    depth: int,
) -> Iterator[Any]:
    """Returns function(item) in order, computing up to `depth` of them ahead."""
    items = iter(items)
    pending = collections.deque(
        pool.submit(function, item) for item in itertools.islice(items, max(depth, 1))
    )
    try:
        while pending:
            yield pending.popleft().result()
            pending.extend(
                pool.submit(function, item) for item in itertools.islice(items, 1)
            )
    finally:
        for future in pending:
            future.cancel()


def _summarise(task, rows, sources):
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row["source"], row["condition"]].append(row)
    return tuple(
        {
            name: {c: make(groups[name, c]) for c in task.conditions()}
            for name in sources
        }
        for make in (task.summarise, task.tables)
    )


def _describe(source: Sequence[tasks.Example], limit: int | None) -> dict[str, Any]:
    return {
        "examples": len(range(len(source))[:limit]),
        "fingerprint": getattr(source, "fingerprint", None),
    }
