"""The update: the same on any number of devices; refuses what is not finite."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh

from dpjax import config, errors
from dpjax.models import rednet
from dpjax.tasks import task
from dpjax.training import optimiser, parallel, state, step


@dataclasses.dataclass(frozen=True)
class Sharpen(task.Task):
    """A toy: restore images from a noisy copy, with padding in the batch."""

    kind = "toy"
    best = "psnr"

    def batch_spec(self, data, batch_size):
        shape = (batch_size, *data.crop, 1)
        return {
            "image": jax.ShapeDtypeStruct(shape, jnp.float32),
            "valid": jax.ShapeDtypeStruct((batch_size,), jnp.bool_),
            "position": jax.ShapeDtypeStruct((batch_size,), jnp.int32),
        }

    def inputs(self, batch, keys, data):
        clean = batch["image"]
        noise = jax.vmap(lambda key, x: jax.random.normal(key, x.shape))(keys, clean)
        return clean + 0.1 * noise, batch

    def loss_terms(self, outputs, batch):
        valid = batch["valid"]
        squared = ((outputs - batch["image"]) ** 2).sum((1, 2, 3))
        size = float(np.prod(outputs.shape[1:]))
        return {"loss": (jnp.where(valid, squared, 0), valid * size)}


def _experiment(**changes):
    base = config.Experiment(
        task=Sharpen(),
        model=config.Model("toy"),
        data=config.Data(("x",), ("y",), crop=(8, 8), batch_size=16),
        optim=config.Optim(lr=1e-2, ema_decay=0.9),
        evaluation=config.Evaluation("none"),
        record=config.Record(log_every=3),
        total_steps=100,
        seed=3,
    )
    return dataclasses.replace(base, **changes)


_MODULE = rednet.RedNet(depth=4, widths=4)


def _batches(count, valid_share=0.6):
    rng = np.random.default_rng(0)
    for t in range(count):
        yield {
            "image": rng.random((16, 8, 8, 1), np.float32),
            # Padding is spread unevenly on purpose: a mean of means would show.
            "valid": np.arange(16) < 16 * valid_share,
            "position": np.arange(16 * t, 16 * t + 16, dtype=np.int32),
        }


def _run(experiment, devices, count=6, how="pmap", batches=None):
    mesh = Mesh(
        np.array(jax.devices()[:devices]), ("batch",), axis_types=(AxisType.Auto,)
    )
    form = parallel.Parallel(how, mesh)
    tx = optimiser.make_optimiser(experiment.optim, experiment.total_steps)
    update = step.make_train_step(experiment.task, _MODULE, tx, experiment)
    if how == "pmap":
        update = jax.pmap(
            update,
            axis_name="batch",
            in_axes=(None, 0),
            out_axes=(None, None),
            devices=list(mesh.devices),
        )
    else:
        update = form.compile_step(update)
    now = form.create(lambda: state.create(experiment, _MODULE, tx))
    seen = []
    for batch in _batches(count) if batches is None else batches:
        now, metrics = update(now, form.put(batch))
        seen.append(jax.device_get(metrics))
    return jax.device_get(now), seen


@pytest.mark.parametrize("how", ["pmap", "shard_map"])
@pytest.mark.parametrize("devices", [2, 4, 8])
def test_devices_do_not_change_the_update(devices, how):
    one, _ = _run(_experiment(), 1)
    many, _ = _run(_experiment(), devices, how=how)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_accumulation_equals_one_large_batch():
    whole, _ = _run(_experiment(), 2)
    optim = dataclasses.replace(_experiment().optim, accumulate=4)
    parts, _ = _run(_experiment(optim=optim), 2)
    for a, b in zip(
        jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_padding_has_no_influence():
    whole, _ = _run(_experiment(), 2)
    spoiled = []
    for batch in _batches(6):
        image = np.where(batch["valid"][:, None, None, None], batch["image"], 7.0)
        spoiled.append({**batch, "image": image.astype(np.float32)})
    other, _ = _run(_experiment(), 2, batches=spoiled)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(a, b)


def test_non_finite_updates_are_refused_and_counted():
    batches = list(_batches(6))
    before, _ = _run(_experiment(), 2, batches=batches[:3])
    for batch in batches[3:5]:
        batch["image"] = batch["image"].copy()
        batch["image"][0, 0, 0] = np.nan
    after, seen = _run(_experiment(), 2, batches=batches[:5])
    assert [int(m["streak"]) for m in seen] == [0, 0, 0, 1, 2]
    assert int(after.skipped) == 2
    assert int(after.step) == 5
    for name in ("params", "opt_state", "ema"):
        for a, b in zip(
            jax.tree.leaves(getattr(before, name)),
            jax.tree.leaves(getattr(after, name)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
    recovered, seen = _run(_experiment(), 2, batches=batches)
    assert int(seen[-1]["streak"]) == 0
    assert int(recovered.skipped) == 2


def test_average_follows_the_parameters_by_its_formula():
    experiment = _experiment(optim=config.Optim(lr=1e-2, ema_decay=0.3))
    batches = list(_batches(3))
    path = [_run(experiment, 1, batches=batches[:n])[0] for n in (1, 2, 3)]
    first = jax.device_get(
        state.create(experiment, _MODULE, optimiser.make_optimiser(experiment.optim, 9))
    ).params["conv1"]["kernel"]
    ema = first
    for age, now in enumerate(path):
        decay = min(0.3, (1 + age) / (10 + age))
        ema = decay * ema + (1 - decay) * now.params["conv1"]["kernel"]
        np.testing.assert_allclose(now.ema["conv1"]["kernel"], ema, rtol=1e-5)


def test_log_window_sums_since_the_last_line():
    _, seen = _run(_experiment(), 2, count=5)
    one_by_one = dataclasses.replace(_experiment(), record=config.Record(log_every=1))
    _, single = _run(one_by_one, 2, count=5)
    losses = [m["sums"]["loss"] for m in single]
    np.testing.assert_allclose(seen[2]["sums"]["loss"], sum(losses[:3]), rtol=1e-5)
    np.testing.assert_allclose(seen[4]["sums"]["loss"], sum(losses[3:]), rtol=1e-5)
    assert float(seen[2]["counts"]["grad_norm"]) == 3


def test_keys_belong_to_examples_not_to_places_in_a_batch():
    keys = step.example_keys(0, jnp.array([5, 9, 5]))
    data = jax.random.key_data(keys)
    assert (data[0] == data[2]).all()
    assert (data[0] != data[1]).any()


def test_batches_that_do_not_divide_are_refused():
    data = dataclasses.replace(_experiment().data, batch_size=12)
    with pytest.raises(errors.UserError, match=r"multiple of 8 .* got 12"):
        parallel.open_devices(_experiment(data=data))
