"""FCN on VGG16: the public PyTorch port, and ImageNet's VGG16 to start from."""

from collections.abc import Sequence

import numpy as np

from dpjax.ops import bilinear
from dpjax.weights import renaming
from dpjax.weights.layouts import vgg


def _bilinear(shape: Sequence[int]) -> np.ndarray:
    """A kernel (in, out, h, w) that enlarges each class by itself."""
    given, wanted, rows, columns = shape
    kernel = np.outer(bilinear.triangle(rows), bilinear.triangle(columns))
    return np.eye(given, wanted)[:, :, None, None] * kernel


LAYOUTS = {
    # wkentaro/pytorch-fcn, which kept the names of the authors' Caffe networks.
    "pytorch-fcn": renaming.Layout(
        {
            r"(conv\d_\d)": r"backbone/\1",
            r"(fc[67])": r"decoder/\1",
            r"score_fr": r"decoder/head",
            r"score_pool4": r"decoder/head_16",
            r"score_pool3": r"decoder/head_8",
        },
        ignored=(),
        constants={r"upscore.*\.weight": _bilinear},
    ),
    "torchvision": renaming.Layout(
        {
            **vgg.features(has_norm=False),
            r"classifier\.0": r"decoder/fc6",
            r"classifier\.3": r"decoder/fc7",
            r"classifier\.6": r"decoder/head",
        },
        options={"input_style": "imagenet"},
    ),
}
