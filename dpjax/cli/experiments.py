"""Reads config files and applies what was typed after them."""

import argparse
import dataclasses
import runpy
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from dpjax import config, errors
from dpjax.models import zoo


def read_config(path: str) -> config.Experiment:
    """Returns what a config file's `get_config()` returns.

    Args:
        path: a Python file; it is run, so it must be one you trust.

    Returns:
        The experiment.

    Raises:
        UserError: no such file (nearest configs are named), or not a config.
    """
    file = Path(path)
    if not file.is_file():
        known = [str(p) for p in Path("configs").rglob("*.py")]
        raise errors.unknown_name("config file", path, known)
    # A config may begin from another one: `from configs.restoration import ...`.
    root = str(file.resolve().parents[min(2, len(file.resolve().parents) - 1)])
    if root not in sys.path:
        sys.path.append(root)
    try:
        get_config = runpy.run_path(str(file)).get("get_config")
        experiment = get_config and get_config()
    except errors.DpjaxError:
        raise
    except Exception as error:
        raise errors.UserError(
            f"{path} cannot be run: {type(error).__name__}: {error}."
        ) from error
    if get_config is None:
        raise errors.UserError(
            f"{path} defines no get_config. A config is a Python file whose "
            "get_config() returns a dpjax.config.Experiment; see "
            "configs/restoration/demo.py."
        )
    if not isinstance(experiment, config.Experiment):
        raise errors.UserError(
            f"get_config() of {path} must return a dpjax.config.Experiment, got "
            f"{type(experiment).__name__}."
        )
    return experiment


def override(
    experiment: config.Experiment, arguments: Sequence[str], program: str
) -> config.Experiment:
    """Returns the experiment with fields changed from the command line.

    The network's own options can be set too, whether or not the config names them.
    Unknown fields and wrong types end the program with status 2 and the nearest names.

    Args:
        experiment: what the config file says.
        arguments: for example ["--optim.lr", "3e-4"].
        program: shown in the help.

    Returns:
        The experiment to run; options that nobody set stay out of it.

    Raises:
        UserError: unknown network, with the nearest names.
    """
    model = _named_model(arguments) or experiment.model.name
    given = experiment.model.options
    shown = _typed(model, given)
    changed = tyro.cli(
        config.Experiment,
        default=_with_options(experiment, shown),
        args=list(arguments),
        prog=program,
    )
    said = {
        name: value
        for name, value in changed.model.options.items()
        if value != shown[name]
    }
    # One number stands for all layers, as in the presets.
    layered = _layered(model)
    said = {n: v[0] if n in layered and _is_one(v) else v for n, v in said.items()}
    return _with_options(changed, {**given, **said})


def _named_model(arguments: Sequence[str]) -> str | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--model.name", dest="name", nargs="?")
    return parser.parse_known_args(arguments)[0].name


def _with_options(
    experiment: config.Experiment, options: dict[str, Any]
) -> config.Experiment:
    model = dataclasses.replace(experiment.model, options=options)
    return dataclasses.replace(experiment, model=model)


def _typed(model: str, given: dict[str, Any]) -> dict[str, Any]:
    """All options with values whose types say what may be typed: tyro asks them."""
    preset = zoo.list_options(model)
    layered = _layered(model)
    shown = {**preset, **given}
    for name, value in shown.items():
        if type(value) is int and isinstance(preset.get(name), float):
            shown[name] = float(value)
        elif type(value) is int and name in layered:
            shown[name] = (value,)
    return shown


def _layered(model: str) -> set[str]:
    """The options that are one number for all layers, or one for each."""
    fields = dataclasses.fields(zoo.create_module(model))
    return {f.name for f in fields if Sequence[int] in typing.get_args(f.type)}


def _is_one(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 1
