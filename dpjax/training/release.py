"""Weights that go in and out of a run: what it starts from, what it leaves behind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
from flax import linen as nn
from flax import traverse_util

from dpjax import config, errors
from dpjax.inference import receipts
from dpjax.models import strengths, zoo
from dpjax.training import log, state
from dpjax.weights import matching, meanings, store, trunks


def starting_variables(
    experiment: config.Experiment, module: nn.Module
) -> dict[str, Any] | None:
    """Returns the weights a run begins with.

    Weights of one trunk start each trunk of a network that has several.

    Args:
        experiment: its `init_from` names a file, a run folder or released weights, its
            `init_skip` what of them is not used.
        module: the network they must fit.

    Returns:
        Variables, or None to draw them from the seed.

    Raises:
        UserError: weights that do not fit; both trees are shown.  Or weights that fit
            but were made for other options, by which they mean something else.  Or a
            pattern of `init_skip` without an array, or patterns without weights.
    """
    skip = experiment.init_skip
    if experiment.init_from is None:
        if skip:
            raise errors.UserError(
                f"init_skip={skip!r} leaves out arrays of init_from, which is None. "
                "Name the weights with --init-from, or drop --init-skip."
            )
        return None
    weights = store.load(experiment.init_from)
    loaded = weights.variables
    given = trunks.of_each_size(loaded, module)
    store.check_matches(
        given,
        module,
        skip=skip,
        name=experiment.init_from,
        network=str(experiment.model),
        advice=_advice,
    )
    _check_meaning(experiment, weights.card, module, given)
    if not matching.is_skipped("crf/beta", skip):
        strengths.check_learned(module, given, experiment.init_from)
    if given is not loaded:
        _say(experiment, f"each of {' and '.join(trunks.names(module))} has backbone/*")
    if not skip:
        return given
    # The same values that a run without other weights would begin with.
    key = state.stream_key(experiment.seed, state.INIT)
    fresh = zoo.fresh_variables(module, key)
    merged = matching.merge(given, jax.device_get(fresh), skip=skip)
    _say(experiment, matching.report(given, fresh, skip=skip))
    return merged


def _check_meaning(
    experiment: config.Experiment,
    card: Mapping[str, Any],
    module: nn.Module,
    given: Mapping[str, Any],
) -> None:
    """Refuses arrays that fit but mean something else, as far as the card says it."""
    theirs = _network_of(card)
    if theirs is None:
        return
    paths = traverse_util.flatten_dict(given, sep="/")
    taken = [p for p in paths if not matching.is_skipped(p, experiment.init_skip)]
    differing = meanings.differences(theirs, module, taken)
    if not differing:
        return
    lines = [f"  {name}: {a!r} there, {b!r} here" for name, (a, b) in differing.items()]
    flags = [_flag(name, value) for name, (value, _) in differing.items()]
    raise errors.UserError(
        f"The arrays of {experiment.init_from} fit {experiment.model}, but mean "
        "something else there; they were made for a network with other options:\n"
        + "\n".join(lines)
        + f"\nPass {' '.join(flags)}"
    )


def _flag(name: str, value: Any) -> str:
    """What gives an option a value on the command line."""
    words = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--model.options.{'' if value else 'no-'}{words}"
    return f"--model.options.{words} {value}"


def _network_of(card: Mapping[str, Any]) -> nn.Module | None:
    """The network that weights were made for; None if the card does not say it."""
    try:
        model = config.decode(card["model"], config.TYPES)
        return zoo.create_module(model.name, **model.options)
    except (KeyError, errors.DpjaxError):  # other programs write cards, too
        return None


def _say(experiment: config.Experiment, taken: str) -> None:
    if jax.process_index() == 0:
        log.say(f"starting from {experiment.init_from}: {taken}")


def _advice(difference: matching.Difference) -> str:
    text = (
        "Build the model with the name and options the weights were trained with "
        "(their card has them)"
    )
    if difference.folders:
        patterns = " ".join(f'"{folder}"' for folder in difference.folders)
        text += f". To train these layers from the start: --init-skip {patterns}"
    return text + "."


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
