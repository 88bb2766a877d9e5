"""Backbones with their classifiers in dpjax and in PyTorch, on one device, in turns.

    python -m benchmarks.classifiers_vs_pytorch

The ResNets are timm's, the wide ones those of `benchmarks/torch_wide_resnet.py`.  What
is timed is told in `benchmarks/torch_turns.py`; training learns by the cross-entropy
and Nesterov's momentum, with batch statistics.  dpjax mirrors half of the images
besides.  A ratio above 1 means that dpjax is faster.
"""

import argparse
import os

# Both frameworks share one GPU; JAX would otherwise take most of its memory at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import torch

from benchmarks import measure, torch_timm, torch_turns, torch_wide_resnet
from dpjax import config
from dpjax.models import zoo
from dpjax.tasks import classification
from dpjax.weights import layouts, renaming


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--models",
        nargs="+",
        default=["resnet50", "resnet101", "wide_resnet_a", "wide_resnet_f"],
    )
    parser.add_argument("--batch", type=int, help="images; default 2, on a GPU 128")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true", help="eager PyTorch only")
    parser.add_argument(
        "--work",
        nargs="+",
        default=["forward", "training"],
        choices=["forward", "training"],
    )
    options = parser.parse_args()
    measure.warn_if_busy()
    device = torch_turns.open_both(options.batch or 2)
    batch = options.batch or (128 if device == "cuda" else 2)
    rows = []
    for name in options.models:
        both = pair(name, batch, options.dtype)
        kinds = torch_turns.candidates(
            both,
            device,
            compiles=not options.no_compile,
            work=tuple(options.work),
        )
        rows += torch_turns.rows(both, kinds, options.repeats)
    settings = {**vars(options), "batch": batch}
    measure.record(f"classifiers_vs_pytorch_{options.dtype}", settings, rows)


def pair(
    name: str, batch: int, dtype: str, side: int | None = None, **options: float
) -> torch_turns.Pair:
    """Returns a classifier in both frameworks.

    Args:
        name: in the zoo.
        batch: images in a call.
        dtype: "float32" or "bfloat16" activations.
        side: of the images, pixels; None takes that of the paper.
        **options: fields of the network that differ from the named preset.

    Returns:
        The pair, with equal parameters and statistics.
    """
    side = side or zoo.published_side(name)
    run = config.Experiment(
        task=classification.Classification(side=side, jitter=0.0, lighting=0.0),
        model=config.Model(name, options, compute_dtype=dtype),
        data=config.Data(("none",), ("none",), crop=(side, side), batch_size=batch),
        optim=config.Optim("sgd", lr=1e-3, nesterov=True, weight_decay=1e-4),
        evaluation=config.Evaluation("single"),
        record=config.Record(log_every=10),
        total_steps=100,
    )
    module, variables = zoo.create_model(name, compute_dtype=dtype, **options)
    if name.startswith("wide_resnet"):
        network = torch_wide_resnet.WideResNet(module, variables)
    else:
        network = torch_timm.load().create_model(
            name, num_classes=module.head.num_classes
        )
        arrays = {key: value.numpy() for key, value in network.state_dict().items()}
        names = layouts.of(module)
        variables = renaming.variables(arrays, module, names)
    return torch_turns.Pair(
        name=name,
        run=run,
        module=module,
        variables=variables,
        peer=torch_timm.Standardised(network),
        loss=_loss,
        optimiser=lambda parameters: torch.optim.SGD(
            parameters, 1e-3, momentum=0.9, weight_decay=1e-4, nesterov=True
        ),
    )


def _loss(peer, images, batch):
    return torch.nn.functional.cross_entropy(
        peer(images).float(), batch["label"].long()
    )


if __name__ == "__main__":
    main()
