"""The way to run a network over images of any size, chosen by what it takes."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax

from dpjax import errors
from dpjax.inference import ensemble as symmetries
from dpjax.inference import structured, windows
from dpjax.models import zoo

Engine = windows.Engine | structured.StructuredEngine | symmetries.SelfEnsemble


def open_engine(
    module: nn.Module,
    variables: Any,
    *,
    memory_bytes: int | None = None,
    ensemble: bool = False,
    devices: Sequence[jax.Device] | None = None,
) -> Engine:
    """Returns an engine with the network's parameters on the devices.

    Args:
        module: the network.
        variables: its parameters and statistics.
        memory_bytes: what a device may hold for one call, bytes; None as for
            `windows.Engine` and `structured.StructuredEngine`.
        ensemble: average over the eight flips and rotations.
        devices: None takes all devices of this process.

    Returns:
        An engine; its `map` takes what the task's `evaluation_input` gives.

    Raises:
        UserError: a budget too small for the network, or an ensemble of a network
            that takes more than an image.
    """
    if zoo.is_structured(module):
        if ensemble:
            raise errors.UserError(
                "The self-ensemble turns images, and this network takes more than an "
                "image, which would not turn with it. Leave the ensemble out."
            )
        return structured.StructuredEngine(
            module, variables, memory_bytes=memory_bytes, devices=devices
        )
    engine = windows.Engine(
        module, variables, memory_bytes=memory_bytes, devices=devices
    )
    return symmetries.SelfEnsemble(engine) if ensemble else engine
