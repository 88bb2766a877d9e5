"""The experiment: typed, frozen dataclasses, filled by configs and the command line.

A config file returns an `Experiment`; `tyro` turns its fields into options
(`--optim.lr 3e-4`), so names, types and help come from here alone.
`encode` and `decode` give the JSON that run folders, checkpoints and cards carry.
"""

import dataclasses
import math
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from dpjax import errors

ComputeDtype = Literal["float32", "bfloat16"]
Rule = tuple[str, Any, str, Callable[[Any], bool]]


@dataclasses.dataclass(frozen=True)
class Model:
    """Which network.

    Attributes:
        name: a name that `python -m dpjax list` shows.
        options: fields of the network that differ from the named preset.
        compute_dtype: type of the activations; parameters stay float32.
    """

    name: str
    options: dict[str, bool | int | float | str | tuple[int, ...]] = dataclasses.field(
        default_factory=dict
    )
    compute_dtype: ComputeDtype = "float32"

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.name}({options})" if options else self.name


@dataclasses.dataclass(frozen=True)
class Data:
    """Which records, and how they become batches.

    Attributes:
        train: sources as "name", "name:split" or "name/config:split"; their records are
            concatenated.
        evaluate: sources scored by the evaluation, written the same way.
        crop: height and width of a training example, pixels.
        batch_size: examples in one update, over all devices and processes.
        cache_bytes: decoded records that one process keeps in memory, bytes.
        directory: where prepared records live; None takes TFDS_DATA_DIR or
            ~/tensorflow_datasets.
        threads: reader threads of one process (or of one worker).
        workers: reader processes beside the training process; 0 reads in threads only.
        allow_overlap: sources of `evaluate` that may share images with `train`.
    """

    train: tuple[str, ...]
    evaluate: tuple[str, ...]
    crop: tuple[int, int] = (50, 50)
    batch_size: int = 64
    cache_bytes: int = 1 << 30
    directory: str | None = None
    threads: int = 2
    workers: int = 0
    allow_overlap: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Optim:
    """How parameters move.

    Attributes:
        name: the rule.
        lr: peak learning rate.
        schedule: shape of the learning rate after the warm-up.
        warmup_steps: updates of linear rise from 0.
        end_lr: last value of "cosine" and "polynomial".
        power: exponent of "polynomial".
        drop_at: updates at which "step" multiplies by `drop_by`.
        drop_by: factor of "step".
        momentum: of "sgd".
        nesterov: momentum of "sgd" looks ahead, as torch.optim.SGD does.
        b1: first-moment decay of "adam" and "adamw".
        b2: second-moment decay of "adam" and "adamw".
        eps: denominator constant of "adam" and "adamw".
        weight_decay: decoupled for "adamw"; added to the gradient otherwise.
        no_decay: parameter paths, as patterns, that are not decayed.
        lr_factors: parameter paths, as patterns, and what their learning rate is
            multiplied by; the first that fits counts. 0 leaves them as they are, and
            spares their gradients; running statistics on such paths stay too.
        nonnegative: parameter paths, as patterns, that are put back to 0 where an
            update takes them below.
        clip_norm: largest global norm of a gradient; None leaves it alone.
        accumulate: micro-batches whose gradients are summed into one update.
        ema_decay: decay of the averaged parameters that are evaluated; 0 for none.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-4
    schedule: Literal["constant", "cosine", "polynomial", "step"] = "constant"
    warmup_steps: int = 0
    end_lr: float = 0.0
    power: float = 0.9
    drop_at: tuple[int, ...] = ()
    drop_by: float = 0.1
    momentum: float = 0.9
    nesterov: bool = False
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    no_decay: tuple[str, ...] = ("*/bias", "*/scale")
    lr_factors: dict[str, float] = dataclasses.field(default_factory=dict)
    nonnegative: tuple[str, ...] = ()
    clip_norm: float | None = None
    accumulate: int = 1
    ema_decay: float = 0.0


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """How a model is scored, during training and afterwards.

    Attributes:
        protocol: a protocol of the task, by name.
        every_steps: updates between two evaluations; 0 scores at the end only.
        ensemble: average over the symmetries the task knows (flips, rotations).
        limit: score at most this many examples of each source; None scores all.
    """

    protocol: str
    every_steps: int = 0
    ensemble: bool = False
    limit: int | None = None


@dataclasses.dataclass(frozen=True)
class Record:
    """What a run writes down.

    Attributes:
        log_every: updates between two log lines.
        save_every: updates between two checkpoints.
        keep_last: newest checkpoints that are kept, besides the best one.
        panels: pictures written at each evaluation.
        stop_after_bad: consecutive non-finite updates that end the run.
    """

    log_every: int = 50
    save_every: int = 1000
    keep_last: int = 2
    panels: int = 4
    stop_after_bad: int = 20


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run, completely.

    Attributes:
        task: what is learned and how it is judged; an object of `dpjax.tasks`.
        model: the network.
        data: the records.
        optim: the update rule.
        evaluation: the scoring.
        record: logs, checkpoints, pictures.
        total_steps: updates of the whole run.
        seed: the only source of randomness.
        parallel: how a step meets the devices.
        init_from: weights to start from, a file, a folder of a run or a released name.
            What their card says of images, strides and the like must be true here too.
        init_skip: arrays of `init_from` that start fresh instead, as patterns such as
            "head/*": layers that are new, or of another shape. "crf/*" puts a CRF on a
            network that was trained without.
    """

    task: Any
    model: Model
    data: Data
    optim: Optim
    evaluation: Evaluation
    total_steps: int
    record: Record = Record()
    seed: int = 0
    parallel: Literal["pmap", "shard_map"] = "pmap"
    init_from: str | None = None
    init_skip: tuple[str, ...] = ()


def check(experiment: Experiment) -> None:
    """Raises if a number lies outside of what it can mean.

    Args:
        experiment: the run.

    Raises:
        UserError: names the field, what was wanted and what came.
    """
    optim, record, data = experiment.optim, experiment.record, experiment.data
    drops = list(optim.drop_at)
    rules = (
        ("total_steps", experiment.total_steps, "at least 1", lambda v: v >= 1),
        ("seed", experiment.seed, "at least 0", lambda v: v >= 0),
        ("data.batch_size", data.batch_size, "at least 1", lambda v: v >= 1),
        ("data.crop", data.crop, "at least 1 and 1", lambda v: min(v) >= 1),
        ("data.threads", data.threads, "at least 1", lambda v: v >= 1),
        ("data.workers", data.workers, "at least 0", lambda v: v >= 0),
        ("data.cache_bytes", data.cache_bytes, "at least 0", lambda v: v >= 0),
        ("data.train", data.train, "at least one source", len),
        ("data.evaluate", data.evaluate, "at least one source", len),
        ("optim.lr", optim.lr, "above 0", lambda v: 0 < v < math.inf),
        ("optim.end_lr", optim.end_lr, "at least 0", lambda v: v >= 0),
        ("optim.power", optim.power, "above 0", lambda v: v > 0),
        ("optim.drop_by", optim.drop_by, "in (0, 1]", lambda v: 0 < v <= 1),
        ("optim.drop_at", drops, "rising", lambda v: v == sorted(set(v))),
        ("optim.momentum", optim.momentum, "in [0, 1)", lambda v: 0 <= v < 1),
        ("optim.b1", optim.b1, "in [0, 1)", lambda v: 0 <= v < 1),
        ("optim.b2", optim.b2, "in [0, 1)", lambda v: 0 <= v < 1),
        ("optim.eps", optim.eps, "above 0", lambda v: v > 0),
        ("optim.weight_decay", optim.weight_decay, "at least 0", lambda v: v >= 0),
        (
            "optim.clip_norm",
            optim.clip_norm,
            "above 0, or None",
            lambda v: v is None or v > 0,
        ),
        (
            "optim.lr_factors",
            optim.lr_factors,
            "at least 0",
            lambda v: all(factor >= 0 for factor in v.values()),
        ),
        ("optim.accumulate", optim.accumulate, "at least 1", lambda v: v >= 1),
        ("optim.ema_decay", optim.ema_decay, "in [0, 1)", lambda v: 0 <= v < 1),
        (
            "evaluation.every_steps",
            experiment.evaluation.every_steps,
            "at least 0",
            lambda v: v >= 0,
        ),
        (
            "evaluation.limit",
            experiment.evaluation.limit,
            "at least 1, or None",
            lambda v: v is None or v >= 1,
        ),
        ("record.log_every", record.log_every, "at least 1", lambda v: v >= 1),
        ("record.save_every", record.save_every, "at least 1", lambda v: v >= 1),
        ("record.keep_last", record.keep_last, "at least 1", lambda v: v >= 1),
        ("record.panels", record.panels, "at least 0", lambda v: v >= 0),
        (
            "record.stop_after_bad",
            record.stop_after_bad,
            "at least 1",
            lambda v: v >= 1,
        ),
    )
    check_rules(rules)


def check_rules(rules: Iterable[Rule], prefix: str = "") -> None:
    """Raises for the first value that breaks its rule.

    Args:
        rules: name of the field, its value, what it must be in words, and whether a
            value is that.
        prefix: of the names, such as "task.".

    Raises:
        UserError: a rule is broken; the option that changes the field is named.
    """
    for field, value, wanted, holds in rules:
        if not holds(value):
            name = prefix + field
            raise errors.UserError(
                f"{name} must be {wanted}, got {value}. Change "
                f"--{name.replace('_', '-')}."
            )


TYPES: tuple[type, ...] = (Experiment, Model, Data, Optim, Evaluation, Record)


def encode(value: Any) -> Any:
    """Returns dataclasses as plain JSON values, each with its class name under "type".

    Args:
        value: a dataclass of this module or of a task, or a plain value.

    Returns:
        dicts, lists, numbers, strings, None.
    """
    if dataclasses.is_dataclass(value):
        fields = {
            f.name: encode(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {str(k): encode(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(v) for v in value]
    return value


def decode(value: Any, types: Iterable[type]) -> Any:
    """Returns the dataclass that `encode` described.

    Args:
        value: the JSON value.
        types: every dataclass that may occur; no other code is run.

    Returns:
        The dataclass, lists turned into tuples.

    Raises:
        UserError: unknown type or field, or a missing field.
    """
    by_name = {t.__name__: t for t in types}
    if isinstance(value, list):
        return tuple(decode(v, by_name.values()) for v in value)
    if not isinstance(value, dict):
        return value
    inner = {k: decode(v, by_name.values()) for k, v in value.items() if k != "type"}
    if "type" not in value:
        return inner
    if value["type"] not in by_name:
        raise errors.unknown_name("configuration type", value["type"], by_name)
    kind = by_name[value["type"]]
    known = typing.get_type_hints(kind)
    for name in inner:
        if name not in known:
            raise errors.unknown_name(f"field of {kind.__name__}", name, known)
    try:
        return kind(**inner)
    except TypeError as error:
        raise errors.UserError(
            f"Cannot build {kind.__name__} from JSON: {error}."
        ) from error


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Returns one line for each field in which two configurations differ.

    Args:
        old: the first, as `encode` gives it.
        new: the second.
        path: name of the value compared; empty for the whole.

    Returns:
        Lines such as "optim.lr: 0.001 -> 0.0003"; empty when equal.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        lines = []
        for key in sorted(old.keys() | new.keys()):
            inner = f"{path}.{key}" if path else key
            lines += differences(old.get(key), new.get(key), inner)
        return lines
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]
