"""`python -m dpjax export WEIGHTS -o FILE`: a network as StableHLO."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from dpjax import config
from dpjax.cli import startup
from dpjax.inference import export, trained


@dataclasses.dataclass(frozen=True)
class Options:
    """Writes trained weights as StableHLO, which runs without dpjax.

    The file is compared with the network before it takes its place.

    Attributes:
        weights: a released name, a .safetensors file or the folder of a run.
        output: the file to write, such as m.stablehlo; a description goes beside it.
        platforms: where it shall run.
        parameters: baked into the file, or beside it in a .weights.safetensors file.
        size: fix height and width, pixels; default: any size.
        compute_dtype: type of the activations; default: what the weights' card says.
    """

    weights: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="WEIGHTS")]
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FILE")]
    platforms: tuple[str, ...] = ("cpu", "cuda", "tpu")
    parameters: Literal["baked", "beside"] = "baked"
    size: Annotated[tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH")] = (
        None
    )
    compute_dtype: config.ComputeDtype | None = None


def main(arguments: Sequence[str]) -> int:
    """Exports, and says what was written.

    Args:
        arguments: what was typed after `export`.

    Returns:
        The exit status, 0.

    Raises:
        UserError: unknown weights or platform.
        StorageError: the file cannot be written, or does not give the same result.
    """
    options = tyro.cli(Options, args=list(arguments), prog="python -m dpjax export")
    startup.use_compilation_cache()
    loaded = trained.load(options.weights, compute_dtype=options.compute_dtype)
    description = export.write(
        options.output,
        loaded.module,
        loaded.variables,
        card=loaded.card,
        weights=options.parameters,
        platforms=options.platforms,
        size=options.size,
    )
    megabytes = options.output.stat().st_size / 1e6
    print(
        f"{options.output}: {megabytes:.1f} MB, images "
        f"[{description['input']['shape']}], for {', '.join(description['platforms'])};"
        f" differs from the network by {description['parity']:.1g}"
    )
    return 0
