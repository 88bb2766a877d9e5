"""`python -m dpjax list [PATTERN]`: what can be named on a command line."""

import dataclasses
import fnmatch
import json
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import flax.linen as nn
import jax
import tyro

from dpjax import errors
from dpjax.data import builders
from dpjax.inference import report
from dpjax.models import zoo
from dpjax.weights import store


@dataclasses.dataclass(frozen=True)
class Options:
    """Lists networks, the weights that come with dpjax, and data sets.

    Attributes:
        pattern: which names, such as "rednet*"; of these networks the number of
            parameters, and of a single one all options.
    """

    pattern: Annotated[
        tyro.conf.Positional[str | None], tyro.conf.arg(metavar="PATTERN")
    ] = None


def main(arguments: Sequence[str]) -> int:
    """Prints the names that match, with what is worth knowing about each.

    Args:
        arguments: what was typed after `list`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: nothing matches; near names are given.
    """
    given = tyro.cli(Options, args=list(arguments), prog="python -m dpjax list").pattern
    pattern = "*" if given is None else given
    models = zoo.list_models(pattern)
    released = store.list_released(pattern)
    data_sets = sorted(fnmatch.filter(builders.TABLE, pattern))
    if not (models or released or data_sets):
        known = [*zoo.list_models(), *store.list_released(), *builders.TABLE]
        raise errors.unknown_name("model, weights or data set", pattern, known)
    tables = []
    if models:
        tables.append(_networks(models, is_counted=given is not None))
    if len(models) == 1:
        header = ["option", "value", "one of"]
        tables.append(report.text_table(header, _options(*models)))
    if released:
        header = ["weights", "network", "parameters", "scores"]
        tables.append(report.text_table(header, [_weights(name) for name in released]))
    if data_sets:
        width = max(map(len, data_sets)) + 2
        rows = [f"{name:<{width}}{_about(name)}" for name in data_sets]
        tables.append("\n".join(["data set", *rows]))
    print("\n\n".join(tables))
    return 0


def _networks(names: Sequence[str], *, is_counted: bool) -> str:
    """A table; counting traces each network, which takes half a minute for all."""
    rows = []
    for name in names:
        module = zoo.create_module(name)
        halo = "image" if module.halo is None else str(module.halo)
        count = [_parameters(module)] if is_counted else []
        rows.append([name, *count, halo, str(module.stride)])
    count = ["parameters"] if is_counted else []
    table = report.text_table(["network", *count, "halo", "stride"], rows)
    more = "python -m dpjax list PATTERN counts parameters, of one network all options."
    return table if is_counted else f"{table}\n\n{more}"


def _options(name: str) -> list[list[str]]:
    choices = zoo.list_choices(name)
    return [
        [option, _written(value), ", ".join(choices.get(option, ()))]
        for option, value in sorted(zoo.list_options(name).items())
    ]


def _written(value: Any) -> str:
    """A value as one types it after --model.options.NAME."""
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return str(value)


def _weights(name: str) -> list[str]:
    # The card is small; the weights themselves are not read for a list.
    card = json.loads(store.find(name).with_suffix(".json").read_text())
    model = card["model"]
    module = zoo.create_module(model["name"], **model["options"])
    return [name, model["name"], _parameters(module), _scores(card.get("scores", []))]


def _parameters(module: nn.Module) -> str:
    shapes = jax.eval_shape(module.init, jax.random.key(0), zoo.example_input(module))
    return f"{sum(math.prod(a.shape) for a in jax.tree.leaves(shapes['params'])):,}"


def _scores(scores: Sequence[Mapping[str, Any]]) -> str:
    """The first metric on the first source, under every condition; the rest is long."""
    first = [s for s in scores if s.get("source") == scores[0].get("source")]
    texts = []
    for score in first:
        metric = next(k for k, value in score.items() if isinstance(value, float))
        value = report.format_value(score[metric])
        texts.append(f"{score.get('condition', '')} {value}".strip())
    if not texts:
        return "-"
    return " ".join(filter(None, (first[0].get("source"), metric, ", ".join(texts))))


def _about(name: str) -> str:
    return (builders.find(name).__doc__ or "").splitlines()[0]
