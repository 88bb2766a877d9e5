"""`python -m dpjax calibrate MODEL --sources NAME:SPLIT -o NAME.safetensors`.

Writes weights whose error bars of depth are right on images that nobody trained on;
`inference.calibration` says how.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from dpjax import config, errors
from dpjax.cli import evaluate as scoring
from dpjax.cli import startup
from dpjax.inference import calibration, evaluate, trained
from dpjax.weights import store

_By = calibration.By  # the options have a field of a similar name


@dataclasses.dataclass(frozen=True)
class Options:
    """Scales a depth network's error bars so that they fit images that were held out.

    The network's CRF must have a scale, tau: --model.options.crf calibrated over
    superpixels, grid_calibrated over pixels.  Depth stays as it is, and so does every
    other number.  Score the result on images of neither the training nor --sources.

    Attributes:
        weights: a released name, a .safetensors file or the folder of a run.
        sources: images with depth that the network was not trained on.
        output: the .safetensors file to write; its name becomes that of the weights.
        half: store 16 bits a number, half the size.
        by: what is to be right: coverage, that 68.27 % of the pixels lie within one
            deviation, or likelihood, the mean square of errors, which the largest of
            them govern.
        protocol: which pixels count; default: that of the config trained with.
        directory: where prepared records live; default: the config's.
        allow_overlap: sources that may show pictures which the weights were trained on.
    """

    weights: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    sources: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME:SPLIT")]
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    half: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    by: _By = "coverage"
    protocol: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    directory: Annotated[str | None, tyro.conf.arg(name="dir", metavar="DIR")] = None
    allow_overlap: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME")] = ()


def main(arguments: Sequence[str]) -> int:
    """Measures the error bars, writes the weights, and says what changed.

    Args:
        arguments: what was typed after `calibrate`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: a network without a scale, an unknown protocol, or a file that is
            there already.
        DataError: sources that are missing or damaged, were trained on, or have no
            pixel that counts.
        StorageError: the file cannot be written.
    """
    options = tyro.cli(Options, args=list(arguments), prog="python -m dpjax calibrate")
    store.check_ending(options.output)
    if options.output.exists():
        raise errors.UserError(
            f"{options.output} exists already. Remove it, or choose another name."
        )
    startup.use_compilation_cache()
    loaded = trained.load(options.weights)
    calibration.check(loaded)
    data, evaluation = _asked(options, loaded)
    sources = evaluate.open_sources(loaded.task, data, evaluation)
    task = loaded.task.with_records(list(sources.values()))
    if scoring.check_overlap(loaded, data) is None:
        print(
            f"warning: the card of {loaded.name} does not say what it was trained on: "
            "whether it shares pictures with the sources could not be checked.",
            file=sys.stderr,
        )
    with scoring.image_bar() as progress:
        found = calibration.calibrate(
            loaded,
            task,
            data,
            evaluation,
            by=options.by,
            sources=sources,
            progress=progress,
        )
    card = {
        **loaded.card,
        "name": options.output.stem,
        "scores": [],  # those that there are belong to other error bars
        "calibration": _told(found, loaded),
    }
    card = store.save(options.output, found.variables, card, half=options.half)
    print(
        f"{options.output}: deviations x {found.factor:.4f} by {found.by}, sha256 "
        f"{card['sha256'][:12]}"
    )
    for k, right in ((1, "68.3 %"), (2, "95.4 %")):
        before, after = (c[f"coverage{k}"] for c in (found.before, found.after))
        print(
            f"within {k} deviation{'s' if k > 1 else ''}: {before:.1%} before, "
            f"{after:.1%} after, {right} of a Gaussian"
        )
    return 0


def _asked(
    options: Options, loaded: trained.Trained
) -> tuple[config.Data, config.Evaluation]:
    """Sources and protocol, those of the training where nothing else was asked for."""
    trained_by = loaded.experiment
    protocol, directory = options.protocol, options.directory
    if trained_by is not None:
        protocol = protocol or trained_by.evaluation.protocol
        directory = directory or trained_by.data.directory
    if protocol is None:
        raise errors.UserError(
            f"The card of {loaded.name} does not say how it was scored. Say which "
            f"pixels count: --protocol {loaded.task.protocols[-1]}."
        )
    data = config.Data(
        train=(),
        evaluate=options.sources,
        directory=directory,
        allow_overlap=options.allow_overlap,
    )
    return data, config.Evaluation(protocol)


def _told(found: calibration.Calibration, loaded: trained.Trained) -> dict[str, Any]:
    told = {
        field.name: getattr(found, field.name)
        for field in dataclasses.fields(found)
        if field.name != "variables"
    }
    return {"of": {"name": loaded.name, "sha256": loaded.card["sha256"]}, **told}
