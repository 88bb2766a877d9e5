"""Weights of narrow networks that never learned, for depth above all, to be used."""

from pathlib import Path

import jax

from dpjax import config, tasks
from dpjax.models import zoo
from dpjax.tasks import depth
from dpjax.weights import store

ANY_SIZE = config.Model(
    "fcrn_resnet50", {"blocks": (1, 1, 1, 1), "up_widths": (8, 8, 8, 8, 8)}
)
ONE_SIZE = config.Model(
    "eigen2014",
    {
        "image_size": (76, 101),
        "widths": (4, 5, 6, 7, 8),
        "fc_width": 9,
        "fine_widths": (6, 5),
    },
)
LABELS = config.Model(  # three classes
    "refinenet_lw50",
    {
        "num_classes": 3,
        "backbone": "wide_resnet_16",
        "width": 1 / 16,
        "path_widths": (4, 4, 4, 4),
    },
)


def write(
    path: Path, model: config.Model = ANY_SIZE, task: tasks.Task | None = None
) -> Path:
    """Writes weights of a network for depth, at 96 x 128 pixels unless a task says."""
    _, variables = zoo.create_model(model.name, **model.options)
    card = {
        "name": path.stem,
        "model": config.encode(model),
        "task": config.encode(task or depth.Depth(size=(96, 128))),
        "config": None,
        "scores": [],
    }
    store.save(path, jax.device_get(variables), card)
    return path
