"""Weights that go in and out of a run: what it starts from, what it leaves behind."""

from pathlib import Path
from typing import Any

import jax
from flax import linen as nn

from dpjax import config
from dpjax.inference import receipts
from dpjax.weights import store


def starting_variables(
    experiment: config.Experiment, module: nn.Module
) -> dict[str, Any] | None:
    """Returns the weights a run begins with.

    Args:
        experiment: its `init_from` names a file, a run folder or released weights.
        module: the network they must fit.

    Returns:
        Variables, or None to draw them from the seed.

    Raises:
        UserError: weights that do not fit; both trees are shown.
    """
    if experiment.init_from is None:
        return None
    weights = store.load(experiment.init_from)
    store.check_matches(weights.variables, module)
    return weights.variables


def write_run_weights(
    folder: Path,
    name: str,
    experiment: config.Experiment,
    variables: Any,
    score: float | None,
) -> None:
    """Writes the evaluated weights of a run where the predictor looks for them.

    Args:
        folder: the run's folder; the file is weights/NAME.safetensors.
        name: "best" or "last".
        experiment: goes into the card.
        variables: what the model is evaluated with.
        score: the evaluation's number.
    """
    target = folder / "weights" / f"{name}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    card = {
        "name": folder.name,
        "model": config.encode(experiment.model),
        "task": config.encode(experiment.task),
        "config": config.encode(experiment),
        "scores": [] if score is None else [{experiment.task.best: score}],
        "versions": receipts.versions(),
    }
    store.save(target, jax.device_get(variables), card)
