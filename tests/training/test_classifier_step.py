"""A network with batch statistics learns the same on any number of devices.

In float64: in float32 an activation near zero falls now and then on the other side of a
ReLU, which moves single gradients by more than the promised 1e-5.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from dpjax import config
from dpjax.models import zoo
from dpjax.tasks import classification
from dpjax.training import optimiser, parallel, state, step

COUNT, SIDE, UPDATES = 16, 32, 3


def experiment(norm="sync", **changes):
    options = {"blocks": (1, 1, 1, 1), "num_classes": 5, "norm": norm}
    base = config.Experiment(
        task=classification.Classification(
            side=SIDE, smoothing=0.1, mixup=0.4, cutmix=1.0
        ),
        model=config.Model("resnet50", options),
        data=config.Data(("x",), ("y",), crop=(SIDE, SIDE), batch_size=COUNT),
        optim=config.Optim(
            "sgd", lr=0.05, nesterov=True, weight_decay=1e-4, no_decay=("*/bias",)
        ),
        evaluation=config.Evaluation("single"),
        total_steps=UPDATES,
        seed=1,
    )
    return dataclasses.replace(base, **changes)


def batches():
    from skimage import data

    photo, rng = data.chelsea(), np.random.default_rng(0)
    for t in range(UPDATES):
        places = rng.integers((300 - SIDE, 451 - SIDE), size=(COUNT, 2))
        yield {
            "image": np.stack([photo[y : y + SIDE, x : x + SIDE] for y, x in places]),
            "label": rng.integers(0, 5, COUNT).astype(np.int32),
            "valid": np.ones(COUNT, bool),
            "position": np.arange(COUNT * t, COUNT * (t + 1), dtype=np.int32),
        }


def learned(devices, how="pmap", norm="sync"):
    """The state before and after a few updates."""
    run = experiment(norm)
    with jax.enable_x64(True):
        module = zoo.create_module(
            run.model.name, compute_dtype="float64", **run.model.options
        )
        mesh = Mesh(
            np.array(jax.devices()[:devices]), (step.AXIS,), axis_types=(AxisType.Auto,)
        )
        form = parallel.Parallel(how, mesh)
        tx = optimiser.make_optimiser(run.optim, run.total_steps)
        update = step.make_train_step(run.task, module, tx, run)
        if how == "pmap":
            update = jax.pmap(
                update,
                axis_name=step.AXIS,
                in_axes=(None, 0),
                out_axes=(None, None),
                devices=list(mesh.devices),
            )
        else:
            update = form.compile_step(update)
        example = zoo.example_input(module)
        start = jax.jit(module.init)(jax.random.key(0), jnp.zeros(example.shape))
        start = jax.tree.map(lambda a: a.astype(float), start)
        now = form.create(lambda start: state.create(run, module, tx, start), start)
        first = jax.device_get(now)
        for batch in batches():
            now, _ = update(now, form.put(batch))
        return first, jax.device_get(now)


@pytest.fixture(scope="module")
def alone():
    return learned(1)


def parts(now):
    return {"params": now.params, "batch_stats": now.model_state["batch_stats"]}


def distance(got, want, first):
    """How far apart two ends are, relative to the way from the start to one of them."""

    def length(one, other):
        squares = jax.tree.map(
            lambda a, b: np.square(a - b).sum(dtype=float), one, other
        )
        return np.sqrt(sum(jax.tree.leaves(squares)))

    got, want, first = map(parts, (got, want, first))
    return {k: length(got[k], want[k]) / length(want[k], first[k]) for k in want}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("devices", "how"), [(2, "pmap"), (4, "shard_map"), (8, "pmap")]
)
def test_devices_do_not_change_what_is_learned(alone, devices, how):
    first, want = alone
    _, got = learned(devices, how)
    assert max(distance(got, want, first).values()) < 1e-6
    chex.assert_trees_all_close(parts(got), parts(want), rtol=1e-5, atol=1e-9)
    assert int(got.skipped) == 0
    assert float(got.counts["loss"]) == COUNT * UPDATES


@pytest.mark.slow
def test_statistics_of_each_device_alone_would_change_it(alone):
    first, want = alone
    _, got = learned(2, norm="device")
    assert min(distance(got, want, first).values()) > 1e-2
