"""`python -m dpjax prepare NAME --from DIR`: turns a user's images into records."""

import dataclasses
import inspect
import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dpjax import errors
from dpjax.data import builders, identity, preparation, sources

_SHOWN = 10
_FLAGS = {
    "split": "--split",
    "ratio": "--split-ratio",
    "test_list": "--test-list",
    "ignore": "--ignore",
    "unit": "--unit",
    "config": "--name",
    "disparities": "--disparities",
    "grey": "--grey",
    "cost": "--cost",
    "layout": "--layout",
    "every": "--every",
    "beam_runner": "--beam-runner",
    "beam_options": "--beam-options",
}
_TRAINED = ("train", "train_aug")  # splits to train on; the others are to score
_MOST_PAIRS = 10**9  # a minute's work; ImageNet's would take an hour


@dataclasses.dataclass(frozen=True)
class Options:
    """Writes a data set as records that training and evaluation read.

    Attributes:
        data_set: one of the data sets that `python -m dpjax prepare` lists.
        source: your copy of the images, a folder; not needed for photos.
        directory: where records are written; default TFDS_DATA_DIR or
            ~/tensorflow_datasets.
        name: your name for an image_folder, class_folder, mask_folder, rgbd_folder,
            stereo_folder, stereo_video or stereo_pairs, used as image_folder/NAME.
        split: which split a plain folder of a public set holds, such as val.
        split_ratio: share of an image_folder that becomes the training split; copies
            of a picture stay together.
        test_list: text file naming the test images of an image_folder, one path a line.
        ignore: number in the masks of a mask_folder of pixels without a class, or in
            the depth maps of an rgbd_folder of pixels that were not measured.
        unit: what a number in the depth maps of an rgbd_folder means: metres,
            centimetres, millimetres, 1/256 (KITTI), 1/5000 (TUM); depth.json beside
            them may say it, too.
        disparities: least and largest disparity of a stereo_folder or stereo_video,
            pixels of views at most 960 wide, such as -64 64; default: looked for in
            each pair. What lies behind the plane that the views converge on has
            negative ones.
        grey: take stereo views without colour.
        cost: how views of a stereo_folder or stereo_video are compared: census, the
            default, or absolute, the differences that RDIS takes.
        layout: where the views of a stereo_video are: side-by-side or over-under, with
            -half if they were squeezed into half the size.
        every: of a stereo_video, take one of so many frames; default 24.
        beam_runner: have frames of a stereo_folder or stereo_video matched by workers
            of Apache Beam, such as DirectRunner or FlinkRunner; this machine then
            writes the records, to a disk that all of them see.
        beam_options: of its pipeline, as in project=mine,region=europe-west4.
        skip_bad: leave out files that cannot be used, and list them.
        replace: write anew what is prepared already.
    """

    data_set: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    source: Annotated[Path | None, tyro.conf.arg(name="from", metavar="DIR")] = None
    directory: Annotated[Path | None, tyro.conf.arg(name="dir", metavar="DIR")] = None
    name: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    split: Annotated[str | None, tyro.conf.arg(metavar="SPLIT")] = None
    split_ratio: Annotated[float | None, tyro.conf.arg(metavar="0..1")] = None
    test_list: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    ignore: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    unit: Annotated[str | None, tyro.conf.arg(metavar="UNIT")] = None
    disparities: Annotated[
        tuple[int, int] | None, tyro.conf.arg(metavar="LOW HIGH")
    ] = None
    grey: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    cost: Annotated[str | None, tyro.conf.arg(metavar="COST")] = None
    layout: Annotated[str | None, tyro.conf.arg(metavar="LAYOUT")] = None
    every: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    beam_runner: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    beam_options: Annotated[str | None, tyro.conf.arg(metavar="K=V,...")] = None
    skip_bad: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    replace: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(arguments: Sequence[str]) -> int:
    """Prepares one data set and says where it is and how to use it.

    Args:
        arguments: what was typed after `prepare`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: an unknown data set, or an option it does not have.
        DataError: files that cannot be used.
        StorageError: the records cannot be written.
    """
    if not arguments:
        print("Data sets (python -m dpjax prepare NAME --from DIR):")
        for name in builders.TABLE:
            print(f"  {name:<16}{builders.find(name).__doc__.splitlines()[0]}")
        return 0
    options = tyro.cli(Options, args=list(arguments), prog="python -m dpjax prepare")
    folder = _prepare(options)
    reference = options.data_set + (f"/{_config(options)}" if _config(options) else "")
    _report(options, reference, folder)
    return 0


def _config(options: Options) -> str | None:
    """The user's name for files of theirs; these always have one."""
    if "config" in _options_of(builders.find(options.data_set)):
        return options.name or "default"
    return options.name


def _options_of(kind: type) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind).parameters


def _prepare(options: Options) -> Path:
    import tqdm

    kind = builders.find(options.data_set)  # a misspelt name first of all
    given = {
        "split": options.split,
        "ratio": options.split_ratio,
        "test_list": options.test_list,
        "ignore": options.ignore,
        "unit": options.unit,
        "disparities": options.disparities,
        "grey": options.grey or None,
        "cost": options.cost,
        "layout": options.layout,
        "every": options.every,
        "beam_runner": options.beam_runner,
        "beam_options": options.beam_options,
    }
    given = {name: value for name, value in given.items() if value is not None}
    asked = [*given, *(["config"] if options.name is not None else [])]
    for name in asked:
        if name not in _options_of(kind):
            raise errors.UserError(
                f"{options.data_set} has no option {_FLAGS[name]}. For your own images "
                "prepare image_folder, class_folder, mask_folder, rgbd_folder, "
                "stereo_folder, stereo_video or stereo_pairs."
            )
    if "disparities" in _options_of(kind):
        # Matching compiles; other sets are prepared without JAX, which takes seconds.
        from dpjax.cli import startup

        startup.use_compilation_cache()
    with tqdm.tqdm(unit=" images", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return preparation.prepare(
            options.data_set,
            folder=options.source and options.source.expanduser(),
            directory=options.directory,
            config=_config(options),
            skip_bad=options.skip_bad,
            replace=options.replace,
            progress=show,
            **given,
        )


def _report(options: Options, reference: str, folder: Path) -> None:
    prepared = sources.inspect(reference, directory=options.directory)
    counts = ", ".join(f"{n} {split}" for split, n in prepared.counts.items())
    print(f"{reference}: {counts} images in {folder}")
    classes = (
        sources.open_sources(
            [f"{reference}:{next(iter(prepared.counts))}"], directory=options.directory
        )
        .parts[0]
        .classes
    )
    if classes:
        more = ", ..." if len(classes) > _SHOWN else ""
        print(f"  {len(classes)} classes: {', '.join(classes[:_SHOWN])}{more}")
    if len(prepared.counts) == 1 and classes and "train" in prepared.counts:
        print("  note: nothing is held back for scoring")
    for message in prepared.skipped[:_SHOWN]:
        print(f"  skipped: {message}")
    if len(prepared.skipped) > _SHOWN:
        print(f"  ... {len(prepared.skipped)} files skipped in all")
    for message in prepared.notes[:_SHOWN]:
        print(f"  note: {message}")
    if len(prepared.notes) > _SHOWN:
        print(f"  ... {len(prepared.notes)} notes in all")
    trained = [split for split in prepared.counts if split in _TRAINED]
    for train, split in itertools.product(trained, prepared.counts):
        if split not in trained:
            _compare(options, reference, prepared.counts, train, split)
    for split in prepared.counts:
        role = "train" if split in trained else "evaluate"
        print(f"  use it as --data.{role} {reference}:{split}")
    if options.directory is not None:
        print(f"  with --data.directory {options.directory}")


def _compare(
    options: Options, reference: str, counts: Mapping[str, int], train: str, split: str
) -> None:
    if counts[train] * counts[split] > _MOST_PAIRS:
        print(
            f"  whether {train} and {split} share pictures was not looked at: too many"
        )
        return
    opened = [
        sources.open_sources([f"{reference}:{name}"], directory=options.directory)
        for name in (train, split)
    ]
    shared = identity.find_overlap(*opened)
    if shared:
        print(
            f"warning: {train} and {split} share {len(shared)} pictures, such as "
            f"{shared[0][0]} = {shared[0][1]}; training will refuse them. Remove "
            f"copies from the folder, or leave them out: {reference}:{train}-"
            f"{shared[0][0]},... .",
            file=sys.stderr,
        )
