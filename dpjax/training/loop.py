"""The training loop: it knows no task, no model and no data set, only their contracts.

Order of one round: wait for the batch, start the update, note the log window of an
earlier update (so the devices never wait for the host), then evaluate, save or stop if
this step asks for it.
"""

import collections
import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from dpjax import config, errors
from dpjax.data import identity, pipeline, sizes, sources
from dpjax.inference import evaluate, receipts
from dpjax.models import zoo
from dpjax.training import (
    checkpoint,
    log,
    optimiser,
    parallel,
    release,
    state,
    step,
    stop,
    workdir,
)
from dpjax.viz import curves

# Updates under way at once; more would only pile up batches on the device.
_IN_FLIGHT = 2


@dataclasses.dataclass(frozen=True)
class Summary:
    """How a run ended.

    Attributes:
        step: updates done.
        score: the last evaluation's number, None if there was none.
        best: the best evaluation's number, None if there was none.
        skipped: updates refused because they were not finite.
    """

    step: int
    score: float | None
    best: float | None
    skipped: int


def train(experiment: config.Experiment, folder: Path) -> Summary:
    """Runs an experiment to its end, from where its folder left off.

    Args:
        experiment: the run.
        folder: where everything it writes goes.

    Returns:
        How it ended.

    Raises:
        UserError: a configuration that cannot work, or a folder of another run.
        DataError: records that are missing, damaged, too small, or shared with the
            evaluation.
        NotFiniteError: too many updates in a row were not finite.
        StorageError: the disk refused.
        Preempted: asked to stop; everything is saved.
    """
    with workdir.claim(folder, jax.process_index()):
        run = _Run(experiment, folder)
        try:
            run.open()
            return run.to_the_end()
        finally:
            run.close()


class _StopDuringEvaluation(Exception):
    """Asked to stop while an evaluation was under way."""


class _Run:
    """One run at work: what has to be opened, and closed again."""

    def __init__(self, experiment: config.Experiment, folder: Path):
        self.experiment, self.folder = experiment, folder
        self.is_first = jax.process_index() == 0
        self.log = self.checkpoints = None
        self.prefetch: pipeline.DevicePrefetch | None = None
        self.best: float | None = None
        self.score: float | None = None
        # First of all: a request that comes while the run opens must not be lost.
        self.stop = stop.StopRequest()

    def open(self) -> None:
        """Checks the experiment, opens what it needs, and restores or begins it."""
        experiment, folder = self.experiment, self.folder
        config.check(experiment)
        experiment.task.check(experiment)
        experiment = self._open_records(experiment)
        workdir.check_experiment(folder, experiment)
        self.parallel = parallel.open_devices(experiment)
        options = experiment.model.options
        dtype = experiment.model.compute_dtype
        self.module = zoo.create_module(
            experiment.model.name, compute_dtype=dtype, **options
        )
        self.schedule = optimiser.make_schedule(
            experiment.optim, experiment.total_steps
        )
        tx = optimiser.make_optimiser(experiment.optim, experiment.total_steps)
        identity.check_disjoint(experiment.data)
        self.checkpoints = checkpoint.Checkpoints(
            folder / "checkpoints",
            experiment.record.keep_last,
            experiment.task.best_is_high,
        )
        self.owes_evaluation = False
        self.state, self.step = self._begin(tx)
        if self.is_first:
            workdir.write_experiment(folder, experiment)
        update = step.make_train_step(experiment.task, self.module, tx, experiment)
        self.update = self.parallel.compile_step(update)
        if self.is_first:
            self.log = log.RunLog(folder, experiment.total_steps, self.step)

    def _open_records(self, experiment: config.Experiment) -> config.Experiment:
        """Opens what is trained on and scored; returns the run with what they tell."""
        self.source = sources.open_sources(
            experiment.data.train,
            directory=experiment.data.directory,
            cache_bytes=experiment.data.cache_bytes,
        )
        sizes.check(self.source, experiment.task.smallest_side(), "trained on")
        # The first evaluation may be hours away: its records are opened now.
        self.judged = evaluate.open_sources(
            experiment.task, experiment.data, experiment.evaluation
        )
        task = experiment.task.with_records([self.source, *self.judged.values()])
        for _, record in sources.samples([self.source]):
            task.check_example(record)
        self.experiment = dataclasses.replace(experiment, task=task)
        task.check(self.experiment)
        return self.experiment

    def _begin(self, tx: Any) -> tuple[state.TrainState, int]:
        def make_state(start=None):
            return state.create(self.experiment, self.module, tx, start)

        # A continued run needs shapes only: what it began with may be gone by now.
        found = self.checkpoints.restore(jax.eval_shape(make_state), self.parallel)
        if found is None:
            start = release.starting_variables(self.experiment, self.module)
            fresh = self.parallel.create(make_state, start)
            return self.parallel.on_this_process(fresh), 0
        self.best, self.score = found.meta["best"], found.meta["score"]
        # Stopped in the middle of an evaluation: it comes before the next update.
        self.owes_evaluation = self._evaluates(found.step) and not found.meta["scored"]
        if self.is_first:
            log.say(f"continuing {self.folder} after step {found.step}")
        return self.parallel.on_this_process(found.state), found.step

    def to_the_end(self) -> Summary:
        experiment, record = self.experiment, self.experiment.record
        total = experiment.total_steps
        batches = self._batches()
        under_way = collections.deque()
        if self.owes_evaluation:
            self._evaluate()
        while self.step < total:
            batch = self._next(batches)
            if batch is None:
                self._save(scored=False)
                self._leave()
            self.state, metrics = self.update(self.state, batch)
            self.step += 1
            under_way.append((self.step, metrics))
            while len(under_way) > _IN_FLIGHT:
                self._note(*under_way.popleft())
            evaluates = self._evaluates(self.step)
            stops = self.stop.reached(self.step)
            if evaluates or stops or self.step % record.save_every == 0:
                while under_way:
                    self._note(*under_way.popleft())
                self._look_and_save(evaluates=evaluates)
            if stops and self.step < total:
                self._leave()
        self.checkpoints.wait()
        if self.is_first:
            release.write_run_weights(
                self.folder, "last", experiment, self.state.variables(), self.score
            )
            curves.write(self.folder, experiment.task.best)
        return Summary(self.step, self.score, self.best, int(self.state.skipped))

    def _next(self, batches: Iterator[Any]) -> Any:
        """The next batch; None if a stop request has ended the readers."""
        try:
            return next(batches)
        except Exception:
            # Ctrl-C reaches reader processes too, and may reach them first.
            if self.stop.is_asked:
                return None
            raise

    def _look_and_save(self, *, evaluates: bool) -> None:
        scored = False
        with self.log.aside() if self.log else contextlib.nullcontext():
            try:
                if evaluates:
                    self._evaluate()
                    scored = True
            except _StopDuringEvaluation:
                pass
            finally:
                self._save(scored=scored)
        if evaluates and not scored:
            self._leave()

    def _leave(self) -> None:
        self.checkpoints.wait()
        raise errors.Preempted(
            f"Stopped on request after step {self.step} of "
            f"{self.experiment.total_steps}; everything is saved. Continue: "
            f"python train.py --workdir {self.folder}"
        )

    def _batches(self) -> Iterator[dict[str, jax.Array]]:
        experiment = self.experiment
        task, data = experiment.task, experiment.data
        if self.step >= experiment.total_steps:
            return iter(())
        stream = pipeline.train_stream(
            self.source,
            functools.partial(task.train_example, data=data),  # workers pickle it
            data=data,
            seed=experiment.seed,
            start=self.step * data.batch_size,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )
        self.prefetch = pipeline.device_prefetch(stream, self.parallel.put)
        self.waited_s, self.logged = 0.0, self.step
        return self.prefetch

    def _note(self, at: int, metrics: dict[str, Any]) -> None:
        """Waits for an update; writes its log line; stops a run that went astray."""
        streak = int(metrics["streak"])
        record = self.experiment.record
        if self.log and (
            at % record.log_every == 0 or at == self.experiment.total_steps
        ):
            numbers = {
                name: _ratio(total, metrics["counts"][name])
                for name, total in metrics["sums"].items()
            }
            numbers["lr"] = float(self.schedule(at - 1))
            numbers["skipped"] = int(metrics["skipped"])
            wait_s = self.prefetch.waited_s - self.waited_s
            self.waited_s = self.prefetch.waited_s
            examples = (at - self.logged) * self.experiment.data.batch_size
            self.logged = at
            self.log.train(at, numbers, examples, wait_s)
        if streak >= record.stop_after_bad:
            raise errors.NotFiniteError(
                f"Loss or gradient was not finite in {streak} updates in a row, since "
                f"step {at - streak + 1}; those updates were refused, and checkpoints "
                f"before it, if there are any, are kept in {self.checkpoints.folder}. "
                "Lower optim.lr, set optim.clip-norm, or look at the data with `python "
                "-m dpjax doctor`."
            )

    def _evaluates(self, at: int) -> bool:
        every = self.experiment.evaluation.every_steps
        return at == self.experiment.total_steps or bool(every and at % every == 0)

    def _evaluate(self) -> None:
        experiment = self.experiment
        variables = self.state.variables()
        scores = evaluate.evaluate(
            experiment.task,
            self.module,
            variables,
            experiment.data,
            experiment.evaluation,
            sources=self.judged,
            panels=experiment.record.panels,
            progress=self._give_way,
        )
        self.score = scores.best
        better = (
            self.best is None
            or not math.isfinite(self.best)
            or (
                self.score > self.best
                if experiment.task.best_is_high
                else self.score < self.best
            )
        )
        if better:
            self.best = self.score
        if not self.is_first:
            return
        self.log.scores(self.step, scores.summary, experiment.task.headlines)
        for name, picture in scores.panels:
            self.log.picture(self.step, name, picture)
        if better:
            release.write_run_weights(
                self.folder, "best", experiment, variables, self.score
            )

    def _give_way(self, done: int, total: int) -> None:
        # An evaluation may last longer than the grace that a scheduler gives.
        if self.stop.is_asked and done < total:
            raise _StopDuringEvaluation

    def _save(self, *, scored: bool) -> None:
        meta = {
            "config": config.encode(self.experiment),
            "versions": receipts.versions(),
            "position": self.step * self.experiment.data.batch_size,
            "best": self.best,
            "score": self.score,
            "scored": scored,
            "written": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        self.checkpoints.save(
            self.step,
            self.parallel.spanning(self.state),
            meta,
            self.score if scored else None,
        )

    def close(self) -> None:
        if self.prefetch is not None:
            self.prefetch.close()
        if self.checkpoints is not None:
            self.checkpoints.close()
        if self.log is not None:
            self.log.close()
        self.stop.restore()


def _ratio(total: Any, count: Any) -> float:
    # A window whose updates were all refused has no mean; 0 would look perfect.
    return float(total) / float(count) if float(count) else math.nan
