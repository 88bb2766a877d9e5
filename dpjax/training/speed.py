"""How fast a network runs: compiled calls on synthetic images, timed in turns."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from dpjax import errors
from dpjax.models import zoo
from dpjax.training import flops, step

# Shorter measurements are repeated calls: a clock tick or a context switch is lost.
_SHORTEST_S = 0.2


@dataclasses.dataclass(frozen=True)
class Candidate:
    """Something to be timed.

    Attributes:
        call: one unit of work; it may return before the work is done.
        finish: waits until the work behind a result of `call` is done.
    """

    call: Callable[[], Any]
    finish: Callable[[Any], Any] = jax.block_until_ready


@dataclasses.dataclass(frozen=True)
class Speed:
    """What one kind of call costs.

    Attributes:
        seconds: duration of one call, each repeat.
        images: images of one call.
        flops: floating-point operations of one call, over all devices.
    """

    seconds: tuple[float, ...]
    images: int
    flops: int

    @property
    def median_s(self) -> float:
        """The middle duration, which a disturbance does not move."""
        return statistics.median(self.seconds)

    @property
    def images_per_s(self) -> float:
        """Images that go through in a second."""
        return self.images / self.median_s


def in_turns(
    candidates: Mapping[str, Candidate], *, repeats: int = 5
) -> dict[str, list[float]]:
    """Returns durations of calls, measured in turns.

    Each candidate is called once beforehand, so compilation is not counted.  Taking
    turns spreads what else the machine does over all of them alike.

    Args:
        candidates: by name.
        repeats: rounds.

    Returns:
        Seconds of one call, one for each round, by name.
    """
    counts = {}
    for name, candidate in candidates.items():
        _time(candidate, 1)
        counts[name] = max(1, round(_SHORTEST_S / max(_time(candidate, 1), 1e-6)))
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, candidate in candidates.items():
            found[name].append(_time(candidate, counts[name]))
    return found


def measure_model(
    name: str,
    *,
    size: tuple[int, int],
    batch_size: int,
    compute_dtype: str = "float32",
    options: Mapping[str, Any] | None = None,
    devices: Sequence[jax.Device] | None = None,
    repeats: int = 5,
    kinds: Sequence[str] = ("forward", "training"),
) -> dict[str, Speed]:
    """Returns how fast a network of the zoo predicts and learns.

    Learning is a mean square loss and Adam, without data or degradations.

    Args:
        name: a name that `python -m dpjax list` shows.
        size: height and width of the images, pixels.
        batch_size: images in one call, over all devices.
        compute_dtype: type of the activations.
        options: fields of the network that differ from the named preset.
        devices: None takes all.
        repeats: measurements of each.
        kinds: what is measured, of "forward" and "training".

    Returns:
        The speed of each kind.

    Raises:
        UserError: unknown model, or a batch that the devices cannot share.
    """
    devices = jax.devices() if devices is None else devices
    if batch_size < 1 or batch_size % len(devices):
        raise errors.UserError(
            f"The batch must be a multiple of the {len(devices)} devices, got "
            f"{batch_size}. Pass --batch {len(devices)} or a multiple."
        )
    mesh = jax.make_mesh(
        (len(devices),), (step.AXIS,), axis_types=(AxisType.Auto,), devices=devices
    )
    options = dict(options or {})
    if "norm" in zoo.list_options(name):
        # One program for all devices sees the whole batch: nothing is to be exchanged.
        options.setdefault("norm", "device")
    module, variables = zoo.create_model(name, compute_dtype=compute_dtype, **options)
    images = np.random.default_rng(0).random(
        (batch_size, *size, module.channels), np.float32
    )
    images = jax.device_put(images, NamedSharding(mesh, P(step.AXIS)))
    variables = jax.device_put(variables, NamedSharding(mesh, P()))
    forward = jax.jit(module.apply)
    tx = optax.adam(1e-4)
    learn = jax.jit(_update_of(module, tx), donate_argnums=0)
    state = None
    if "training" in kinds:
        # Copies, since the update consumes what it is given.
        state = jax.jit(lambda v: (jax.tree.map(jnp.copy, v), tx.init(v["params"])))(
            variables
        )

    def learn_on() -> Any:
        nonlocal state
        state, loss = learn(state, images)
        return loss

    calls = {
        "forward": (forward, variables, lambda: forward(variables, images)),
        "training": (learn, state, learn_on),
    }
    work = {kind: flops.count(*calls[kind][:2], images) for kind in kinds}
    times = in_turns(
        {kind: Candidate(calls[kind][2]) for kind in kinds}, repeats=repeats
    )
    return {
        kind: Speed(tuple(seconds), batch_size, work[kind])
        for kind, seconds in times.items()
    }


def _update_of(module: nn.Module, tx: optax.GradientTransformation) -> Callable:
    def update(state, images):
        variables, opt_state = state
        fixed = {name: tree for name, tree in variables.items() if name != "params"}

        def loss(params):
            outputs, changed = module.apply(
                {"params": params, **fixed},
                images,
                train=True,
                mutable=list(fixed),
                rngs={"dropout": jax.random.key(0)},
            )
            outputs = jax.tree.leaves(outputs)  # a network may give several to learn
            terms = [jnp.mean(x.astype(jnp.float32) ** 2) for x in outputs]
            return sum(terms), changed

        params = variables["params"]
        (value, changed), grads = jax.value_and_grad(loss, has_aux=True)(params)
        changes, opt_state = tx.update(grads, opt_state, params)
        params = optax.apply_updates(params, changes)
        return ({"params": params, **changed}, opt_state), value

    return update


def _time(candidate: Candidate, count: int) -> float:
    begin = time.perf_counter()
    for _ in range(count):
        result = candidate.call()
    candidate.finish(result)
    return (time.perf_counter() - begin) / count
