"""A photograph with four classes, scores of them, and how others enlarge scores."""

import numpy as np
import pytest

from dpjax.data import label_files
from dpjax.tasks import segmentation

NAMES = ("sky", "road", "tree", "car")


def task_of(**changes):
    return segmentation.Segmentation(**{"classes": NAMES, **changes})


def record(photo):
    """A photograph whose labels are its brightness, in part without labels."""
    gray = photo.mean(-1)
    labels = np.digitize(gray, np.quantile(gray, [0.25, 0.5, 0.75])).astype(np.uint8)
    labels[:20] = label_files.IGNORE
    return {"image": photo, "labels": labels, "id": "chelsea", "source": "x:train"}


def scores_of(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((*shape, len(NAMES))).astype(np.float32)


def logits(labels, gain=10.0, count=4):
    return gain * np.eye(count, dtype=np.float32)[np.minimum(labels, 3)]


def by_torch(scores, size, mode):
    """Scores [b, h, w, k] enlarged by PyTorch, or "cubic" by a loop, in float64."""
    if mode == "cubic":
        return by_keys(by_keys(scores.astype(np.float64), 1, size[0]), 2, size[1])
    torch = pytest.importorskip("torch")
    x = torch.from_numpy(scores.astype(np.float64).transpose(0, 3, 1, 2))
    corners = mode == "align_corners"
    y = torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=corners)
    return y.numpy().transpose(0, 2, 3, 1)


def by_keys(x, axis, count):
    """Keys' cubic of a = -1/2 between pixel centres, the mirrored map beyond."""
    x, length = np.moveaxis(x, axis, 0), x.shape[axis]
    y = np.zeros((count, *x.shape[1:]))
    for i in range(count):
        place = (i + 0.5) * length / count - 0.5
        for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            d = abs(place - tap)
            near = 1.5 * d**3 - 2.5 * d**2 + 1
            far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
            mirrored = -1 - tap if tap < 0 else min(tap, 2 * length - 1 - tap)
            y[i] += (near if d <= 1 else far) * x[mirrored]
    return np.moveaxis(y, 0, axis)
