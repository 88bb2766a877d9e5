"""What studies of depth share: rows of scores, and their means over seeds."""

import collections
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dpjax import config
from dpjax.inference import evaluate, trained


def of(
    run: config.Experiment, loaded: trained.Trained, told: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Scores weights.

    Args:
        run: says the task, the data and the protocols.
        loaded: the weights.
        told: what every row begins with.

    Returns:
        A row for each protocol, with every score that it has.
    """
    scores = evaluate.evaluate(
        run.task, loaded.module, loaded.variables, run.data, run.evaluation
    )
    found = collections.defaultdict(dict)
    for conditions in scores.tables.values():
        for tables in conditions.values():
            for protocol, score, value, *_ in tables["protocols"].lines:
                found[protocol][score] = float(value)
    return [{**told, "protocol": name, **values} for name, values in found.items()]


def mean(rows: Sequence[Mapping[str, Any]], name: str) -> tuple[float, float] | None:
    """Returns mean and standard deviation of a score.

    Args:
        rows: of runs that differ in their seeds.
        name: of the score.

    Returns:
        Both, the second 0 for a single run; none if no row has the score.
    """
    values = [row[name] for row in rows if name in row]
    if not values:
        return None
    return statistics.mean(values), statistics.stdev(values) if values[1:] else 0.0
