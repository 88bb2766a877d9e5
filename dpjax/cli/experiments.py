"""Reads config files and applies what was typed after them."""

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro

from dpjax import config, errors


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
        names = runpy.run_path(str(file))
        experiment = names["get_config"]()
    except errors.DpjaxError:
        raise
    except KeyError as error:
        raise errors.UserError(
            f"{path} defines no {error}. A config is a Python file whose get_config() "
            "returns a dpjax.config.Experiment; see configs/restoration/demo.py."
        ) from error
    except Exception as error:
        raise errors.UserError(
            f"{path} cannot be run: {type(error).__name__}: {error}."
        ) from error
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

    Unknown fields and wrong types end the program with status 2 and the nearest names.

    Args:
        experiment: what the config file says.
        arguments: for example ["--optim.lr", "3e-4"].
        program: shown in the help.

    Returns:
        The experiment to run.
    """
    return tyro.cli(
        config.Experiment, default=experiment, args=list(arguments), prog=program
    )
