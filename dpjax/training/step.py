"""One update, on one device: pure, and the same whatever the number of devices.

Gradients of the *summed* loss are added over micro-batches and devices and divided
once by the number of valid elements on all of them.  A mean of per-device means would
differ as soon as padding or missing labels are spread unevenly.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn
from jax import lax

from dpjax import config
from dpjax.tasks import task as tasks_task
from dpjax.training import optimiser
from dpjax.training import state as states

AXIS = "batch"
Step = Callable[
    [states.TrainState, tasks_task.Batch],
    tuple[states.TrainState, dict[str, jax.Array]],
]


def make_train_step(
    task: tasks_task.Task,
    module: nn.Module,
    tx: optax.GradientTransformation,
    experiment: config.Experiment,
) -> Step:
    """Returns the per-device update (state, batch) -> (state, metrics).

    An update whose loss or gradient is not finite leaves parameters, optimiser and
    averages untouched; `state.skipped` and `state.streak` count it.

    Args:
        task: gives inputs and loss terms.
        module: the network.
        tx: the optimiser.
        experiment: seed, accumulation, averaging and log interval.

    Returns:
        A pure function to be mapped over the axis "batch"; its metrics are scalars
        that agree on all devices.
    """
    optim, seed = experiment.optim, experiment.seed

    def summed_loss(params, model_state, batch, dropout_key):
        keys = example_keys(seed, batch["position"])
        images, batch = task.inputs(batch, keys, experiment.data)
        outputs, model_state = module.apply(
            {"params": optimiser.hold(params, optim.lr_factors), **model_state},
            images,
            train=True,
            mutable=list(model_state),
            rngs={"dropout": dropout_key},
        )
        outputs = jax.tree.map(lambda x: x.astype(jnp.float32), outputs)
        terms = task.loss_terms(outputs, batch)
        for name, pair in terms.items():
            # A mean would be divided once more, and a scalar count is one per device.
            said = f"sum and count of {name!r} are one number for each example"
            chex.assert_shape(pair, keys.shape, custom_message=said)
        totals = {name: (s.sum(), c.sum()) for name, (s, c) in terms.items()}
        return totals["loss"][0], (totals, model_state)

    def step(state, batch):
        # Plans and compilations ahead of time rest on what the task says of its batch.
        planned = task.batch_spec(experiment.data, batch["position"].size)
        chex.assert_trees_all_equal_shapes_and_dtypes(batch, planned)
        params = lax.pcast(state.params, AXIS, to="varying")
        model_state = lax.pcast(state.model_state, AXIS, to="varying")
        dropout_key = jax.random.fold_in(
            states.stream_key(seed, states.DROPOUT), state.step
        )
        dropout_key = jax.random.fold_in(dropout_key, lax.axis_index(AXIS))
        gradient = jax.value_and_grad(summed_loss, has_aux=True)

        def micro_step(carry, inputs):
            totals, grads, model_state = carry
            part, index = inputs
            key = jax.random.fold_in(dropout_key, index)
            (_, (more, model_state)), new = gradient(params, model_state, part, key)
            totals = jax.tree.map(jnp.add, totals, more)
            return (totals, jax.tree.map(jnp.add, grads, new), model_state), None

        if optim.accumulate == 1:
            (_, (totals, model_state)), grads = gradient(
                params, model_state, batch, dropout_key
            )
        else:
            parts = jax.tree.map(
                lambda x: x.reshape(optim.accumulate, -1, *x.shape[1:]), batch
            )
            indices = jnp.arange(optim.accumulate)
            shapes = jax.eval_shape(
                lambda p: gradient(params, model_state, p, dropout_key)[0][1][0],
                jax.tree.map(lambda x: x[0], parts),
            )
            zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
            carry = (
                lax.pcast(zeros, AXIS, to="varying"),
                jax.tree.map(jnp.zeros_like, params),
                model_state,
            )
            (totals, grads, model_state), _ = lax.scan(
                micro_step, carry, (parts, indices)
            )

        totals, grads = lax.psum((totals, grads), AXIS)
        model_state = optimiser.hold_statistics(
            lax.pmean(model_state, AXIS), state.model_state, optim.lr_factors
        )
        count = jnp.maximum(totals["loss"][1], 1.0)
        grads = jax.tree.map(lambda g: g / count, grads)
        return _apply(state, grads, totals, model_state, tx, experiment)

    return step


def example_keys(seed: int, position: jax.Array) -> jax.Array:
    """Returns one PRNG key for each example of a batch.

    The key depends on the example's place in the stream only, never on the device or
    the process that happens to hold it.

    Args:
        seed: the run's seed.
        position: place in the endless training stream, int32 [b].

    Returns:
        Typed keys, [b].
    """
    base = states.stream_key(seed, states.EXAMPLES)
    return jax.vmap(lambda place: jax.random.fold_in(base, place))(position)


def _apply(
    state: states.TrainState,
    grads: Any,
    totals: dict[str, tuple[jax.Array, jax.Array]],
    model_state: Any,
    tx: optax.GradientTransformation,
    experiment: config.Experiment,
) -> tuple[states.TrainState, dict[str, jax.Array]]:
    norm = optax.tree.norm(grads)
    loss = totals["loss"][0] / jnp.maximum(totals["loss"][1], 1.0)
    finite = jnp.isfinite(loss) & jnp.isfinite(norm)
    updates, opt_state = tx.update(grads, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    ema = state.ema
    if experiment.optim.ema_decay:
        # A young average would remember the random start; let it forget faster.
        age = state.step.astype(jnp.float32)
        decay = jnp.minimum(experiment.optim.ema_decay, (1 + age) / (10 + age))
        ema = jax.tree.map(lambda e, p: decay * e + (1 - decay) * p, state.ema, params)

    def keep(new, old):
        return jax.tree.map(lambda n, o: jnp.where(finite, n, o), new, old)

    terms = {**totals, "grad_norm": (norm, jnp.float32(1))}
    fresh = state.step % experiment.record.log_every == 0

    def window(old, new):
        old = jnp.where(fresh, 0.0, old)
        return old + jnp.where(finite, new, 0.0)

    state = states.TrainState(
        step=state.step + 1,
        params=keep(params, state.params),
        model_state=keep(model_state, state.model_state),
        opt_state=keep(opt_state, state.opt_state),
        ema=keep(ema, state.ema),
        skipped=state.skipped + ~finite,
        streak=jnp.where(finite, 0, state.streak + 1),
        sums={name: window(state.sums[name], terms[name][0]) for name in state.sums},
        counts={
            name: window(state.counts[name], terms[name][1]) for name in state.counts
        },
    )
    # The state is donated to the next update; what the log reads must outlive it.
    seen = {"sums": state.sums, "counts": state.counts}
    return state, {**seen, "skipped": state.skipped, "streak": state.streak}
