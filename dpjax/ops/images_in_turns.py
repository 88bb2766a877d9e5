"""A function of one image for a batch, as suits the device."""

from collections.abc import Callable
from typing import Any

import jax
from jax import custom_batching, lax


def for_each(
    function: Callable[..., Any], axes: int, *, under_vmap: bool = False
) -> Callable[..., Any]:
    """Returns the function over leading axes of all its arguments.

    On processors images take turns: one stays in the cache, and its iterations do not
    wait for those of another.  Elsewhere they are computed together.

    Args:
        function: of pytrees of arrays.
        axes: how many leading axes there are.
        under_vmap: images take turns under a `jax.vmap` around all of this, too.
            LAPACK needs that: called with several matrices, each of its calls waits for
            a thread of the pool that it runs on, so as many calls as there are threads
            wait for ever (jaxlib 0.10.2).  The function then gets all of its arrays as
            arguments, and carries no gradient back.

    Returns:
        The function of pytrees of arrays with these axes.
    """
    at_once = function
    in_turns = custom_batching.sequential_vmap(function) if under_vmap else function
    for _ in range(axes):
        at_once = jax.vmap(at_once)
        in_turns = jax.vmap(in_turns) if under_vmap else _map(in_turns)
    return lambda *given: lax.platform_dependent(*given, cpu=in_turns, default=at_once)


def _map(function):
    return lambda *given: lax.map(lambda one: function(*one), given)
