"""Networks that compile quickly and multiply exactly; variables changed by path."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from flax import linen as nn
from flax import traverse_util

FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower


def run(module: nn.Module, variables: dict, inputs: Any, **options: Any) -> Any:
    """What the network, or a part of one, makes of its inputs; options of its call."""
    call = functools.partial(module.apply, **options)
    with jax.default_matmul_precision("highest"):
        return jax.jit(call, compiler_options=FAST)(variables, inputs)


def changed(variables: dict, change: Callable[[str, Any], Any]) -> dict:
    """Applies `change` to (path, array)."""
    flat = traverse_util.flatten_dict(variables, sep="/")
    return traverse_util.unflatten_dict(
        {path: change(path, array) for path, array in flat.items()}, sep="/"
    )
