"""Deviations of depth that are right in rooms that nobody trained on.

A network whose continuous CRF has a scale tau says that the logarithm of depth is
Gaussian, of mean m and deviation s: tau does not move m, and s goes with tau^(-1/2).
tau is learned on the images of the training, where the network errs least, so s is too
small elsewhere.  With standardised residuals z = (ln truth - m) / s of other images the
deviations f s are right

    by coverage     if f is the smallest number that at least 68.27 % of the |z| do not
                    exceed, their quantile: what one deviation of a Gaussian covers
    by likelihood   if f^2 is the mean of z^2, which makes these images most probable;
                    as Laves et al. scale deviations (MIDL 2020)

and the network gives f s once ln tau is smaller by 2 ln f.
"""

import collections
import concurrent.futures
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np

from dpjax import config, errors
from dpjax.inference import ahead, engines, evaluate, trained
from dpjax.tasks import depth

By = Literal["coverage", "likelihood"]

COVERED = math.erf(math.sqrt(0.5))  # by one deviation of a Gaussian, 0.6827
_CRF, _SCALE = "crf", "log_tau"


@dataclasses.dataclass(frozen=True)
class Calibration:
    """What was found on the images that were held out.

    Attributes:
        variables: those of the network, with another tau.
        factor: what the deviations are multiplied by.
        by: how it was chosen.
        protocol: which pixels counted.
        pixels: how many they were.
        data: for each source the number of "examples" and its "fingerprint".
        before: share of the pixels within 1 and within 2 deviations, "coverage1" and
            "coverage2".
        after: the same of deviations that are `factor` times as large.
    """

    variables: dict[str, Any]
    factor: float
    by: By
    protocol: str
    pixels: int
    data: dict[str, dict[str, Any]]
    before: dict[str, float]
    after: dict[str, float]


def calibrate(
    loaded: trained.Trained,
    task: depth.Depth,
    data: config.Data,
    evaluation: config.Evaluation,
    *,
    by: By = "coverage",
    sources: evaluate.Sources | None = None,
    progress: evaluate.Progress | None = None,
    devices: Sequence[jax.Device] | None = None,
) -> Calibration:
    """Returns weights whose deviations fit images that were held out.

    Pixels of all images count alike.  They are kept until all are known, four bytes
    each.  Whether the images are among those trained on is not asked; see
    `overlap.check`.

    Args:
        loaded: the network, with a CRF that has a scale.
        task: makes its inputs, understands its outputs.
        data: `evaluate` names the sources; `directory` and `threads` are used.
        evaluation: `protocol` says which pixels count; `limit` is used.
        by: how the factor is chosen, see above.
        sources: records by source name, instead of opening `data.evaluate`.
        progress: called with examples done and all examples.
        devices: where the network runs; None takes all of this process.

    Returns:
        The weights, the factor, and what it changes.

    Raises:
        UserError: a network without a scale, an unknown protocol or way, or residuals
            that no factor mends.
        DataError: a source is missing or damaged, or there is no valid pixel.
    """
    check(loaded)
    if sources is None:
        sources = evaluate.open_sources(task, data, evaluation)
    engine = engines.open_engine(loaded.module, loaded.variables, devices=devices)
    jobs = [
        (source, i)
        for source in sources.values()
        for i in range(len(source))[: evaluation.limit]
    ]
    found = []
    outputs = _outputs(task, engine, jobs, evaluation.protocol, data.threads)
    for record, given, output in outputs:
        z = task.residuals(record, given, output, evaluation.protocol)
        found.append(z.astype(np.float32))
        if progress is not None:
            progress(len(found), len(jobs))
    chosen = factor(found, by)
    return Calibration(
        variables=scaled(loaded.variables, chosen),
        factor=chosen,
        by=by,
        protocol=evaluation.protocol,
        pixels=sum(z.size for z in found),
        data={
            name: {
                "examples": len(range(len(source))[: evaluation.limit]),
                "fingerprint": getattr(source, "fingerprint", None),
            }
            for name, source in sources.items()
        },
        before=_coverages(found, 1.0),
        after=_coverages(found, chosen),
    )


def check(loaded: trained.Trained) -> None:
    """Raises unless a network has deviations and a scale of them.

    Args:
        loaded: the network and its weights.

    Raises:
        UserError: it has none.
    """
    if _SCALE not in loaded.variables["params"].get(_CRF, {}):
        raise errors.UserError(
            f"{loaded.name} has no {_CRF}/{_SCALE}, the scale of its deviations: it is "
            f"{loaded.model}. Train a network for depth with --model.options.crf "
            "calibrated over superpixels, or grid_calibrated over pixels."
        )


def factor(residuals: Sequence[np.ndarray], by: By = "coverage") -> float:
    """Returns what deviations are to be multiplied by.

    Args:
        residuals: z of each image, [pixels]; a pixel counts alike in each of them.
        by: "coverage" or "likelihood".

    Returns:
        A number above 0; for "coverage" one of the |z|.

    Raises:
        UserError: an unknown way, or residuals for which no such number is right.
        DataError: no pixel.
    """
    if by not in By.__args__:
        raise errors.unknown_name("way to calibrate", by, By.__args__)
    count = sum(z.size for z in residuals)
    if not count:
        raise errors.DataError(
            "No pixel of these sources has a depth that the protocol counts, so there "
            "is nothing to measure deviations by. Name other sources, or another "
            "--protocol."
        )
    if by == "coverage":
        away = np.abs(np.concatenate(residuals))
        place = math.ceil(COVERED * count) - 1
        found = float(np.partition(away, place)[place])
    else:
        squares = (np.square(z, dtype=np.float64).sum() for z in residuals)
        found = math.sqrt(math.fsum(squares) / count)
    if not 0 < found < math.inf:
        raise errors.UserError(
            f"Deviations want a factor above 0, got {found:g}: the {count} residuals "
            "of these sources are no errors of a network. Name images with true depth."
        )
    return found


def scaled(variables: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Returns variables with which a network gives larger deviations.

    Args:
        variables: of a network whose CRF has a scale.
        factor: what the deviations are to be multiplied by.

    Returns:
        The same arrays, and another ln tau, of its type.
    """
    crf = variables["params"][_CRF]
    old = np.asarray(crf[_SCALE])
    new = np.asarray(old.astype(np.float64) - 2 * math.log(factor), old.dtype)
    params = {**variables["params"], _CRF: {**crf, _SCALE: new}}
    return {**variables, "params": params}


def _outputs(task, engine, jobs, protocol, threads) -> Iterator[tuple[Any, Any, Any]]:
    """The record, what the network saw of it and what it gave, in order."""
    (condition,) = task.conditions()
    under_way: collections.deque = collections.deque()

    def prepare(job):
        record = job[0][job[1]]
        return record, task.evaluation_input(record, condition, protocol)

    def inputs(pool):
        for future in ahead.one_ahead(pool, prepare, jobs):
            under_way.append(future.result())
            yield under_way[-1][1]

    with concurrent.futures.ThreadPoolExecutor(max(threads, 1)) as pool:
        for output in engine.map(inputs(pool)):
            yield *under_way.popleft(), output


def _coverages(residuals: Sequence[np.ndarray], factor: float) -> dict[str, float]:
    count = sum(z.size for z in residuals)
    return {
        f"coverage{k}": sum(int((np.abs(z) <= k * factor).sum()) for z in residuals)
        / count
        for k in (1, 2)
    }
