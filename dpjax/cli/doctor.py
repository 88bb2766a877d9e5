"""`python -m dpjax doctor`: what is wrong with this machine or with data sets."""

import dataclasses
import importlib.metadata
import itertools
import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from dpjax import config, errors
from dpjax.data import (
    builders,
    depth_health,
    disparity_health,
    health,
    identity,
    label_health,
    preparation,
    published,
    sources,
)

_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "tensorflow-datasets",
    "grain",
    "array-record",
    "numpy",
    "opencv-python-headless",
    "pillow",
)
_SHOWN = 5
_UNLABELLED = "(not labelled)"
_LITTLE_BYTES = 5 << 30  # checkpoints and records of a small run need about this much


@dataclasses.dataclass(frozen=True)
class Options:
    """Looks at this machine and reads every record of the data sets named.

    Attributes:
        sources: data sets, whole as bsds500 or a split as bsds500:train; without any,
            the machine alone.
        config: an experiment; its sources are read and compared with each other.
        directory: where records live; default TFDS_DATA_DIR or ~/tensorflow_datasets.
    """

    sources: tyro.conf.Positional[tuple[str, ...]] = ()
    config: Path | None = None
    directory: Annotated[Path | None, tyro.conf.arg(name="dir")] = None


def main(arguments: Sequence[str]) -> int:
    """Prints the report.

    Args:
        arguments: what was typed after `doctor`.

    Returns:
        0 if everything can be read, 3 if data is damaged, has stray labels or overlaps.

    Raises:
        UserError: a malformed source, or no such config.
    """
    options = tyro.cli(Options, args=list(arguments), prog="python -m dpjax doctor")
    directory = options.directory or preparation.default_directory()
    wanted = [
        (split, "train")
        for name in options.sources
        for split in _splits(name, directory)
    ]
    data = None
    if options.config is not None:
        from dpjax.cli import experiments

        data = experiments.read_config(str(options.config)).data
        directory = options.directory or Path(data.directory or directory)
        data = dataclasses.replace(data, directory=str(directory))
        wanted += [(name, "train") for name in data.train]
        wanted += [(name, "evaluate") for name in data.evaluate]
    _machine(directory)
    if not wanted:
        _prepared(directory)
        return 0
    opened, is_sound, has_doubts = {}, True, False
    censuses: dict[str, label_health.Census] = {}
    for name, role in wanted:
        try:
            source = _open(name, role, directory)
        except errors.DataError as error:
            print(f"\n{name}\n  !! {error}")
            is_sound = False
            continue
        if source.names[0] not in opened:
            opened[source.names[0]] = source
            found = _source(source)
            is_sound &= found.is_sound
            has_doubts |= _has_doubts(found.census)
            if found.census is not None:
                censuses[source.names[0]] = found.census
            has_doubts |= _left_out(source.names[0], directory)
            _version(source.names[0], directory)
    is_sound &= _has_no_strays(censuses, directory)
    is_sound &= _overlaps(opened, data)
    if not is_sound:
        print("\nSee the lines marked !!.")
    elif has_doubts:
        print("\nEverything can be read; see the lines marked ?.")
    else:
        print("\nEverything is sound.")
    return 0 if is_sound else errors.DataError.exit_code


def _splits(name: str, directory: Path) -> list[str]:
    """A split as it is named, and every split of a set that is named without one."""
    if sources.parse(name).split is not None:
        return [name]
    try:
        counts = sources.inspect(name, directory=directory).counts
    except errors.DataError:
        return [name]  # what is wrong with it is told when it is opened
    return [f"{name}:{split}" for split in counts]


def _open(name: str, role: sources.Role, directory: Path) -> sources.Source:
    try:
        return sources.open_sources([name], role=role, directory=directory)
    except errors.DataError:
        if role == "train":  # bare names of test sets
            return sources.open_sources([name], role="evaluate", directory=directory)
        raise


def _machine(directory: Path) -> None:
    import jax

    from dpjax.cli import startup

    print(f"dpjax on Python {platform.python_version()}, {platform.platform()}")
    versions = []
    for name in _PACKAGES:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{name} missing")
    print(f"  packages   {', '.join(versions)}")
    kinds = [device.device_kind for device in jax.local_devices()]
    counted = ", ".join(f"{kinds.count(k)} x {k}" for k in dict.fromkeys(kinds))
    print(f"  devices    {counted}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = startup.usable_cpus()
    print(f"  processor  {cores} cores, {memory / 2**30:.0f} GiB memory")
    existing = next(p for p in (directory, *directory.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    low = "  !! little space" if free < _LITTLE_BYTES else ""
    print(f"  records    {directory}, {free / 2**30:.0f} GiB free{low}")


def _prepared(directory: Path) -> None:
    found = []
    for name in builders.TABLE:
        for info in sorted((directory / name).glob("**/dataset_info.json")):
            inner = info.parent.parent.relative_to(directory).as_posix()
            found.append(inner)
    print(f"  prepared   {', '.join(dict.fromkeys(found)) or 'nothing yet'}")
    print("\nName data sets, or pass --config FILE, to have their records read.")


def _source(source: sources.Source) -> health.Health:
    import tqdm

    with tqdm.tqdm(unit=" images", disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        found = health.examine(source, progress=show)
    smallest, median, largest = (f"{h}x{w}" for h, w in found.sizes)
    print(f"\n{found.name}")
    print(
        f"  {found.count} images, {found.grey} of them grey, "
        f"{found.pixels / 1e6:.1f} megapixels; height x width: smallest {smallest}, "
        f"median {median}, largest {largest}"
    )
    print(f"  fingerprint {found.fingerprint}")
    for message in found.damaged[:_SHOWN]:
        print(f"  !! {message}")
    if len(found.damaged) > _SHOWN:
        print(f"  !! {len(found.damaged)} damaged records in all")
    if found.duplicates:
        print(
            f"  ?  equal pictures, {len(found.duplicates)} pairs: "
            f"{_pairs(found.duplicates)}"
        )
    if found.flat:
        print(
            f"  ?  {len(found.flat)} images of one colour: "
            f"{', '.join(found.flat[:_SHOWN])}"
        )
    if found.census is not None:
        _labels(found.census)
    if found.survey is not None:
        _depth(found.survey)
    if found.disparities is not None:
        _disparity(found.disparities)
    if found.is_sound:
        print("  ok every record decodes and shows what it showed when prepared")
    return found


def _left_out(name: str, directory: Path) -> bool:
    """Tells what `prepare --skip-bad` left out of the set, whatever its split."""
    skipped = sources.inspect(name, directory=directory).skipped
    if not skipped:
        return False
    print(f"  ?  left out when {sources.parse(name).name} was prepared:")
    for message in skipped[:_SHOWN]:
        print(f"     {message}")
    if len(skipped) > _SHOWN:
        print(f"     ... {len(skipped)} in all")
    return True


def _version(name: str, directory: Path) -> None:
    """Tells records that were written before what is recorded changed."""
    wanted = sources.parse(name).name
    folder = sources.inspect(name, directory=directory).folder
    if published.is_published(wanted, folder):
        return
    current = str(builders.find(wanted).VERSION)
    if folder.name != current:
        print(
            f"  ?  these records have version {folder.name}, this dpjax writes "
            f"{current}: scores may differ. Prepare {wanted} again, with --replace"
        )


def _has_doubts(census: label_health.Census | None) -> bool:
    """Whether classes may be there by mistake, such as by one stray pixel."""
    return census is not None and bool(census.absent or census.lonely)


def _has_no_strays(censuses: dict[str, label_health.Census], directory: Path) -> bool:
    """Tells labels that are probably mistakes, of sets that were read whole.

    What only one image of a split shows may be frequent in the others.
    """
    is_sound = True
    whole = {name.partition(":")[0]: [] for name in censuses}
    for name, splits in whole.items():
        counts = sources.inspect(name, directory=directory).counts
        splits += [censuses.get(f"{name}:{split}") for split in counts]
        strays = [] if None in splits else label_health.merged(splits).strays
        if not strays:
            continue
        is_sound = False
        print(f"\n{name}")
        for number, key, pixels in strays[:_SHOWN]:
            print(
                f"  !! only {key} shows label {number}, in {pixels} pixels, and no "
                f"image shows label {int(number) - 1}"
            )
        print(
            f"  !! {len(strays)} stray labels in all. Correct the masks, or list the "
            "classes in classes.txt beside them, then prepare with --replace"
        )
    return is_sound


def _labels(census: label_health.Census) -> None:
    width = max(map(len, (*census.classes, _UNLABELLED)))
    # The last is what --task.class-weights may be, balanced by median frequency.
    print(f"  {'class':<{width}}  pixels %  images  weight")
    rows = zip(
        census.classes, census.shares[:-1], census.images, census.weights, strict=True
    )
    is_long = len(census.absent) > _SHOWN
    for name, share, images, weight in rows:
        if images or not is_long:
            print(f"  {name:<{width}}  {100 * share:8.2f}  {images:6}  {weight:6.3f}")
    if is_long:
        absent = f"({len(census.absent)} absent)"
        print(f"  {absent:<{width}}  {0:8.2f}  {0:6}  {0:6.3f}")
    print(f"  {_UNLABELLED:<{width}}  {100 * census.shares[-1]:8.2f}")
    if census.absent:
        print(
            f"  ?  {len(census.absent)} classes absent: "
            f"{', '.join(census.absent[:_SHOWN])}{_more(census.absent)}"
        )
    for name, key, pixels in census.lonely[:_SHOWN]:
        print(f"  ?  only {key} shows class {name}, in {pixels} pixels")
    if len(census.lonely) > _SHOWN:
        print(f"  ?  {len(census.lonely)} classes in one image only in all")
    if census.empty:
        print(
            f"  ?  {len(census.empty)} images without a labelled pixel: "
            f"{', '.join(census.empty[:_SHOWN])}"
        )


def _depth(survey: depth_health.Survey) -> None:
    titles = ("min", "1 %", "median", "99 %", "max")
    print(f"  depth (m)   {' '.join(f'{t:>8}' for t in titles)}   pixels measured %")
    values = " ".join(f"{value:8.3f}" for value in survey.quantiles_m)
    print(f"  {'':<11} {values}   {100 * survey.share:17.2f}")
    if not survey.is_plausible:
        print("  ?  hardly metres: were the files prepared with the right unit?")


def _disparity(survey: disparity_health.Survey) -> None:
    name, share = survey.poorest
    print("  disparity        min      max   pixels matched %   poorest record %")
    print(
        f"  {'':<10} {survey.ends[0]:9.3f}{survey.ends[1]:9.3f}"
        f"{100 * survey.share:19.2f}{100 * share:19.2f}  {name}"
    )


def _overlaps(opened: dict[str, sources.Source], data: config.Data | None) -> bool:
    if data is not None:
        print("\nTraining and evaluation")
        try:
            identity.check_disjoint(data)
        except errors.DataError as error:
            print(f"  !! {error}")
            return False
        allowed = ", ".join(data.allow_overlap)
        print(f"  ok share no picture{f' (not checked: {allowed})' if allowed else ''}")
        return True
    for (a, first), (b, second) in itertools.combinations(opened.items(), 2):
        pairs, reasons = identity.shared_pictures(first, second)
        # what is known is written down with the training set first
        turned, more = identity.shared_pictures(second, first)
        pairs += sorted({(y, x) for x, y in turned} - set(pairs))
        said = "; ".join(filter(None, (_pairs(pairs), *reasons, *more)))
        if said:
            print(
                f"\n{a} and {b}\n  ?  share pictures: {said}\n     a run that trains "
                "on one and is scored on the other is refused"
            )
    return True


def _more(listed: Sequence[str]) -> str:
    return ", ..." if len(listed) > _SHOWN else ""


def _pairs(pairs: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{a} = {b}" for a, b in pairs[:_SHOWN])
    return shown + (" ..." if len(pairs) > _SHOWN else "")
