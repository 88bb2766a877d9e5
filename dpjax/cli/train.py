"""`python train.py`: starts or continues a run."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from dpjax import errors
from dpjax.cli import experiments, startup

_USAGE = """\
  python train.py CONFIG --workdir DIR [--optim.lr 3e-4 ...]   start or continue a run
  python train.py --workdir DIR                                continue a run
  python train.py CONFIG --plan                                memory, FLOPs, steps
  python train.py CONFIG --help                                every field"""


def main(arguments: Sequence[str]) -> int:
    """Trains.

    Args:
        arguments: what was typed after the program's name.

    Returns:
        The exit status, 0.

    Raises:
        DpjaxError: with the exit status of its kind.
    """
    parser = argparse.ArgumentParser(
        "train.py", usage="\n" + _USAGE, add_help=False, allow_abbrev=False
    )
    parser.add_argument("--workdir", type=Path, help="folder of the run")
    parser.add_argument("--plan", action="store_true", help="compute nothing, estimate")
    parser.add_argument("--coordinator", help="host:port of process 0")
    parser.add_argument("--processes", type=int, help="processes of the run")
    parser.add_argument("--process", type=int, help="index of this process")
    options, rest = parser.parse_known_args(arguments)
    path = _take_config(rest)
    if path is None and (not arguments or {"-h", "--help"} & set(rest)):
        parser.print_help()
        return 0
    if options.processes is None and (options.process, options.coordinator) != (
        None,
        None,
    ):
        raise errors.UserError(
            "--coordinator and --process belong to a run of several processes: give "
            "--processes N too."
        )

    if path is not None:
        experiment = experiments.read_config(path)
        program = f"train.py {path} --workdir DIR"
        experiment = experiments.override(experiment, rest, program)
    else:
        experiment = _continued(options.workdir, rest)
    if options.plan:
        from dpjax.training import plan

        startup.open_backend(experiment.data.batch_size)
        print(plan.describe(experiment))
        return 0
    if options.workdir is None:
        raise errors.UserError(
            "train.py wants --workdir DIR, the folder that the run writes to (and "
            "continues from)."
        )
    startup.open_backend(
        experiment.data.batch_size,
        options.coordinator,
        options.processes,
        options.process,
    )
    from dpjax.training import failed_saves, loop

    failed_saves.quiet()
    summary = loop.train(experiment, options.workdir)
    score = "" if summary.score is None else f", {experiment.task.best} "
    score += "" if summary.score is None else f"{summary.score:.3f}"
    print(f"Finished {summary.step} steps{score}. Weights: {options.workdir}/weights")
    return 0


def _take_config(words: list[str]) -> str | None:
    """Removes the config file from the words: the first, or one that ends in .py."""
    for place, word in enumerate(words):
        if not word.startswith("-") and (place == 0 or word.endswith(".py")):
            return words.pop(place)
    return None


def _continued(folder: Path | None, rest: Sequence[str]):
    from dpjax.training import workdir

    if folder is None:
        raise errors.UserError(
            "train.py wants a config file, or --workdir DIR of a run to continue."
        )
    if rest:
        raise errors.UserError(
            f"A run is continued with its own configuration; {' '.join(rest)} cannot "
            "change it. Start a new run with a config file and another --workdir."
        )
    return workdir.read_experiment(folder)
