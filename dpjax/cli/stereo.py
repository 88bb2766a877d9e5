"""`python -m dpjax stereo [LEFT RIGHT] [-o OUTPUT]`: disparities of rectified pairs."""

import dataclasses
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import jax
import numpy as np
import tyro

from dpjax import errors
from dpjax.cli import startup, stereo_folders
from dpjax.inference import pictures
from dpjax.inference.stereo import camera, engines, one_pair, pairs, scores
from dpjax.ops.stereo import matching


@dataclasses.dataclass(frozen=True)
class Options:
    """Finds how far every pixel of a left view is displaced in the right one.

    With dpjax's engine (--engine jax) defaults are --cost census --box 1 --p1 10 --p2
    120 --is-adaptive; those listed below are OpenCV's, and ours with --cost absolute.

    Without arguments a real pair is matched that ships with scikit-image, and scored.
    Beside the picture of the disparities, where red is near, are written: -disparity,
    pixels, NaN where unknown; -valid.png, white where all checks were passed;
    -confidence, 0 to 1, if the engine tells it; and -depth, metres, 0 where unknown, if
    focal length and baseline are given.

    Attributes:
        left: the left view, or a folder of left views.
        right: the right view, or a folder of right views with the same names.
        output: the picture of the disparities; for folders, a folder; default: a new
            one here, such as street-stereo.png of street.jpg.
        engine: "jax" is dpjax's, "opencv" is OpenCV's StereoSGBM with eight paths;
            "auto" takes OpenCV's on processors, where it is faster, unless settings
            ask for what it lacks.
        settings: of the matching; dpjax's engine uses census costs unless told
            otherwise, and --cost changes --box, --p1 and --p2 as well, unless they are
            given.
        maps: type of the maps beside the picture.
        focal_px: focal length, pixels.
        baseline_m: distance between the cameras, metres.
        offset_px: principal point of the right view less that of the left one, columns.
        truth: true disparities of the left view to score with, or a folder of them:
            pictures of one channel or .npy, 0 where unknown.
        scale: what one pixel of disparity is in the truth, such as 256 for KITTI.
        force: match pairs that look swapped or not rectified.
    """

    left: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="LEFT")
    ] = None
    right: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RIGHT")
    ] = None
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="OUTPUT")] = (
        None
    )
    engine: engines.Engine = "auto"
    settings: Annotated[matching.Settings, tyro.conf.arg(name="")] = matching.ABSOLUTE
    maps: Literal["npy", "tif"] = "npy"
    focal_px: Annotated[float | None, tyro.conf.arg(metavar="PIXELS")] = None
    baseline_m: Annotated[float | None, tyro.conf.arg(metavar="METRES")] = None
    offset_px: Annotated[float, tyro.conf.arg(metavar="PIXELS")] = 0.0
    truth: Path | None = None
    scale: float = 1.0
    force: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(arguments: Sequence[str]) -> int:
    """Matches, and says what was found and by which engine.

    Args:
        arguments: what was typed after `stereo`.

    Returns:
        The exit status: 0, or 3 if some pairs of folders could not be used.

    Raises:
        UserError: a wrong option, no such file, or a pair that looks swapped.
        DataError: files that cannot be decoded or are no rectified pair.
        StorageError: a result cannot be written.
    """
    options = _parse(arguments)
    rig = _camera(options)
    # Everything that can be wrong with the command is found before anything is matched.
    startup.use_compilation_cache()
    engine = engines.choose(options.engine, options.settings, jax.default_backend())
    matcher = one_pair.Matcher(
        options.settings, engine, rig, suffix=f".{options.maps}", force=options.force
    )
    if options.left is None:
        return _example(matcher, options)
    if options.left.is_dir() or options.right.is_dir():
        return stereo_folders.run(
            matcher,
            options.left,
            options.right,
            options.output,
            truth=options.truth,
            scale=options.scale,
        )
    return _files(matcher, options)


def _parse(arguments: Sequence[str]) -> Options:
    def parse(settings: matching.Settings) -> Options:
        return tyro.cli(
            Options,
            args=list(arguments),
            default=Options(settings=settings),
            prog="python -m dpjax stereo",
        )

    options = parse(matching.ABSOLUTE)
    backend = jax.default_backend()
    # The better ones on real pairs (`benchmarks/stereo.py`); OpenCV has its own.
    if engines.choose(options.engine, options.settings, backend) == "jax":
        options = parse(matching.CENSUS)
        if options.settings.cost == matching.ABSOLUTE.cost:
            options = parse(matching.ABSOLUTE)  # with the box and the penalties of that
    if options.left is not None and options.right is None:
        raise errors.UserError(
            f"Wanted the right view too, after {options.left}; or no view at all, for "
            "the pair that ships with scikit-image."
        )
    if not 0 < options.scale < np.inf:
        raise errors.UserError(f"--scale wants a positive number, got {options.scale}.")
    if options.scale != 1 and options.truth is None:
        raise errors.UserError(
            "--scale says how true disparities are stored, and there are none without "
            "--truth. Name their file, or leave it out."
        )
    if options.left is None and options.truth is not None:
        raise errors.UserError(
            "The pair that ships with scikit-image has its own truth. Leave --truth "
            "out, or name two views."
        )
    return options


def _camera(options: Options) -> camera.Camera | None:
    given = options.focal_px, options.baseline_m
    if given == (None, None):
        if options.offset_px:
            raise errors.UserError(
                "--offset-px is of a camera, which --focal-px and --baseline-m tell. "
                "Give all three, or leave it out."
            )
        return None
    if None in given:
        raise errors.UserError(
            "Depth wants both --focal-px and --baseline-m, got one of them."
        )
    return camera.Camera(*given, options.offset_px)


def _example(matcher: one_pair.Matcher, options: Options) -> int:
    found = pairs.example()
    matcher = dataclasses.replace(matcher, rig=matcher.rig or found.camera)
    target = _target(matcher, options, Path("motorcycle.png"))
    return _one(matcher, found.views, target, found.truth)


def _files(matcher: one_pair.Matcher, options: Options) -> int:
    target = _target(matcher, options, options.left)
    if options.truth is not None and options.truth.is_dir():
        raise errors.UserError(
            f"Two pictures have one file of true disparities, and {options.truth} is a "
            "folder. Name the file in it."
        )
    views = pairs.read(options.left, options.right)
    truth = None
    if options.truth is not None:
        truth = pairs.read_truth(options.truth, options.scale, views[0].shape[:2])
    return _one(matcher, views, target, truth)


def _one(
    matcher: one_pair.Matcher,
    views: pairs.Views,
    target: Path,
    truth: np.ndarray | None,
) -> int:
    match, warnings = matcher.match(views)
    if truth is not None:
        warnings = [*warnings, *scores.doubts(match, truth)]
    matcher.save(match, target)
    height, width = match.valid.shape
    known = match.disparity[match.valid]
    ends = ""
    if known.size:
        ends = f", disparities {known.min():.1f} to {known.max():.1f} px"
    filled = (np.isfinite(match.disparity) & ~match.valid).mean()
    share = f"{match.valid.mean():.1%} " + (
        f"matched, {filled:.1%} filled" if filled else "known"
    )
    print(f"{target}: {width} x {height}, {share}{ends}")
    print(f"matched by {engines.NAMES[matcher.engine]} in {match.seconds:.2f} s")
    for line in warnings:
        print(f"warning: {line}", file=sys.stderr)
    if truth is not None:
        print(scores.line([scores.row(match, truth)]))
    return 0


def _target(matcher: one_pair.Matcher, options: Options, left: Path) -> Path:
    """Where the picture of one pair goes; nothing that is read is overwritten."""
    output = options.output
    if output is None:
        stem = f"{left.stem}-stereo"
        names = itertools.chain([stem], (f"{stem}-{n}" for n in itertools.count(2)))
        targets = (Path(f"{name}.png") for name in names)
        return next(t for t in targets if not any(map(_exists, matcher.files(t))))
    target = output / f"{left.stem}-stereo.png" if output.is_dir() else output
    pictures.check_suffix(target)
    read = (options.left, options.right, options.truth)
    read = [path for path in read if path is not None and path.exists()]
    for path in matcher.files(target):
        if path.exists() and any(path.samefile(p) for p in read):
            raise errors.UserError(
                f"{path} is an input; it would be overwritten. Name another output."
            )
    return target


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
