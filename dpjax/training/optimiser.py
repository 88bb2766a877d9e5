"""The update rule of a run, put together from optax."""

import fnmatch
import operator
from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax
from flax import traverse_util
from jax import lax
from jax import numpy as jnp

from dpjax import config, errors


def make_schedule(optim: config.Optim, total_steps: int) -> optax.Schedule:
    """Returns the learning rate as a function of the number of updates done.

    Args:
        optim: the rule; see `config.Optim`.
        total_steps: updates of the run; the decay ends there.

    Returns:
        A function from an update count to a learning rate.

    Raises:
        UserError: a warm-up as long as the run, or drops that are not in order.
    """
    if not 0 <= optim.warmup_steps < max(total_steps, 1):
        raise errors.UserError(
            f"optim.warmup_steps must lie in 0..{total_steps - 1} (total_steps - 1), "
            f"got {optim.warmup_steps}. Shorten the warm-up or lengthen the run."
        )
    decay_steps = max(total_steps - optim.warmup_steps, 1)
    if optim.schedule == "cosine":
        alpha = optim.end_lr / optim.lr if optim.lr else 0.0
        main = optax.cosine_decay_schedule(optim.lr, decay_steps, alpha)
    elif optim.schedule == "polynomial":
        main = optax.polynomial_schedule(
            optim.lr, optim.end_lr, optim.power, decay_steps
        )
    elif optim.schedule == "step":
        if not optim.drop_at or list(optim.drop_at) != sorted(set(optim.drop_at)):
            raise errors.UserError(
                'optim.schedule "step" wants optim.drop_at as rising update numbers, '
                f"got {optim.drop_at}. Example: --optim.drop-at 20000 40000."
            )
        # join_schedules counts from the end of the warm-up; drops count from 0.
        drops = {at - optim.warmup_steps: optim.drop_by for at in optim.drop_at}
        main = optax.piecewise_constant_schedule(optim.lr, drops)
    else:
        main = optax.constant_schedule(optim.lr)
    if not optim.warmup_steps:
        return main
    warmup = optax.linear_schedule(0.0, optim.lr, optim.warmup_steps)
    return optax.join_schedules([warmup, main], [optim.warmup_steps])


def decay_mask(params: Any, patterns: tuple[str, ...]) -> Any:
    """Returns which parameters are decayed.

    Args:
        params: the tree of parameters.
        patterns: shell-style patterns of paths ("*/bias") that are left alone.

    Returns:
        A tree of bool like `params`.
    """
    return jax.tree.map(operator.not_, _fitting(params, patterns))


def hold(params: Any, factors: Mapping[str, float]) -> Any:
    """Returns parameters, as constants where their learning rate is 0.

    No gradient is computed for them, and none of theirs counts where norms are limited.

    Args:
        params: the tree of parameters.
        factors: shell-style patterns of paths and what the learning rate is multiplied
            by; the first that fits counts.

    Returns:
        The same values.
    """
    flat = traverse_util.flatten_dict(params, sep="/")
    held = {
        path: value if _factor(path, factors) else lax.stop_gradient(value)
        for path, value in flat.items()
    }
    return traverse_util.unflatten_dict(held, sep="/")


def hold_statistics(new: Any, old: Any, factors: Mapping[str, float]) -> Any:
    """Returns what layers have counted, unchanged where their learning rate is 0.

    A part that is left as it is must not change by the batches that it sees either,
    as batch normalisation's running means would.

    Args:
        new: the network's collections but its parameters, after an update.
        old: before it.
        factors: as for `hold`; the patterns are tried on the paths of the statistics,
            without the name of the collection.

    Returns:
        The one or the other of each array.
    """
    found = {}
    for name, collection in new.items():
        before = traverse_util.flatten_dict(old[name], sep="/")
        after = traverse_util.flatten_dict(collection, sep="/")
        chosen = {k: v if _factor(k, factors) else before[k] for k, v in after.items()}
        found[name] = traverse_util.unflatten_dict(chosen, sep="/")
    return found


def _fitting(params: Any, patterns: tuple[str, ...]) -> Any:
    flat = traverse_util.flatten_dict(params, sep="/")
    fits = {
        path: any(fnmatch.fnmatch(path, pattern) for pattern in patterns)
        for path in flat
    }
    return traverse_util.unflatten_dict(fits, sep="/")


def make_optimiser(
    optim: config.Optim, total_steps: int
) -> optax.GradientTransformation:
    """Returns the whole update rule: clipping, moments, decay, learning rate.

    Args:
        optim: the rule.
        total_steps: updates of the run.

    Returns:
        An optax transformation.

    Raises:
        UserError: a negative learning rate, a drop factor or decay out of range, or
            Nesterov's momentum where there is none.
    """
    if not optim.lr > 0:
        raise errors.UserError(f"optim.lr must be positive, got {optim.lr}.")
    if not 0 <= optim.ema_decay < 1:
        raise errors.UserError(
            f"optim.ema_decay must lie in [0, 1), got {optim.ema_decay}. "
            "0 turns averaging off."
        )
    if optim.nesterov and (optim.name != "sgd" or not optim.momentum):
        raise errors.UserError(
            'optim.nesterov is a momentum of "sgd"; got '
            f"{optim.name} with momentum {optim.momentum}. Turn it off."
        )
    mask = lambda params: decay_mask(params, optim.no_decay)  # noqa: E731
    decay = optax.add_decayed_weights(optim.weight_decay, mask)
    chain = []
    if optim.clip_norm is not None:
        chain.append(optax.clip_by_global_norm(optim.clip_norm))
    if optim.weight_decay and optim.name != "adamw":
        chain.append(decay)
    if optim.name == "sgd":
        chain.append(optax.trace(optim.momentum, nesterov=optim.nesterov))
    else:
        chain.append(optax.scale_by_adam(optim.b1, optim.b2, optim.eps))
    if optim.weight_decay and optim.name == "adamw":
        chain.append(decay)
    chain.append(optax.scale_by_learning_rate(make_schedule(optim, total_steps)))
    if optim.lr_factors:
        chain.append(optax.stateless(_scale_by(optim.lr_factors)))
    if optim.nonnegative:
        chain.append(optax.stateless(_project(optim.nonnegative)))
    return optax.chain(*chain)


def _scale_by(factors: Mapping[str, float]) -> Callable[[Any, Any], Any]:
    def scale(updates, params):
        flat = traverse_util.flatten_dict(updates, sep="/")
        for pattern in factors:
            if not fnmatch.filter(flat, pattern):
                raise errors.UserError(
                    f"optim.lr_factors names {pattern!r}, which fits no parameter. "
                    f"They are called like {next(iter(flat))!r}."
                )
        scaled = {path: value * _factor(path, factors) for path, value in flat.items()}
        return traverse_util.unflatten_dict(scaled, sep="/")

    return scale


def _project(patterns: tuple[str, ...]) -> Callable[[Any, Any], Any]:
    def project(updates, params):
        flat = traverse_util.flatten_dict(params, sep="/")
        for pattern in patterns:
            if not fnmatch.filter(flat, pattern):
                raise errors.UserError(
                    f"optim.nonnegative names {pattern!r}, which fits no parameter. "
                    f"They are called like {next(iter(flat))!r}."
                )
        return jax.tree.map(
            lambda fits, update, value: jnp.maximum(update, -value) if fits else update,
            _fitting(params, patterns),
            updates,
            params,
        )

    return project


def _factor(path: str, factors: Mapping[str, float]) -> float:
    fitting = (v for p, v in factors.items() if fnmatch.fnmatch(path, p))
    return next(fitting, 1.0)
