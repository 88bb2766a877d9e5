"""A network that learns can learn four patches by heart, in a real run's update."""

import jax
import numpy as np
import pytest

from dpjax import config
from dpjax.data import degradations
from dpjax.models import zoo
from dpjax.tasks import restoration
from dpjax.training import optimiser, parallel, state, step

_STEPS, _WINDOW, _SIGMA_255 = 300, 50, 50.0


def _losses(photo):
    noise = (degradations.GaussianNoise((_SIGMA_255, _SIGMA_255)),)
    experiment = config.Experiment(
        task=restoration.Restoration(noise, noise),
        model=config.Model("rednet10", {"widths": 16}),
        data=config.Data(("photos",), ("photos",), crop=(24, 24), batch_size=4),
        optim=config.Optim(lr=5e-4, schedule="cosine"),
        evaluation=config.Evaluation("dncnn"),
        record=config.Record(log_every=1),
        total_steps=_STEPS,
        parallel="shard_map",
    )
    task, module = experiment.task, zoo.create_module("rednet10", widths=16)
    tx = optimiser.make_optimiser(experiment.optim, _STEPS)
    form = parallel.open_devices(experiment, jax.devices()[:1])
    update = form.compile_step(step.make_train_step(task, module, tx, experiment))
    now = form.create(lambda: state.create(experiment, module, tx))
    examples = [
        task.train_example({"image": photo}, np.random.default_rng(i), experiment.data)
        for i in range(4)
    ]
    batch = {name: np.stack([e[name] for e in examples]) for name in examples[0]}
    # The noise belongs to the position: it is the same in every update.
    batch["position"] = np.arange(4, dtype=np.int32)
    batch["valid"] = np.ones(4, bool)
    batch, seen = form.put(batch), []
    for _ in range(_STEPS):
        now, metrics = update(now, batch)
        seen.append(metrics["sums"]["loss"] / metrics["counts"]["loss"])
    return np.array(jax.device_get(seen))


@pytest.mark.slow
def test_four_noisy_patches_are_learned_by_heart(photo):
    losses = _losses(photo)
    noise = (_SIGMA_255 / 255) ** 2
    assert losses[0] == pytest.approx(noise, rel=0.2)  # it begins as the identity
    smooth = np.convolve(losses, np.ones(_WINDOW) / _WINDOW, mode="valid")
    assert (np.diff(smooth) < 0).all()
    # Ten times below the noise too: more than a loss that only began too high.
    assert smooth[-1] < min(losses[0], noise) / 10
