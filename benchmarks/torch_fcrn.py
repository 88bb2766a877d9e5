"""FCRN in PyTorch, written from the paper and the authors' table of layers.

It names its modules as the public port does, so that the conversion of weights is
compared too.
"""

import itertools

import torch
from torch.nn import functional

# Zeros left, right, above and below, and first row and column, of the four parts.
GEOMETRIES = {
    "unpool": (
        ((1, 1, 1, 1), (0, 0)),
        ((1, 1, 0, 1), (1, 0)),
        ((0, 1, 1, 1), (0, 1)),
        ((0, 1, 0, 1), (1, 1)),
    ),
    "shifted": (
        ((1, 1, 1, 1), (0, 0)),
        ((1, 1, 1, 0), (1, 0)),
        ((1, 0, 1, 1), (0, 1)),
        ((1, 0, 1, 0), (1, 1)),
    ),
    "exchanged": (
        ((1, 1, 1, 1), (0, 0)),
        ((1, 1, 1, 0), (0, 1)),
        ((1, 0, 1, 1), (1, 0)),
        ((1, 0, 1, 0), (1, 1)),
    ),
}
_KERNELS = ((3, 3), (2, 3), (3, 2), (2, 2))


class UpProjection(torch.nn.Module):
    """Two up-convolutions, each as four convolutions with interleaved results."""

    def __init__(self, inside, outside, geometry):
        super().__init__()
        self.geometry = GEOMETRIES[geometry]
        for branch in (1, 2):
            for i, kernel in enumerate(_KERNELS, 1):
                layer = torch.nn.Conv2d(inside, outside, kernel)
                self.add_module(f"conv{branch}_{i}", layer)
            self.add_module(f"bn1_{branch}", torch.nn.BatchNorm2d(outside))
        self.conv3 = torch.nn.Conv2d(outside, outside, 3, padding=1)
        self.bn2 = torch.nn.BatchNorm2d(outside)

    def _up(self, x, branch):
        parts = [
            getattr(self, f"conv{branch}_{i}")(functional.pad(x, pads))
            for i, (pads, _) in enumerate(self.geometry, 1)
        ]
        b, channels, height, width = parts[0].shape
        out = torch.empty(b, channels, 2 * height, 2 * width, dtype=x.dtype)
        for part, (_, (row, column)) in zip(parts, self.geometry, strict=True):
            out[:, :, row::2, column::2] = part
        return getattr(self, f"bn1_{branch}")(out)

    def forward(self, x):
        y = self.bn2(self.conv3(self._up(x, 1).relu()))
        return (y + self._up(x, 2)).relu()


class FCRN(torch.nn.Module):
    """A torchvision ResNet without its head, and up-projections; gives raw numbers."""

    def __init__(self, resnet, widths=(1024, 512, 256, 128, 64), geometry="unpool"):
        super().__init__()
        for name in ("conv1", "bn1", "maxpool", *(f"layer{i}" for i in range(1, 5))):
            self.add_module(name, getattr(resnet, name))
        self.conv2 = torch.nn.Conv2d(2048, widths[0], 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(widths[0])
        for i, (given, wanted) in enumerate(itertools.pairwise(widths), 1):
            self.add_module(f"up{i}", UpProjection(given, wanted, geometry))
        self.conv3 = torch.nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, x):
        x = self.maxpool(self.bn1(self.conv1(x)).relu())
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        x = self.bn2(self.conv2(x))
        for i in range(1, 5):
            x = getattr(self, f"up{i}")(x)
        return self.conv3(x)
