"""A wide ResNet in PyTorch, as a peer to measure against: the same layers and sums."""

from typing import Any

import numpy as np
import torch
from torch import nn

from dpjax.models import classifier


class WideResNet(nn.Module):
    """Units like those of `dpjax.models.wide_resnet`, with the classifier on them.

    Attributes:
        stem: the first convolution.
        levels: what the map goes through: pools and units.
        norm: the last normalisation.
        fc: the matrix of the head.
    """

    def __init__(self, module: classifier.Classifier, variables: Any):
        """Builds the network and copies parameters and statistics.

        Args:
            module: halves by pools whose missing pixels are at the bottom and right
                (equal to PyTorch's ceil mode at even sides).
            variables: its variables.
        """
        super().__init__()
        trunk = module.backbone
        if (trunk.halving, trunk.pool_pad) != ("pool", "same"):
            raise ValueError("This peer has the pools of Models A to F only.")
        params = variables["params"]["backbone"]
        statistics = variables["batch_stats"]["backbone"]
        layers = []
        for level, count in enumerate(trunk.units, 1):
            if 2 <= level <= trunk.halvings + 1:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            names = [f"b{level}_{i}" for i in range(count)]
            layers += [_Unit(params[name], statistics[name]) for name in names]
        self.stem = _conv(params["conv1a"])
        self.levels = nn.Sequential(*layers)
        self.norm = _norm(params["bn_out"], statistics["bn_out"])
        head = variables["params"]["head"]["fc"]
        self.fc = nn.Linear(*head["kernel"].shape)
        _copy(self.fc, weight=np.transpose(head["kernel"]), bias=head["bias"])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns one score for each class.

        Args:
            images: standardised, [b, 3, h, w].

        Returns:
            [b, k].
        """
        x = self.levels(self.stem(images))
        return self.fc(torch.relu(self.norm(x)).mean((2, 3)))


class _Unit(nn.Module):
    def __init__(self, params, statistics):
        super().__init__()
        letters = [letter for letter in "abc" if f"conv_{letter}" in params]
        self.norms = nn.ModuleList(
            _norm(params[f"bn_{n}"], statistics[f"bn_{n}"]) for n in letters
        )
        self.convs = nn.ModuleList(_conv(params[f"conv_{n}"]) for n in letters)
        self.proj = _conv(params["proj"]) if "proj" in params else None

    def forward(self, x):
        shortcut = x
        for i, (norm, conv) in enumerate(zip(self.norms, self.convs, strict=True)):
            x = torch.relu(norm(x))
            if i == 0 and self.proj is not None:
                shortcut = self.proj(x)
            x = conv(x)
        return shortcut + x


def _conv(params):
    kernel = np.asarray(params["kernel"])
    side, _, before, after = kernel.shape
    layer = nn.Conv2d(before, after, side, padding=side // 2, bias=False)
    _copy(layer, weight=kernel.transpose(3, 2, 0, 1))
    return layer


def _norm(params, statistics):
    layer = nn.BatchNorm2d(params["scale"].size)
    _copy(layer, weight=params["scale"], bias=params["bias"])
    _copy(layer, running_mean=statistics["mean"], running_var=statistics["var"])
    return layer


def _copy(layer, **arrays):
    with torch.no_grad():
        for name, array in arrays.items():
            getattr(layer, name).copy_(torch.from_numpy(np.array(array)))
