"""Weights together with the network and the task that their card describes."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import flax.linen as nn

from dpjax import config, errors, tasks
from dpjax.models import strengths, zoo
from dpjax.weights import store


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network with its weights.

    Attributes:
        name: of the weights.
        module: the network.
        variables: its parameters and statistics.
        task: what it was trained for.
        model: how the network was configured.
        experiment: how it was trained, None if that is not known.
        card: everything that is known, as JSON values.
        file: name of the weights' file, None if they come from elsewhere.
    """

    name: str
    module: nn.Module
    variables: Mapping[str, Any]
    task: tasks.Task
    model: config.Model
    experiment: config.Experiment | None
    card: Mapping[str, Any]
    file: str | None = None


def load(
    weights: str | os.PathLike | store.Weights,
    *,
    compute_dtype: config.ComputeDtype | None = None,
) -> Trained:
    """Returns weights with their network, after checking that they fit.

    Args:
        weights: a released name, a .safetensors file, the folder of a run (its last
            weights; its best so far before it is finished), or weights that are loaded
            already.
        compute_dtype: type of the activations; None takes the card's.

    Returns:
        Network, weights, task.

    Raises:
        UserError: no such weights, a card that lacks something, weights of another
            shape, of a CRF that is none, or some that were never trained.
        StorageError: the file is damaged.
    """
    if not isinstance(weights, store.Weights):
        weights = store.load(weights)
    card = weights.card
    missing = [key for key in ("name", "model", "task") if not card.get(key)]
    if missing:
        raise errors.UserError(
            f"The card of {card.get('name', 'these weights')} lacks "
            f"{' and '.join(missing)}. Save the weights with a complete card."
        )
    if card.get("fresh"):
        raise errors.UserError(
            f"{card['name']} was never trained as a whole: {', '.join(card['fresh'])} "
            "are random since it was converted. Train from it: --init-from."
        )
    types = config.TYPES + tasks.TYPES
    model = config.decode(card["model"], types)
    if compute_dtype is not None:
        model = dataclasses.replace(model, compute_dtype=compute_dtype)
    module = zoo.create_module(
        model.name, compute_dtype=model.compute_dtype, **model.options
    )
    store.check_matches(
        weights.variables,
        module,
        name=card["name"],
        network=f"the {model} of their card",
        advice=lambda difference: "Take the card that was written with the weights.",
    )
    strengths.check_learned(module, weights.variables, card["name"])
    trained_by = card.get("config")
    return Trained(
        name=card["name"],
        module=module,
        variables=weights.variables,
        task=config.decode(card["task"], types),
        model=model,
        experiment=None if trained_by is None else config.decode(trained_by, types),
        card=card,
        file=weights.file,
    )
