"""A network that learns can learn a few examples by heart, in a real run's update."""

import cv2
import jax
import numpy as np
import pytest

from dpjax import config
from dpjax.data import degradations, label_files
from dpjax.metrics import confusion
from dpjax.metrics import segmentation as metrics
from dpjax.models import zoo
from dpjax.ops import enlarge
from dpjax.tasks import restoration, segmentation
from dpjax.training import optimiser, parallel, state, step

_WINDOW, _SIGMA_255 = 50, 50.0
_SIDE, _CLASSES = 64, 4
_SMOOTH = 8  # pixels: borders that scores of stride 4 can follow
_NETWORK = {
    "backbone": "wide_resnet_16",
    "width": 0.125,
    "path_widths": (32, 32, 32, 32),
    "num_classes": _CLASSES,
    "dropout": 0.0,
}


def _learn(experiment, records):
    """Trains on one batch; gives the network, its variables and all losses."""
    task, model = experiment.task, experiment.model
    module = zoo.create_module(model.name, **model.options)
    tx = optimiser.make_optimiser(experiment.optim, experiment.total_steps)
    form = parallel.open_devices(experiment, jax.devices()[:1])
    update = form.compile_step(step.make_train_step(task, module, tx, experiment))
    now = form.create(lambda: state.create(experiment, module, tx))
    examples = [
        task.train_example(record, np.random.default_rng(i), experiment.data)
        for i, record in enumerate(records)
    ]
    batch = {name: np.stack([e[name] for e in examples]) for name in examples[0]}
    # Noise belongs to the position: it is the same in every update.
    batch["position"] = np.arange(len(records), dtype=np.int32)
    batch["valid"] = np.ones(len(records), bool)
    batch, seen = form.put(batch), []
    for _ in range(experiment.total_steps):
        now, terms = update(now, batch)
        seen.append(terms["sums"]["loss"] / terms["counts"]["loss"])
    return module, jax.device_get(now.variables()), np.array(jax.device_get(seen))


@pytest.mark.slow
def test_four_noisy_patches_are_learned_by_heart(photo):
    noise = (degradations.GaussianNoise((_SIGMA_255, _SIGMA_255)),)
    experiment = config.Experiment(
        task=restoration.Restoration(noise, noise),
        model=config.Model("rednet10", {"widths": 16}),
        data=config.Data(("photos",), ("photos",), crop=(24, 24), batch_size=4),
        optim=config.Optim(lr=5e-4, schedule="cosine"),
        evaluation=config.Evaluation("dncnn"),
        record=config.Record(log_every=1),
        total_steps=300,
        parallel="shard_map",
    )
    _, _, losses = _learn(experiment, [{"image": photo}] * 4)
    noise = (_SIGMA_255 / 255) ** 2
    assert losses[0] == pytest.approx(noise, rel=0.2)  # it begins as the identity
    smooth = np.convolve(losses, np.ones(_WINDOW) / _WINDOW, mode="valid")
    assert (np.diff(smooth) < 0).all()
    # Ten times below the noise too: more than a loss that only began too high.
    assert smooth[-1] < min(losses[0], noise) / 10


def _pictures(photo):
    """Two crops, whose classes are steps of a smooth brightness; some are unknown."""
    for left in (60, 260):
        image = photo[90 : 90 + _SIDE, left : left + _SIDE]
        smooth = cv2.GaussianBlur(image.mean(-1), (0, 0), _SMOOTH)
        labels = np.digitize(smooth, np.quantile(smooth, [0.25, 0.5, 0.75]))
        labels = labels.astype(np.uint8)
        labels[:4] = label_files.IGNORE
        yield {"image": image, "labels": labels}


def _miou(truth, told):
    known = truth != label_files.IGNORE
    matrix = confusion.confusion(truth[known], told[known], _CLASSES)
    return metrics.summary(matrix, "union")["miou"]


@pytest.mark.slow
def test_the_labels_of_two_pictures_are_learned_by_heart(photo):
    experiment = config.Experiment(
        # What is learned is what is asked: no random sizes and mirror images.
        task=segmentation.Segmentation(
            scales=(1.0, 1.0), mirror=False, upsampling="align_corners"
        ),
        model=config.Model("refinenet_lw50", _NETWORK),
        data=config.Data(("a",), ("a",), crop=(_SIDE, _SIDE), batch_size=2),
        optim=config.Optim(lr=3e-3, schedule="cosine", warmup_steps=10),
        evaluation=config.Evaluation("whole"),
        record=config.Record(log_every=1),
        total_steps=120,
        parallel="shard_map",
    )
    records = list(_pictures(photo))
    module, variables, losses = _learn(experiment, records)
    assert losses[0] == pytest.approx(
        np.log(_CLASSES), rel=0.2
    )  # it begins by guessing
    images = np.stack([record["image"] for record in records]) / np.float32(255)
    truth = np.stack([record["labels"] for record in records])
    scores = jax.jit(module.apply)(variables, images)
    scores = enlarge.to_size(scores, (_SIDE, _SIDE), experiment.task.upsampling)
    told = np.argmax(scores, -1)
    assert _miou(truth, told) > 95
    # Had each picture come with the labels of the other, those would be known so well.
    assert _miou(truth[::-1], told) < 50
