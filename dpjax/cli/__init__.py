"""The commands of `python -m dpjax`: a file each, loaded when asked for."""

import importlib
import sys
from collections.abc import Sequence

import dpjax
from dpjax import errors
from dpjax.cli import heap

heap.keep_freed_memory()  # now, since the commands import NumPy

# A module here has main(arguments) -> exit code, None for 0.
COMMANDS: dict[str, str] = {
    "list": "models, released weights and data sets, by pattern",
    "predict": "restore or analyse image files with trained weights",
    "stereo": "disparities, and depth, of rectified pairs of pictures",
    "prepare": "bring a data set into the form that training reads",
    "doctor": "look at this machine, or at a data set, and say what is wrong",
    "plan": "parameters, work and memory of a run, also on a TPU that is not here",
    "export": "write a model as StableHLO",
    "release": "keep the weights of a finished run, scored, under a name",
    "calibrate": "error bars of depth that fit images which were held out",
    "convert": "read weights of other frameworks",
    "bench": "measure a model on this machine",
    "report": "tables and pages from the receipts of evaluations",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of one command line.

    Args:
        arguments: words after `python -m dpjax`; None takes them from the process.

    Returns:
        What the command returned, 0 for None.

    Raises:
        UserError: no such command, with the nearest ones.
    """
    # Not list(): the command of that name is a module of this package once it loads.
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else errors.UserError.exit_code
    if words[0] in ("-V", "--version"):
        print(f"dpjax {dpjax.__version__}")
        return 0
    if words[0] not in COMMANDS:
        raise errors.unknown_name("command", words[0], COMMANDS)
    command = importlib.import_module(f"dpjax.cli.{words[0]}")
    return command.main(words[1:]) or 0


def usage() -> str:
    """Returns the list of commands.

    Returns:
        Text of several lines.
    """
    width = max(map(len, COMMANDS)) + 2
    return "\n".join(
        [
            "usage: python -m dpjax COMMAND ...",
            "",
            *(f"  {name:<{width}}{text}" for name, text in COMMANDS.items()),
            "",
            "python -m dpjax COMMAND --help explains one of them.",
            "Training and scoring: python train.py --help, python evaluate.py --help.",
        ]
    )
