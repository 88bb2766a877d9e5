"""RED-Net in dpjax against the same network in PyTorch, on the same device, in turns.

    python -m benchmarks.train_and_infer_vs_pytorch

Forward: a batch of float32 images that lies on the devices, as the parameters do.
Training: uint8 images on the devices, scaled there, noise, forward, mean square loss,
backward, Adam.  PyTorch runs eagerly and compiled, both channels-last.  A ratio above 1
means that dpjax is faster.
"""

import argparse
import os

# Both frameworks share one GPU; JAX would otherwise take most of its memory at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np
import torch

from benchmarks import measure, torch_rednet
from dpjax import config
from dpjax.cli import startup
from dpjax.models import zoo
from dpjax.training import speed

_SIGMA = 25 / 255
_TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models",
        nargs="+",
        default=["rednet10", "rednet30", "rednet10_128", "rednet30_128"],
    )
    parser.add_argument("--batch", type=int, help="images; default 8, on a GPU 64")
    parser.add_argument("--size", type=int, help="side; default 50, on a GPU 128")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true", help="eager PyTorch only")
    options = parser.parse_args()
    measure.warn_if_busy()
    startup.open_backend(options.batch or 8)
    on_gpu = jax.default_backend() == "gpu"
    if on_gpu and not torch.cuda.is_available():
        parser.error("JAX has a GPU but this PyTorch has none; install its CUDA build")
    batch = options.batch or (64 if on_gpu else 8)
    size = options.size or (128 if on_gpu else 50)
    torch.set_num_threads(startup.usable_cpus())
    torch.backends.cudnn.benchmark = True
    # Both at the same precision: XLA uses TensorFloat-32 for float32 where there is it.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True

    rows = []
    for name in options.models:
        peers = _candidates(name, batch, size, options, "cuda" if on_gpu else "cpu")
        for kind, candidates in peers.items():
            times = speed.in_turns(candidates, repeats=options.repeats)
            row = {"model": name, "work": kind}
            for peer, seconds in times.items():
                row[f"{peer} images/s"] = batch / float(np.median(seconds))
                row[f"{peer} s"] = seconds
            for peer in list(times)[1:]:
                found = measure.ratio(times[peer], times["dpjax"])
                row[f"vs {peer}"] = found["median"]
                row[f"vs {peer} range"] = [found["lowest"], found["highest"]]
            rows.append(row)
            print(measure.table(rows[-1:]), flush=True)
    settings = {**vars(options), "batch": batch, "size": size}
    name = f"train_and_infer_vs_pytorch_{options.dtype}"
    measure.record(name, settings, rows)


def _candidates(name, batch, size, options, device):
    """Callables by kind of work and framework, after checking that results agree."""
    run = measure.experiment(
        config.Model(name, compute_dtype=options.dtype),
        crop=(size, size),
        batch_size=batch,
    )
    module, variables = zoo.create_model(name, compute_dtype=options.dtype)
    ours = measure.Updates(run, module)
    host = measure.synthetic_batch(run.task, run.data)["image"]
    peer = torch_rednet.RedNet(module, variables)
    peer = peer.to(device).to(memory_format=torch.channels_last)
    images = torch.from_numpy(host).to(device).permute(0, 3, 1, 2)
    floats = host.astype(np.float32) / 255
    scaled = torch.from_numpy(floats).to(device).permute(0, 3, 1, 2)
    cast = torch.autocast(device, torch.bfloat16, enabled=options.dtype == "bfloat16")

    def forward(images):
        with cast:
            return peer(images)

    def loss(images):
        clean = images.float() / 255
        with cast:
            outputs = peer(clean + _SIGMA * torch.randn_like(clean))
        return torch.nn.functional.mse_loss(outputs.float(), clean)

    def learning(loss):
        optimiser = torch.optim.Adam(peer.parameters(), fused=True)

        def call():
            optimiser.zero_grad(set_to_none=True)
            value = loss(images)
            value.backward()
            optimiser.step()
            return value

        return call

    def predicting(forward):
        def call():
            with torch.inference_mode():
                return forward(scaled)

        return call

    def torch_candidate(call):
        wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
        return speed.Candidate(call, lambda _: wait())

    given = _on_devices(variables, floats)
    apply = jax.jit(module.apply)
    _check_equal(
        np.asarray(apply(*given)),
        predicting(forward)().float().permute(0, 2, 3, 1).cpu().numpy(),
        _TOLERANCE[options.dtype],
    )
    kinds = {
        "forward": {
            "dpjax": speed.Candidate(lambda: apply(*given)),
            "torch eager": torch_candidate(predicting(forward)),
        },
        "training": {
            "dpjax": speed.Candidate(ours),
            "torch eager": torch_candidate(learning(loss)),
        },
    }
    if not options.no_compile:
        compiled = torch.compile(forward), torch.compile(loss)
        kinds["forward"]["torch compiled"] = torch_candidate(predicting(compiled[0]))
        kinds["training"]["torch compiled"] = torch_candidate(learning(compiled[1]))
    return kinds


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


if __name__ == "__main__":
    main()
