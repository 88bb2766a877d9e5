"""Strengths of a Gaussian CRF, numbers that are learned and stay at 0 or above."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import jax
import numpy as np
from flax import linen as nn

from dpjax import errors
from dpjax.ops.crf import gaussian

Pairwise = Literal["projected", "softplus"]

_SCOPE, _NAME = "crf", "beta"
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
    beta = module.param(_NAME, nn.initializers.constant(start), (count,))
    return nn.softplus(beta) if pairwise == "softplus" else beta


def check_learned(module: nn.Module, variables: Mapping[str, Any], name: str) -> None:
    """Refuses weights of a network whose Gaussian CRF is none, as compiled code cannot.

    Args:
        module: the network.
        variables: its parameters, which fit it.
        name: of the weights, for messages.

    Raises:
        UserError: a strength below 0 that stays as it is, or a number of the CRF that
            is not finite.
    """
    learned = variables["params"].get(_SCOPE, {})
    for path, values in learned.items():
        if not np.isfinite(values).all():
            raise errors.UserError(
                f"{_SCOPE}/{path} of {name} is not finite, so that nothing could be "
                "computed with it. Take other weights."
            )
    beta = learned.get(_NAME)
    if beta is None or getattr(module, "pairwise", "softplus") == "softplus":
        return
    try:
        gaussian.check_weights(beta)
    except errors.UserError as error:
        raise errors.UserError(f"{_SCOPE}/{_NAME} of {name}: {error}") from error
