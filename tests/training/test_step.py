"""The update: the same on any number of devices; refuses what is not finite."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import AxisType, Mesh

from dpjax import config, errors
from dpjax.models import rednet
from dpjax.tasks import task
from dpjax.training import flops, optimiser, parallel, state, step


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


def _run(experiment, devices, count=6, how="pmap", batches=None, module=_MODULE):
    mesh = Mesh(
        np.array(jax.devices()[:devices]), ("batch",), axis_types=(AxisType.Auto,)
    )
    form = parallel.Parallel(how, mesh)
    tx = optimiser.make_optimiser(experiment.optim, experiment.total_steps)
    update = step.make_train_step(experiment.task, module, tx, experiment)
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
    now = form.create(lambda: state.create(experiment, module, tx))
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
    chex.assert_trees_all_close(many, one, rtol=1e-5, atol=1e-6)


def test_accumulation_equals_one_large_batch():
    whole, _ = _run(_experiment(), 2)
    optim = dataclasses.replace(_experiment().optim, accumulate=4)
    parts, _ = _run(_experiment(optim=optim), 2)
    chex.assert_trees_all_close(parts.params, whole.params, rtol=1e-4, atol=1e-6)


def test_padding_has_no_influence():
    whole, _ = _run(_experiment(), 2)
    spoiled = []
    for batch in _batches(6):
        image = np.where(batch["valid"][:, None, None, None], batch["image"], 7.0)
        spoiled.append({**batch, "image": image.astype(np.float32)})
    other, _ = _run(_experiment(), 2, batches=spoiled)
    chex.assert_trees_all_equal(other, whole)


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
        chex.assert_trees_all_equal(getattr(after, name), getattr(before, name))
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


@pytest.mark.parametrize("accumulate", [1, 2])
def test_parameters_of_rate_0_stay_and_cost_no_gradient(accumulate):
    def with_factor(factor):
        factors = {"conv1/*": factor, "deconv1/*": factor}
        optim = config.Optim("sgd", 0.1, lr_factors=factors, accumulate=accumulate)
        return _experiment(optim=optim)

    start = _run(with_factor(0.0), 2, count=0)[0].params
    held, seen = _run(with_factor(0.0), 2)
    # The oracle computes all gradients, and moves by nothing that float32 can see.
    slow, all_seen = _run(with_factor(1e-30), 2)
    chex.assert_trees_all_close(held.params, slow.params, rtol=1e-6, atol=1e-20)
    for name, layer in held.params.items():
        is_frozen = name in ("conv1", "deconv1")
        same = np.array_equal(layer["kernel"], start[name]["kernel"])
        assert same == is_frozen, name
    norms, all_norms = (
        [float(m["sums"]["grad_norm"]) for m in run] for run in (seen, all_seen)
    )
    assert all(0 < a < b for a, b in zip(norms, all_norms, strict=True))


class Normed(nn.Module):
    """A toy: two layers that count what they see."""

    channels = 1
    smallest_side = 8

    @nn.compact
    def __call__(self, x, train=False):
        for name in ("trunk", "head"):
            x = nn.Conv(1, (3, 3), name=f"{name}_conv")(x)
            x = nn.BatchNorm(not train, axis_name="batch", name=f"{name}_norm")(x)
        return x


@pytest.mark.parametrize("accumulate", [1, 2])
def test_statistics_of_a_part_of_rate_0_stay(accumulate):
    def counted(factors, count):
        optim = config.Optim("sgd", 0.1, lr_factors=factors, accumulate=accumulate)
        experiment = _experiment(optim=optim)
        found, _ = _run(experiment, 2, count=count, module=Normed())
        return found.model_state["batch_stats"]

    start = counted({}, 0)
    free, held = (counted(factors, 2) for factors in ({}, {"trunk_*": 0.0}))
    for kind in ("mean", "var"):
        for name, now in (("trunk_norm", held), ("head_norm", free)):
            was = start[name][kind]
            assert np.array_equal(now[name][kind], was) == (now is held), name
        assert not np.array_equal(free["trunk_norm"][kind], start["trunk_norm"][kind])
        assert not np.array_equal(held["head_norm"][kind], start["head_norm"][kind])


def test_a_frozen_trunk_is_passed_forward_only():
    def work(factors):
        optim = config.Optim("sgd", lr_factors=factors)
        experiment = _experiment(optim=optim, parallel="shard_map")
        tx = optimiser.make_optimiser(experiment.optim, experiment.total_steps)
        update = step.make_train_step(experiment.task, _MODULE, tx, experiment)
        form = parallel.open_devices(experiment)
        start = jax.eval_shape(lambda: state.create(experiment, _MODULE, tx))
        batch = experiment.task.batch_spec(experiment.data, 16)
        return flops.count(form.compile_step(update), start, batch)

    trunk = {f"conv{i}/*": 0.0 for i in (1, 2)}
    everything, held = work({}), work(trunk)
    # conv2 needs neither slope nor passes one down, conv1 has one for its kernel only.
    assert held < 0.8 * everything


@pytest.mark.parametrize("how", ["pmap", "shard_map"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_an_update_is_compiled_once_whatever_comes(how, accumulate):
    optim = dataclasses.replace(_experiment().optim, accumulate=accumulate)
    experiment = _experiment(parallel=how, optim=optim)
    form = parallel.open_devices(experiment)
    tx = optimiser.make_optimiser(experiment.optim, experiment.total_steps)
    update = step.make_train_step(experiment.task, _MODULE, tx, experiment)
    chex.clear_trace_counter()  # it is kept by source line, over all of these cases
    compiled = form.compile_step(chex.assert_max_traces(update, n=1))
    now = form.create(lambda: state.create(experiment, _MODULE, tx))
    batches = list(_batches(4))
    batches[1]["image"][0] = np.nan
    batches[2]["valid"][:] = False
    for batch in batches:
        now, _ = compiled(now, form.put(batch))
    assert (int(now.step), int(now.skipped)) == (4, 1)
    chex.assert_tree_all_finite(now)


@dataclasses.dataclass(frozen=True)
class Averaging(Sharpen):
    """Breaks the contract: a mean for the batch in place of a number for each image."""

    def loss_terms(self, outputs, batch):
        total, count = super().loss_terms(outputs, batch)["loss"]
        return {"loss": (total, count.sum())}


def test_a_loss_that_is_no_sum_per_example_is_refused():
    with pytest.raises(AssertionError, match="sum and count of 'loss' are one number"):
        _run(_experiment(task=Averaging()), 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda batch: {**batch, "image": batch["image"].astype(np.float16)},
        lambda batch: {**batch, "image": batch["image"][:, :-1]},
        lambda batch: {**batch, "labels": batch["valid"]},
    ],
)
def test_a_batch_that_is_not_the_planned_one_is_refused(change):
    batches = [change(batch) for batch in _batches(1)]
    with pytest.raises(AssertionError, match=r"shapes_and_dtypes failed"):
        _run(_experiment(), 2, batches=batches)


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
