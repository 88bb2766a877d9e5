"""RefineNets in dpjax and in PyTorch, on one device, in turns.

    python -m benchmarks.segmenters_vs_pytorch

"labels" is what somebody waits for: photographs in 8 bits go in, a class for each of
their pixels comes out.  "scores" is the network alone, "training" its update on square
crops (see `benchmarks/torch_turns.py`).  The peer is written in
`benchmarks/torch_refinenet.py`; it has no dropout.  A ratio above 1 means that dpjax is
faster.
"""

import argparse
import os

# Both frameworks share one GPU; JAX would otherwise take most of its memory at once.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional

from benchmarks import measure, torch_refinenet, torch_timm, torch_turns
from dpjax import config
from dpjax.models import zoo
from dpjax.ops import enlarge
from dpjax.tasks import segmentation
from dpjax.training import speed
from dpjax.weights import layouts, renaming

_CLASSES = 21
_BLOCKS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
_WIDTHS = (512, 256, 256, 256)
_LEARNING = 512  # side of training crops


def main() -> None:
    """Measures, prints a table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", help="default refinenet50; GPU 101, lw")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--size", type=int, nargs=2, default=[720, 1280])
    parser.add_argument("--training-batch", type=int, default=8)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true", help="eager PyTorch only")
    parser.add_argument(
        "--work",
        nargs="+",
        default=["labels", "scores", "training"],
        choices=["labels", "scores", "training"],
    )
    options = parser.parse_args()
    measure.warn_if_busy()
    device = torch_turns.open_both(min(options.batches))
    models = options.models or (
        ["refinenet101", "refinenet_lw50"] if device == "cuda" else ["refinenet50"]
    )
    compiles = not options.no_compile
    rows = []
    for name in models:
        for batch in options.batches:
            both = pair(name, batch, options.dtype, tuple(options.size))
            kinds = {}
            if "labels" in options.work:
                kinds["labels"] = labels(both, device, compiles=compiles)
            if "scores" in options.work:
                found = torch_turns.candidates(
                    both, device, compiles=compiles, work=("forward",)
                )
                kinds["scores"] = found["forward"]
            found = torch_turns.rows(both, kinds, options.repeats)
            rows += [{**row, "size": options.size, "batch": batch} for row in found]
        if "training" in options.work:
            batch, side = options.training_batch, (_LEARNING,) * 2
            both = pair(name, batch, options.dtype, side)
            kinds = torch_turns.candidates(
                both, device, compiles=compiles, work=("training",)
            )
            found = torch_turns.rows(both, kinds, options.repeats)
            rows += [{**row, "size": [*side], "batch": batch} for row in found]
    settings = {**vars(options), "models": models}
    measure.record(f"segmenters_vs_pytorch_{options.dtype}", settings, rows)


def pair(name: str, batch: int, dtype: str, size: tuple[int, int]) -> torch_turns.Pair:
    """Returns a RefineNet in both frameworks.

    Args:
        name: in the zoo, "refinenet50" or "refinenet_lw50" and the deeper ones.
        batch: images in a call.
        dtype: "float32" or "bfloat16" activations.
        size: height and width of the images, pixels.

    Returns:
        The pair, with equal parameters and statistics.
    """
    run = config.Experiment(
        task=segmentation.Segmentation(mirror=False, upsampling="half_pixel"),
        model=config.Model(name, compute_dtype=dtype),
        data=config.Data(("none",), ("none",), crop=size, batch_size=batch),
        optim=config.Optim("sgd", lr=1e-4, weight_decay=5e-4),
        evaluation=config.Evaluation("whole"),
        record=config.Record(log_every=10),
        total_steps=100,
    )
    module = zoo.create_module(name, compute_dtype=dtype)
    blocks = next(b for depth, b in _BLOCKS.items() if name.endswith(depth))
    network = torch_refinenet.RefineNet(blocks, _WIDTHS, _CLASSES, "_lw" in name)
    arrays = {key: value.numpy() for key, value in network.state_dict().items()}
    return torch_turns.Pair(
        name=name,
        run=run,
        module=module,
        variables=renaming.variables(arrays, module, layouts.of(module)),
        peer=torch_timm.Standardised(network),
        loss=_loss,
        optimiser=lambda parameters: torch.optim.SGD(
            parameters, 1e-4, momentum=0.9, weight_decay=5e-4
        ),
    )


def labels(
    both: torch_turns.Pair, device: str, *, compiles: bool
) -> dict[str, speed.Candidate]:
    """Returns photographs to labels as candidates, everything on the device.

    Args:
        both: the network.
        device: what `torch_turns.open_both` returned.
        compiles: whether PyTorch is measured compiled too.

    Returns:
        "dpjax", "torch eager" and "torch compiled".
    """
    size = both.run.data.crop
    is_half = both.run.model.compute_dtype == "bfloat16"
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (both.run.data.batch_size, *size, 3), np.uint8)

    @jax.jit
    def ours(variables, images):
        scores = both.module.apply(variables, images.astype(jnp.float32) / 255)
        large = enlarge.to_size(scores, size, both.run.task.upsampling)
        return jnp.argmax(large, -1).astype(jnp.uint8)

    peer = both.peer.to(device).to(memory_format=torch.channels_last).eval()
    given = torch.from_numpy(images).to(device).permute(0, 3, 1, 2)

    def theirs(given):
        with torch.autocast(device, torch.bfloat16, enabled=is_half):
            scores = peer(given.float() / 255)
        large = functional.interpolate(
            scores.float(), size, mode="bilinear", align_corners=False
        )
        return large.argmax(1).to(torch.uint8)

    def call(function):
        def run():
            with torch.inference_mode():
                return function(given)

        wait = torch.cuda.synchronize if device == "cuda" else (lambda: None)
        return speed.Candidate(run, lambda _: wait())

    variables, placed = jax.device_put((both.variables, images))
    found = {
        "dpjax": speed.Candidate(lambda: ours(variables, placed)),
        "torch eager": call(theirs),
    }
    if compiles:
        found["torch compiled"] = call(torch.compile(theirs))
    return found


def _loss(peer, images, batch):
    large = functional.interpolate(
        peer(images).float(), images.shape[2:], mode="bilinear", align_corners=False
    )
    # Labels of a synthetic batch are random; those beyond the classes count nothing.
    known = torch.where(batch["has_label"], batch["labels"].long(), -1)
    known = torch.where(known < large.shape[1], known, -1)
    total = functional.cross_entropy(large, known, ignore_index=-1, reduction="sum")
    return total / batch["has_label"].sum().clamp(min=1)


if __name__ == "__main__":
    main()
