"""The same work in dpjax and in PyTorch, on inputs that lie ready, as candidates.

Forward: a batch of float32 images that lies on the devices, as the parameters do.
Training: a batch of uint8 images on the devices, scaled there, forward, loss, backward,
update.  PyTorch runs eagerly and compiled, both channels-last.
"""

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import torch

from benchmarks import measure
from dpjax import config
from dpjax.cli import startup
from dpjax.training import speed

_TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
_WORK = ("forward", "training")


@dataclasses.dataclass(frozen=True)
class Pair:
    """One network in both frameworks, with equal parameters.

    Attributes:
        name: of the network.
        run: what dpjax trains, with `compute_dtype`.
        module: the network here.
        variables: its parameters and statistics.
        peer: the network in PyTorch, [b, c, h, w] to whatever `module` gives.
        loss: (peer, float images in [0, 1], batch on the device) to a scalar; `peer`
            stands for what PyTorch compiles, so that it runs under autocast.
        optimiser: parameters to the rule that PyTorch learns by.
    """

    name: str
    run: config.Experiment
    module: Any
    variables: Any
    peer: torch.nn.Module
    loss: Callable[[Callable, torch.Tensor, dict[str, torch.Tensor]], torch.Tensor]
    optimiser: Callable[[Any], torch.optim.Optimizer]


def open_both(batch_size: int) -> str:
    """Prepares both frameworks on the same device, at the same precision.

    Args:
        batch_size: images in a call, where processors are the devices.

    Returns:
        PyTorch's name of the device: "cuda" or "cpu".

    Raises:
        SystemExit: only one of them finds a GPU.
    """
    startup.open_backend(batch_size)
    on_gpu = jax.default_backend() == "gpu"
    if on_gpu and not torch.cuda.is_available():
        raise SystemExit(
            "JAX has a GPU but this PyTorch has none; install its CUDA build."
        )
    torch.set_num_threads(startup.usable_cpus())
    torch.backends.cudnn.benchmark = True
    # XLA uses TensorFloat-32 for float32 where there is it.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    return "cuda" if on_gpu else "cpu"


def candidates(
    pair: Pair,
    device: str,
    *,
    compiles: bool = True,
    work: tuple[str, ...] = _WORK,
) -> dict[str, dict[str, speed.Candidate]]:
    """Returns what is to be timed, after checking that both networks agree.

    Args:
        pair: the network.
        device: what `open_both` returned.
        compiles: whether PyTorch is measured compiled too.
        work: what is timed, of "forward" and "training".

    Returns:
        For each kind of work "dpjax", "torch eager" and "torch compiled".

    Raises:
        SystemExit: the networks give different results.
    """
    dtype = pair.run.model.compute_dtype
    peer = pair.peer.to(device).to(memory_format=torch.channels_last).eval()
    host = measure.synthetic_batch(pair.run.task, pair.run.data)
    batch = {name: torch.from_numpy(x).to(device) for name, x in host.items()}
    images = batch["image"].permute(0, 3, 1, 2)
    floats = host["image"].astype(np.float32) / 255
    scaled = torch.from_numpy(floats).to(device).permute(0, 3, 1, 2)
    cast = torch.autocast(device, torch.bfloat16, enabled=dtype == "bfloat16")

    def forward(given):
        with cast:
            return peer(given)

    def loss(given):
        return pair.loss(forward, given.float() / 255, batch)

    def predicting(forward):
        def call():
            peer.eval()
            with torch.inference_mode():
                return forward(scaled)

        return call

    def learning(loss):
        optimiser = pair.optimiser(peer.parameters())

        def call():
            peer.train()
            optimiser.zero_grad(set_to_none=True)
            value = loss(images)
            value.backward()
            optimiser.step()
            return value

        return call

    def in_torch(call):
        wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
        return speed.Candidate(call, lambda _: wait())

    given = _on_devices(pair.variables, floats)
    apply = jax.jit(pair.module.apply)
    theirs = predicting(forward)().float().cpu().numpy()
    if theirs.ndim == 4:
        theirs = theirs.transpose(0, 2, 3, 1)
    _check_equal(np.asarray(apply(*given)), theirs, _TOLERANCE[dtype])
    found = {}
    for kind in work:
        function, wrap = {
            "forward": (forward, predicting),
            "training": (loss, learning),
        }[kind]
        ours = (
            (lambda: apply(*given))
            if kind == "forward"
            else measure.Updates(pair.run, pair.module)
        )
        found[kind] = {
            "dpjax": speed.Candidate(ours),
            "torch eager": in_torch(wrap(function)),
        }
        if compiles:
            found[kind]["torch compiled"] = in_torch(wrap(torch.compile(function)))
    return found


def rows(
    pair: Pair, kinds: dict[str, dict[str, speed.Candidate]], repeats: int
) -> list[dict[str, Any]]:
    """Returns how fast each framework is, and dpjax relative to PyTorch.

    Args:
        pair: the network.
        kinds: what `candidates` returned.
        repeats: rounds; candidates take turns in each.

    Returns:
        A row for each kind of work; a ratio above 1 means that dpjax is faster.
    """
    batch = pair.run.data.batch_size
    found = []
    for kind, peers in kinds.items():
        times = speed.in_turns(peers, repeats=repeats)
        row = {"model": pair.name, "work": kind}
        for name, seconds in times.items():
            row[f"{name} images/s"] = batch / statistics.median(seconds)
            row[f"{name} s"] = seconds
        for name in list(times)[1:]:
            share = measure.ratio(times[name], times["dpjax"])
            row[f"vs {name}"] = share["median"]
            row[f"vs {name} range"] = [share["lowest"], share["highest"]]
        found.append(row)
        print(measure.table(found[-1:]), flush=True)
    return found


def _on_devices(variables, images):
    """Parameters on every device, the batch spread over them: a call moves nothing."""
    mesh = jax.make_mesh((jax.device_count(),), ("batch",))
    everywhere, spread = (
        jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec(*axes))
        for axes in ((), ("batch",))
    )
    return jax.device_put(variables, everywhere), jax.device_put(images, spread)


def _check_equal(ours, theirs, tolerance):
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    if not error < tolerance:
        raise SystemExit(f"the networks differ by {error:.2g}; nothing to compare")
