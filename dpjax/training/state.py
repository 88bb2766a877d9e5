"""Everything that one update reads and writes, as one tree of arrays."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from flax import linen as nn

from dpjax import config
from dpjax.models import zoo
from dpjax.tasks import task as tasks_task

# Streams of randomness drawn from the run's one seed.
INIT, EXAMPLES, DROPOUT = range(3)


@flax.struct.dataclass
class TrainState:
    """The state of a run after `step` updates; identical on every device.

    Attributes:
        step: updates tried so far, int32.
        params: parameters of the network, float32.
        model_state: its other variables, such as batch statistics; may be empty.
        opt_state: the optimiser's memory.
        ema: averaged parameters that are evaluated; empty when the run keeps none.
        skipped: updates refused because loss or gradient was not finite, int32.
        streak: refused updates in a row, int32.
        sums: sum of each logged term since the last log line.
        counts: what each sum is divided by.
    """

    step: jax.Array
    params: Any
    model_state: Any
    opt_state: Any
    ema: Any
    skipped: jax.Array
    streak: jax.Array
    sums: dict[str, jax.Array]
    counts: dict[str, jax.Array]

    def variables(self) -> dict[str, Any]:
        """Returns what the model is evaluated with: averaged parameters if there are.

        Returns:
            {"params": ..., and the model's other collections}.
        """
        return {"params": self.ema or self.params, **self.model_state}


def stream_key(seed: int, stream: int) -> jax.Array:
    """Returns the PRNG key of one stream of a run.

    Args:
        seed: the run's seed.
        stream: INIT, EXAMPLES or DROPOUT.

    Returns:
        A typed scalar key.
    """
    return jax.random.fold_in(jax.random.key(seed), stream)


def term_names(
    task: tasks_task.Task, module: nn.Module, data: config.Data, variables: Any
) -> tuple[str, ...]:
    """Returns the names of the task's loss terms, found from shapes alone.

    Args:
        task: the task.
        module: the network.
        data: crop size.
        variables: the network's variables, or their shapes.

    Returns:
        Names in sorted order.
    """

    count = 2  # a task may look at pairs of examples

    def terms(variables, batch):
        keys = jax.random.split(jax.random.key(0), count)
        images, batch = task.inputs(batch, keys, data)
        return task.loss_terms(module.apply(variables, images), batch)

    return tuple(sorted(jax.eval_shape(terms, variables, task.batch_spec(data, count))))


def create(
    experiment: config.Experiment,
    module: nn.Module,
    tx: optax.GradientTransformation,
    start: dict[str, Any] | None = None,
) -> TrainState:
    """Returns the state before the first update; pure, so it runs under jit.

    Args:
        experiment: the run.
        module: its network.
        tx: its optimiser.
        start: variables to begin with; None draws them from the seed.

    Returns:
        A fresh state; no two leaves share memory once it comes out of jit.
    """
    key = stream_key(experiment.seed, INIT)
    if start is None:
        start = module.init(key, zoo.blank_input(module))
    variables = dict(start)
    params = variables.pop("params")
    names = term_names(
        experiment.task, module, experiment.data, {"params": params, **variables}
    )
    return TrainState(
        step=jnp.int32(0),
        params=params,
        model_state=variables,
        opt_state=tx.init(params),
        ema=jax.tree.map(jnp.copy, params) if experiment.optim.ema_decay else {},
        skipped=jnp.int32(0),
        streak=jnp.int32(0),
        sums={name: jnp.float32(0) for name in (*names, "grad_norm")},
        counts={name: jnp.float32(0) for name in (*names, "grad_norm")},
    )
