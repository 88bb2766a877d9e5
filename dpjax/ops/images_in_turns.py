"""A function of one image for a batch, as suits the device."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax


def for_each(function: Callable[..., Any], axes: int) -> Callable[..., Any]:
    """Returns the function over leading axes of all its arguments.

    On processors images take turns: one stays in the cache, and its iterations do not
    wait for those of another.  Elsewhere they are computed together.

    Args:
        function: of pytrees of arrays.
        axes: how many leading axes there are.

    Returns:
        The function of pytrees of arrays with these axes.
    """
    at_once = in_turns = function
    for _ in range(axes):
        at_once, in_turns = jax.vmap(at_once), _map(in_turns)
    return lambda *given: lax.platform_dependent(*given, cpu=in_turns, default=at_once)


def _map(function):
    return lambda *given: lax.map(lambda one: function(*one), given)
