"""Strengths of a Gaussian CRF, numbers that are learned and stay at 0 or above."""

import math
from typing import Literal

import jax
from flax import linen as nn

from dpjax import errors

Pairwise = Literal["projected", "softplus"]

_LEAST = 1e-6  # softplus never gives 0


def check(start: float, pairwise: Pairwise) -> None:
    """Refuses strengths that make no CRF.

    Args:
        start: where each begins.
        pairwise: how they stay at 0 or above.

    Raises:
        UserError: an unknown way, or a start below 0.
    """
    if pairwise not in Pairwise.__args__:
        raise errors.unknown_name("pairwise strength", pairwise, Pairwise.__args__)
    if start < 0:
        raise errors.UserError(f"A CRF wants beta at 0 or above, got beta={start}.")


def learned(
    module: nn.Module, count: int, start: float, pairwise: Pairwise
) -> jax.Array:
    """Returns strengths, the parameter "beta" of a compact module.

    Args:
        module: the module whose parameter it is, while it is called.
        count: how many there are.
        start: where each begins.
        pairwise: how they stay at 0 or above: "projected" after each update (Liu et
            al., PAMI 2016), which `optim.nonnegative` has to do, or "softplus" of the
            parameter.

    Returns:
        float32 [count].
    """
    if pairwise == "softplus":
        start = max(start, _LEAST)
        start += math.log(-math.expm1(-start))  # the inverse of softplus
    beta = module.param("beta", nn.initializers.constant(start), (count,))
    return nn.softplus(beta) if pairwise == "softplus" else beta
