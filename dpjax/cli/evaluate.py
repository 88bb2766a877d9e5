"""`python evaluate.py`: scores a run or released weights, and writes the receipt."""

import contextlib
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro

from dpjax import config, errors, storage
from dpjax.cli import experiments, startup
from dpjax.inference import evaluate, overlap, receipts, report, trained
from dpjax.training import workdir

_ComputeDtype = config.ComputeDtype  # the options have a field of the name "config"
_SHOWN = 100  # lines of a table that people still read


@dataclasses.dataclass(frozen=True)
class Options:
    """Scores trained weights and writes a receipt with every image's score.

    evaluate.py --workdir runs/a scores the last weights of a run on the sources of its
    config (--weights best: those that scored best while it ran, which flatters them);
    evaluate.py CONFIG --weights NAME scores other weights on those of a config.
    --task.FIELD VALUE changes how the weights are asked and their answers are read,
    such as --task.decoding argmax; train.py CONFIG --help has the fields.

    Attributes:
        config: a file below configs/, with --weights.
        workdir: folder of a run.
        weights: a released name, a .safetensors file or the folder of a run; with
            --workdir also "last" or "best" of that run.
        protocol: what is compared, and how; default: the config's. Restoration (what
            is rounded, which borders count): red, dncnn, basicsr. Classification
            (crops): single, centre, ten_crop. Segmentation (whole pictures, mirror
            images, sizes, windows): whole, mirrored, scales, sliding, crf, scales_crf,
            largefov_crf, refinenet_scale, refinenet_scales, refinenet_scales_crf,
            refinenet_cityscapes, wider_500, wider_500_steps, wider_2048. Depth (caps
            and crops): nyu_eigen, nyu_full, make3d_C1, make3d_C2, all_pixels, and for
            KITTI kitti_eigen_TRUTH_CAP_CROP such as kitti_eigen_raw_80_garg. Relative
            depth (pairs of a map, or those of the records): dense, points.
        sources: what to evaluate on, instead of the config's sources.
        directory: where prepared records live; default: the config's.
        ensemble: average over the eight flips and rotations.
        allow_overlap: sources that may show pictures which the weights were trained on;
            the receipt says so.
        limit: score at most this many images of each source.
        compute_dtype: type of the activations; default: what the weights' card says.
        panels: pictures of the worst images, written beside the receipt.
        output: the receipt; default: WORKDIR/evaluations/PROTOCOL.json (with --weights
            PROTOCOL-WEIGHTS.json) or results/WEIGHTS/CONFIG-PROTOCOL.json.
        coordinator: host:port of process 0, when several share the work.
        processes: how many processes share the work.
        process: index of this process.
    """

    config: Annotated[
        tyro.conf.Positional[str | None], tyro.conf.arg(metavar="CONFIG")
    ] = None
    workdir: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    weights: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    protocol: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    sources: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME:SPLIT")] = ()
    directory: Annotated[str | None, tyro.conf.arg(name="dir", metavar="DIR")] = None
    allow_overlap: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME")] = ()
    ensemble: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    limit: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    compute_dtype: _ComputeDtype | None = None
    panels: int = 4
    output: Annotated[
        Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE.json")
    ] = None
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    processes: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    process: Annotated[int | None, tyro.conf.arg(metavar="N")] = None


def main(arguments: Sequence[str]) -> int:
    """Scores, prints the tables, writes receipt and pictures.

    Args:
        arguments: what was typed after `evaluate.py`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: neither a run nor a config with weights, an unknown protocol, or a
            receipt of another ending than .json.
        DataError: sources that are missing or damaged, or were trained on.
        StorageError: the receipt cannot be written.
    """
    words, fields = _split(arguments)
    options = tyro.cli(Options, args=words, prog="evaluate.py")
    _check_ending(options.output)
    experiment = _experiment(options)
    # Its help has the fields.
    program = f"train.py {options.config or 'CONFIG'}"
    asked = experiments.override(experiment, fields, program).task
    changes = _changes(config.encode(experiment.task), config.encode(asked))
    experiment = dataclasses.replace(experiment, task=asked)
    startup.use_compilation_cache()
    if options.coordinator is not None or options.processes is not None:
        jax.distributed.initialize(
            options.coordinator, options.processes, options.process
        )
    loaded = trained.load(_weights(options), compute_dtype=options.compute_dtype)
    task, evaluation = experiment.task, experiment.evaluation
    sources = evaluate.open_sources(task, experiment.data, evaluation)
    task = task.with_records(list(sources.values()))
    task.check_trained(loaded.task)
    experiment = dataclasses.replace(experiment, task=task)
    task.check(dataclasses.replace(experiment, model=loaded.model))
    shared = check_overlap(loaded, experiment.data)
    scores = _evaluate(experiment, loaded, sources)
    if jax.process_index() != 0:
        return 0
    receipt = receipts.build(
        scores,
        task=task,
        model=loaded.model,
        weights=loaded.card,
        file=loaded.file,
        experiment=loaded.experiment,
        overlap=shared,
        changes=changes,
    )
    path = options.output or _default_output(options, loaded.name, receipt)
    receipts.write(path, receipt)
    rows = evaluate.worst(
        scores,
        options.panels,
        metric=task.example_metric,
        best_is_high=task.example_metric_is_high,
    )
    _write_panels(
        path.with_suffix(""),
        evaluate.pictures(
            task, loaded.module, loaded.variables, evaluation, rows, sources
        ),
    )
    _print_tables(receipt)
    print(
        f"\n{loaded.name} ({loaded.file}), protocol {report.conduct(receipt)}: "
        f"{task.best} {report.format_value(scores.best)} in {scores.seconds:.1f} s. "
        f"Receipt: {path}"
    )
    return 0


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The command's own words, and those that name fields of the task with values."""
    found = ([], [])
    is_field = False
    for word in arguments:
        if word.startswith("-") and word[1:2] not in "0123456789.":  # no number
            is_field = word.startswith("--task.")
        elif word.endswith(".py"):  # the config may stand anywhere
            is_field = False
        found[is_field].append(word)
    return found


def _changes(before: Any, after: Any, name: str = "") -> dict[str, Any]:
    """Names and new values of the fields that differ."""
    if before == after:
        return {}
    parts = _parts(before), _parts(after)
    if not all(parts) or parts[0].keys() != parts[1].keys():
        return {name: after}
    found = {}
    for key, part in parts[1].items():
        found |= _changes(parts[0][key], part, f"{name}.{key}".lstrip("."))
    return found


def _parts(value: Any) -> dict[Any, Any]:
    """Fields of a dataclass, or the dataclasses of a list."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else {}


def _check_ending(output: Path | None) -> None:
    # Without one the folder of the pictures would have the name of the receipt.
    if output is not None and output.suffix != ".json":
        raise errors.UserError(
            f"The receipt is written as .json, got -o {output}. Use "
            f"{output.with_suffix('.json')}."
        )


def check_overlap(loaded: trained.Trained, data: config.Data) -> dict | None:
    """Raises if a picture that is to be scored was trained on; warns of doubts.

    Args:
        loaded: the weights.
        data: see `inference.overlap.check`.

    Returns:
        What that returns.

    Raises:
        DataError: shared pictures that are not allowed.
        UserError: an allowance for something that is not scored.
    """
    found = overlap.check(loaded.experiment, data)
    if found and found["unchecked"] and jax.process_index() == 0:
        print(
            f"warning: {loaded.name} was trained on {', '.join(found['unchecked'])}, "
            "not prepared here: whether it shares pictures with what is scored could "
            "not be checked.",
            file=sys.stderr,
        )
    scaled = overlap.scaled_by(loaded.card, data)
    if scaled and jax.process_index() == 0:
        print(
            f"note: the deviations of {loaded.name} were scaled by images of "
            f"{', '.join(scaled)}; how well they fit the same images says little.",
            file=sys.stderr,
        )
    return found


@contextlib.contextmanager
def image_bar() -> Iterator[evaluate.Progress]:
    """Shows how many images are done, where somebody watches.

    Yields:
        What is called with the images done and all images.
    """
    import tqdm

    with tqdm.tqdm(unit="image", disable=None, leave=False) as bar:

        def progress(done, total):
            bar.total = total
            bar.update(done - bar.n)

        yield progress


def _experiment(options: Options) -> config.Experiment:
    """The experiment whose task, data and evaluation are used, changed as asked."""
    if options.config is not None and options.weights is not None:
        experiment = experiments.read_config(options.config)
    elif options.config is None and options.workdir is not None:
        experiment = workdir.read_experiment(options.workdir)
    else:
        raise errors.UserError(
            "evaluate.py wants --workdir DIR of a run, or CONFIG --weights NAME."
        )
    asked = experiment.evaluation
    changes = {
        "protocol": options.protocol or asked.protocol,
        "ensemble": options.ensemble or asked.ensemble,
        "limit": asked.limit if options.limit is None else options.limit,
    }
    data = {
        "evaluate": options.sources or experiment.data.evaluate,
        "directory": options.directory or experiment.data.directory,
        # What a config permits of its own sources says nothing about others.
        "allow_overlap": options.allow_overlap
        + (() if options.sources else experiment.data.allow_overlap),
    }
    return dataclasses.replace(
        experiment,
        evaluation=dataclasses.replace(asked, **changes),
        data=dataclasses.replace(experiment.data, **data),
    )


def _weights(options: Options) -> str | Path:
    """What was named, or the run itself."""
    if options.weights is None:
        return options.workdir
    if options.workdir is not None and options.weights in ("last", "best"):
        return options.workdir / "weights" / f"{options.weights}.safetensors"
    return options.weights


def _evaluate(experiment, loaded, sources) -> evaluate.Scores:
    with image_bar() as progress:
        return evaluate.evaluate(
            experiment.task,
            loaded.module,
            loaded.variables,
            experiment.data,
            experiment.evaluation,
            sources=sources,
            progress=progress,
        )


def _print_tables(receipt: dict) -> None:
    header, rows = report.image_table(receipt, _SHOWN)
    print(report.text_table(header, rows))
    count = sum(about["examples"] for about in receipt["data"].values())
    if count > len(rows):
        print(f"... the {len(rows)} poorest of {count:,} images; the receipt has all")
    for heading, names, cells in report.task_tables(receipt, _SHOWN):
        print(f"\n{heading}\n{report.text_table(names, cells)}")
    print(f"\n{report.text_table(*report.summary_table(receipt))}")


def _default_output(options: Options, name: str, receipt: dict) -> Path:
    words = report.conduct(receipt).replace(", ", "-")
    stem = storage.short_name(_flat(words))
    if options.config is None:
        if options.weights is not None:  # beside the run's own receipt, not over it
            stem += f"-{Path(options.weights).stem}"
        return options.workdir / "evaluations" / f"{stem}.json"
    return Path("results") / name / f"{Path(options.config).stem}-{stem}.json"


def _write_panels(folder: Path, pictures) -> None:
    """Numbered from the worst; pictures of an earlier evaluation go away."""
    import cv2

    for old in folder.glob("*.png"):
        old.unlink()
    for i, (name, picture) in enumerate(pictures):
        encoded = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))[1]
        target = folder / f"{i:02}-{storage.short_name(_flat(name))}.png"
        storage.replace(target, encoded.tobytes())


def _flat(name: str) -> str:
    """A name as one of a file."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name)
