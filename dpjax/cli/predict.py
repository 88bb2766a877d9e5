"""`python -m dpjax predict WEIGHTS INPUT [-o OUTPUT]`: weights at work on pictures."""

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from dpjax import config, errors
from dpjax.cli import predict_files, predict_video, startup
from dpjax.data import image_files, video_files
from dpjax.inference import ahead, pictures, predictor
from dpjax.tasks import answer


@dataclasses.dataclass(frozen=True)
class Options:
    """Applies trained weights to a picture, every picture of a folder, or a video.

    Attributes:
        weights: a released name, a .safetensors file or the folder of a run.
        source: a picture, a folder of them, or a video (.mp4, .avi, .mov, .mkv, ...).
        output: where the result goes: a picture file for a picture; for a folder, a
            folder, in which every result is a .png; for a video an .mp4; default: a new
            one here, such as street-labels.png of street.jpg, or -restored, or -depth.
            Weights that answer in words print them, and write a .json file if one is
            named.
        ensemble: average over the eight flips and rotations: better, 8 times slower.
        scale: enlargement, for super-resolution weights.
        map: write this map of the result instead of a picture of it, such as "labels"
            of weights for segmentation: a .png whose grey levels are the classes; or
            "depth" of weights for depth and "deviation" of those that have a standard
            deviation: metres, or baselines of cameras that nobody knows, in a .npy or
            .tif.
        maps: write the picture, and every map beside it: room-depth.depth.npy of
            room-depth.png; whole numbers as .png.
        range: depth of the first and the last colour, for weights for depth, in their
            unit, or relative depth, in numbers of its map; default: what nearly all
            pixels of the picture have, or of the first frame of a video, and a tenth
            more at both ends.
        memory_gb: what one picture may take, gigabytes, half of it on the device;
            default: half of an accelerator, and what is free on the host.
        compute_dtype: type of the activations; default: what the weights' card says.
    """

    weights: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="WEIGHTS")]
    source: Annotated[
        tyro.conf.Positional[Path], tyro.conf.arg(name="input", metavar="INPUT")
    ]
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="OUTPUT")] = (
        None
    )
    ensemble: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    scale: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    map: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    maps: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    range: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="LOW HIGH")] = (
        None
    )
    memory_gb: Annotated[float | None, tyro.conf.arg(metavar="GB")] = None
    compute_dtype: config.ComputeDtype | None = None


def main(arguments: Sequence[str]) -> int:
    """Predicts, and says what was written.

    Args:
        arguments: what was typed after `predict`.

    Returns:
        The exit status: 0, or 3 if some files of a folder could not be used, or a video
        is cut off.

    Raises:
        UserError: unknown weights or option, or no such file.
        DataError: a file that cannot be decoded.
        StorageError: the result cannot be written.
    """
    options = tyro.cli(Options, args=list(arguments), prog="python -m dpjax predict")
    # Everything that can be wrong with the command is found before weights are loaded.
    _check_options(options)
    wants_words = options.output is not None and options.output.suffix == answer.SUFFIX
    is_video = video_files.is_named_so(options.source)
    if is_video:
        target = predict_video.check(options.source, options.output)
    elif wants_words or options.output is None:
        work = _pictures(options.source)
    else:
        work = _one_file(options) if options.source.is_file() else _folder(options)
    startup.use_compilation_cache()
    predict = predictor.Predictor(
        options.weights,
        memory_bytes=options.memory_gb and int(options.memory_gb * 1e9),
        ensemble=options.ensemble,
        compute_dtype=options.compute_dtype,
    )
    given = {"scale": options.scale, "range": options.range}
    task_options = {name: value for name, value in given.items() if value is not None}
    predict.task.enlargement(task_options)  # told once, not of every file of a folder
    if is_video:
        if target is None:
            stem = f"{options.source.stem}-{predict.task.result}"
            target = predict_files.new_file(stem, video_files.SUFFIX, {})
        return predict_video.run(predict, options.source, target, task_options)
    _check_kind(predict, options.output, wants_words)
    _check_maps(predict, options)
    if predict.task.answers_in_words:
        return _say(predict, work, task_options, options)
    if options.output is None and not options.source.is_file():
        options = dataclasses.replace(options, output=_new_folder(predict, options))
        work = _folder(options)
    maps = predict.task.maps if options.maps else {}
    suffix = pictures.map_suffix(predict.task.maps.get(options.map, np.uint8))
    if options.source.is_file() and options.output is None:
        stem = f"{options.source.stem}-{_word(predict, options)}"
        work = [(options.source, predict_files.new_file(stem, suffix, maps))]
    predict_files.check_places(work, maps)
    if options.source.is_file():
        ((source, target),) = work
        print("\n".join(_write(predict(source, **task_options), target, options)))
        return 0
    work = [(source, target.with_suffix(suffix)) for source, target in work]
    return _run(predict, work, task_options, options)


def _check_options(options: Options) -> None:
    if options.map and options.maps:
        raise errors.UserError(
            "--map writes one map instead of the picture, --maps every map beside it. "
            "Leave one of them out."
        )
    if video_files.is_named_so(options.source) and (options.map or options.maps):
        raise errors.UserError(
            "Maps are written of pictures, not of videos. Leave --map and --maps out, "
            "or pass a folder with the frames as pictures."
        )
    if options.memory_gb is not None and not options.memory_gb > 0:
        raise errors.UserError(
            f"--memory-gb wants a positive number, got {options.memory_gb}."
        )


def _check_kind(
    predict: predictor.Predictor, output: Path | None, wants_words: bool
) -> None:
    if output is None:
        return
    if predict.task.answers_in_words and not wants_words:
        answer.check_suffix(output)
    if wants_words and not predict.task.answers_in_words:
        raise errors.UserError(
            f"{predict.name} makes pictures; where do they go? Wanted -o with a "
            f"picture file or a folder, got {output}."
        )


def _check_maps(predict: predictor.Predictor, options: Options) -> None:
    known = predict.task.maps
    if not known and (options.map or options.maps):
        what = "answers in words" if predict.task.answers_in_words else "makes pictures"
        raise errors.UserError(
            f"{predict.name} {what} and gives no maps. Leave --map and --maps out."
        )
    if options.map and options.map not in known:
        raise errors.unknown_name("map of this result", options.map, known)


def _word(predict: predictor.Predictor, options: Options) -> str:
    return f"{options.map}-map" if options.map else predict.task.result


def _new_folder(predict: predictor.Predictor, options: Options) -> Path:
    """The folder of the current directory for the results of a folder."""
    path = Path(f"{options.source.resolve().name}-{_word(predict, options)}")
    # It may hold labels drawn by hand; another one could take results for inputs.
    if path.exists():
        raise errors.UserError(
            f"{path} exists already, and results would mix with what it holds. Remove "
            "it, or name a folder with -o."
        )
    return path


def _pictures(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    if not source.exists():
        raise errors.UserError(
            f"{source} does not exist. Name a picture, a video or a folder."
        )
    return image_files.find(source)


def _write(result: predictor.Result, target: Path, options: Options) -> list[str]:
    return predict_files.write(result, target, name=options.map, has_maps=options.maps)


def _say(
    predict: predictor.Predictor,
    paths: Sequence[Path],
    task_options: dict[str, Any],
    options: Options,
) -> int:
    """Prints what is said of each picture: all of it for one, a line for many."""
    if options.source.is_file():
        said = predict(options.source, **task_options)
        print(said)
        if options.output is not None:
            said.save(options.output)
        return 0
    values, is_complete = {}, True
    for path in paths:
        name = path.relative_to(options.source).as_posix()
        try:
            said = predict(path, **task_options)
        except errors.DataError as error:
            print(f"left out {path}: {error}", file=sys.stderr)
            is_complete = False
            continue
        print(f"{name}: {said.lines[0].strip()}")
        values[name] = said.values
    if options.output is not None:
        answer.Answer((), values).save(options.output)
    return 0 if is_complete else errors.DataError.exit_code


def _one_file(options: Options) -> list[tuple[Path, Path]]:
    target = options.output
    if target.is_dir():
        target = target / options.source.with_suffix(".png").name
    check = pictures.check_map_suffix if options.map else pictures.check_suffix
    check(target)
    if target.exists() and target.samefile(options.source):
        raise errors.UserError(
            f"{target} is the input; it would be overwritten. Name another output."
        )
    return [(options.source, target)]


def _folder(options: Options) -> list[tuple[Path, Path]]:
    source, output = options.source, options.output
    if not source.exists():
        raise errors.UserError(
            f"{source} does not exist. Name a picture, a video or a folder."
        )
    if output.is_file() or (output.suffix and not output.is_dir()):
        raise errors.UserError(
            f"{source} is a folder, so the output must be a folder too, got {output}."
        )
    if output.resolve() == source.resolve():
        raise errors.UserError(
            f"Results would mix with the inputs in {source}. Name another folder."
        )
    return list(_targets(image_files.find(source), source, output))


def _targets(
    found: Sequence[Path], source: Path, output: Path
) -> Iterator[tuple[Path, Path]]:
    inputs = [p for p in found if not p.resolve().is_relative_to(output.resolve())]
    if not inputs:
        raise errors.DataError(f"{source} holds no pictures but earlier results.")
    names = [p.relative_to(source).with_suffix(".png") for p in inputs]
    for path, name in zip(inputs, names, strict=True):
        if names.count(name) > 1:  # a.jpg beside a.png
            name = name.with_name(f"{path.name}.png")
        yield path, output / name


def _run(
    predict: predictor.Predictor,
    work: Sequence[tuple[Path, Path]],
    task_options: dict[str, Any],
    options: Options,
) -> int:
    import tqdm

    def write(
        pair: tuple[predictor.Result | errors.DpjaxError, Path],
    ) -> tuple[bool, list[str]]:
        """Whether the result that was written is exact, and a line about each file."""
        result, target = pair
        if isinstance(result, errors.DpjaxError):
            raise result
        return result.exact, _write(result, target, options)

    failures, blended = [], 0
    with (
        futures.ThreadPoolExecutor(1) as reader,
        futures.ThreadPoolExecutor(1) as writer,
        tqdm.tqdm(total=len(work), unit="image", disable=None, leave=False) as progress,
    ):
        # Three pictures at most: one is read while one is computed and one is written.
        read = ahead.one_ahead(
            reader, lambda pair: predict.read(pair[0], **task_options), work
        )
        computed = (_compute(predict, picture, task_options) for picture in read)
        pairs = zip(computed, (target for _, target in work), strict=True)
        written = ahead.one_ahead(writer, write, pairs)
        for (source, _), outcome in zip(work, written, strict=True):
            try:
                is_exact, lines = outcome.result()
                blended += not is_exact
                if options.maps:
                    progress.write("\n".join(lines))
            except errors.StorageError:
                raise  # it would meet every other file too
            except errors.DpjaxError as error:
                failures.append(f"{source}: {error}")
            progress.update()
    print(f"{options.output}: {len(work) - len(failures)} of {len(work)} pictures")
    if blended:
        print(f"{blended} were too large for one window and are blended.")
    for line in failures:
        print(f"left out {line}", file=sys.stderr)
    return errors.DataError.exit_code if failures else 0


def _compute(
    predict: predictor.Predictor,
    picture: futures.Future[pictures.Picture],
    task_options: dict[str, Any],
) -> predictor.Result | errors.DpjaxError:
    """The result, or the error that takes its place among the others."""
    try:
        return predict(picture.result(), **task_options)
    except errors.DpjaxError as error:
        return error
