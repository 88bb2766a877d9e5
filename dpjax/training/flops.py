"""Arithmetic of a program, counted from its trace.

Only convolutions and matrix products count: two operations, a multiplication and an
addition, for each tap.  XLA has a count of its own, but it sees the body of a loop once
and differs between backends.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax


def count(function: Callable[..., Any], *arguments: Any) -> int:
    """Returns the floating-point operations of one call, on one device.

    Below `jax.shard_map` it is the share of one device.

    Args:
        function: what would be called; it is traced, not run.
        *arguments: trees of arrays or of `jax.ShapeDtypeStruct`.

    Returns:
        Operations in convolutions and matrix products.  A `while` loop of unknown
        length counts once, and of the branches of a condition the most costly one.
    """
    return _in_jaxpr(jax.jit(function).trace(*arguments).jaxpr)


def _in_jaxpr(jaxpr: Any) -> int:
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)  # a closed one holds an open one
    return sum(map(_in_equation, jaxpr.eqns))


def _in_equation(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "conv_general_dilated":
        return _in_convolution(equation)
    if name == "dot_general":
        (contracted, _), _ = params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return (
            2
            * equation.outvars[0].aval.size
            * math.prod(shape[axis] for axis in contracted)
        )
    inner = [_in_jaxpr(jaxpr) for jaxpr in _inner(params)]
    if name == "cond":
        return max(inner, default=0)
    return sum(inner) * (params["length"] if name == "scan" else 1)


def _in_convolution(equation: Any) -> int:
    numbers = equation.params["dimension_numbers"]
    shape = equation.invars[1].aval.shape
    taps = math.prod(shape[axis] for axis in numbers.rhs_spec[1:])
    # Zeros between the inputs, as in the gradient of a strided layer, are not work.
    zeros = math.prod(equation.params["lhs_dilation"])
    return 2 * equation.outvars[0].aval.size * taps // zeros


def _inner(params: dict[str, Any]) -> Iterator[Any]:
    for value in params.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if hasattr(part, "eqns") or hasattr(part, "jaxpr"):
                yield part
