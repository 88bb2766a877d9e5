"""`python -m dpjax release RUN -o NAME.safetensors`: a finished run as weights to keep.

The file is written first and scored afterwards, so that the receipt and the card speak
of the very bytes that are handed on, rounded to 16 bits if they are.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dpjax import config, errors
from dpjax.cli import evaluate
from dpjax.inference import receipts, trained
from dpjax.training import workdir
from dpjax.weights import store


@dataclasses.dataclass(frozen=True)
class Options:
    """Writes the last weights of a finished run under a name, scored and with a card.

    Attributes:
        run: the folder of the run.
        output: the .safetensors file to write; its name becomes that of the weights.
        half: store 16 bits a number, half the size.
        sources: what to score on, instead of the sources of the run's config.
        protocol: how the score is computed; default: the config's.
        results: folder of receipts; NAME/PROTOCOL.json is written there.
        licence: of the weights, for the card.
        compute_dtype: type of the activations that the card asks for, and of the score;
            whatever the run was trained in, float32 is right on every machine.
    """

    run: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    half: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    sources: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME:SPLIT")] = ()
    protocol: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    results: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("results")
    licence: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None
    compute_dtype: config.ComputeDtype = "float32"


def main(arguments: Sequence[str]) -> int:
    """Writes the weights, scores them, and says where everything is.

    Args:
        arguments: what was typed after `release`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: a run that is not finished, or a file of another ending.
        DataError: sources that are missing, damaged, or were trained on.
        StorageError: a file cannot be written.
    """
    options = tyro.cli(Options, args=list(arguments), prog="python -m dpjax release")
    experiment = workdir.read_experiment(options.run)
    last = options.run / "weights" / "last.safetensors"
    if not last.is_file():
        raise errors.UserError(
            f"{options.run} is not finished: it holds no weights/{last.name}. Continue "
            f"it first: python train.py --workdir {options.run}"
        )
    loaded = trained.load(last, compute_dtype=options.compute_dtype)
    card = {
        **loaded.card,
        "name": options.output.stem,
        "model": config.encode(loaded.model),
        "config": config.encode(_portable(experiment)),
        "trained_on": ", ".join(experiment.data.train),
        "licence": options.licence,
        "scores": [],
    }
    card = store.save(options.output, loaded.variables, card, half=options.half)
    protocol = options.protocol or experiment.evaluation.protocol
    receipt = options.results / options.output.stem / f"{protocol}.json"
    words = ["--workdir", str(options.run), "--weights", str(options.output)]
    words += ["--protocol", protocol, "--panels", "0", "-o", str(receipt)]
    if options.sources:
        words += ["--sources", *options.sources]
    evaluate.main(words)
    store.write_scores(options.output, _scores(receipts.read(receipt)))
    megabytes = options.output.stat().st_size / 1e6
    print(f"{options.output}: {megabytes:.2f} MB, sha256 {card['sha256'][:12]}")
    return 0


def _portable(experiment: config.Experiment) -> config.Experiment:
    """The experiment without the folders of the machine that ran it."""
    start = experiment.init_from
    return dataclasses.replace(
        experiment,
        data=dataclasses.replace(experiment.data, directory=None),
        init_from=start and Path(start).name,
    )


def _scores(receipt: dict) -> list[dict]:
    return [
        {
            "source": source,
            "condition": condition,
            "protocol": receipt["protocol"],
            **values,
        }
        for source, conditions in receipt["summary"].items()
        for condition, values in conditions.items()
    ]
