"""RED-Net in dpjax against the same network in PyTorch, on the same device, in turns.

    python -m benchmarks.train_and_infer_vs_pytorch

What is timed is told in `benchmarks/torch_turns.py`; training adds noise to clean
images, and learns by the mean square error and Adam.  A ratio above 1 means that dpjax
is faster.
"""

import argparse
import os

# Both frameworks share one GPU; JAX would otherwise take most of its memory at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import torch

from benchmarks import measure, torch_rednet, torch_turns
from dpjax import config
from dpjax.models import zoo

_SIGMA = 25 / 255


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
    device = torch_turns.open_both(options.batch or 8)
    batch = options.batch or (64 if device == "cuda" else 8)
    size = options.size or (128 if device == "cuda" else 50)
    rows = []
    for name in options.models:
        both = pair(name, batch, size, options.dtype)
        kinds = torch_turns.candidates(both, device, compiles=not options.no_compile)
        rows += torch_turns.rows(both, kinds, options.repeats)
    settings = {**vars(options), "batch": batch, "size": size}
    name = f"train_and_infer_vs_pytorch_{options.dtype}"
    measure.record(name, settings, rows)


def pair(name: str, batch: int, size: int, dtype: str) -> torch_turns.Pair:
    """Returns a RED-Net in both frameworks.

    Args:
        name: in the zoo.
        batch: images in a call.
        size: their side, pixels.
        dtype: "float32" or "bfloat16" activations.

    Returns:
        The pair, with equal parameters.
    """
    run = measure.experiment(
        config.Model(name, compute_dtype=dtype), crop=(size, size), batch_size=batch
    )
    module, variables = zoo.create_model(name, compute_dtype=dtype)
    return torch_turns.Pair(
        name=name,
        run=run,
        module=module,
        variables=variables,
        peer=torch_rednet.RedNet(module, variables),
        loss=_loss,
        optimiser=lambda parameters: torch.optim.Adam(parameters, fused=True),
    )


def _loss(peer, clean, batch):
    outputs = peer(clean + _SIGMA * torch.randn_like(clean))
    return torch.nn.functional.mse_loss(outputs.float(), clean)


if __name__ == "__main__":
    main()
