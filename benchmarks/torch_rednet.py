"""RED-Net in PyTorch, as a peer to measure against: the same layers, the same sums."""

from typing import Any

import numpy as np
import torch
from torch import nn

from dpjax.models import rednet


class RedNet(nn.Module):
    """Convolutions, transposed convolutions and skips like `dpjax.models.rednet`.

    Attributes:
        encoder: the convolutions.
        decoder: the transposed convolutions.
        skips: decoder layer to the encoder layer that is added to it, from 1.
    """

    def __init__(self, module: rednet.RedNet, variables: Any):
        """Builds the network and copies the parameters.

        Args:
            module: stride 1, rectified before and after sums, global residual.
            variables: its variables.
        """
        super().__init__()
        half = module.depth // 2
        params = variables["params"]
        layers = (params[f"conv{i}"]["kernel"] for i in range(1, half + 1))
        ends = (module.channels, *(kernel.shape[-1] for kernel in layers))
        self.skips = module.skips
        self.encoder = nn.ModuleList(
            nn.Conv2d(ends[i], ends[i + 1], 3, padding=1) for i in range(half)
        )
        self.decoder = nn.ModuleList(
            nn.ConvTranspose2d(ends[half - j], ends[half - j - 1], 3, padding=1)
            for j in range(half)
        )
        with torch.no_grad():
            for i, layer in enumerate(self.encoder, start=1):
                _copy(layer, params[f"conv{i}"], (3, 2, 0, 1))
            for j, layer in enumerate(self.decoder, start=1):
                # Ours are stored as equivalent convolutions: flipped, [h, w, in, out].
                kernel = np.asarray(params[f"deconv{j}"]["kernel"])[::-1, ::-1]
                bias = params[f"deconv{j}"]["bias"]
                _copy(layer, {"kernel": kernel, "bias": bias}, (2, 3, 0, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns the restored images.

        Args:
            images: [b, c, h, w].

        Returns:
            The same shape.
        """
        x, encoded = images, {}
        for i, layer in enumerate(self.encoder, start=1):
            x = encoded[i] = torch.relu(layer(x))
        for j, layer in enumerate(self.decoder, start=1):
            x = layer(x)
            if j < len(self.decoder):
                x = torch.relu(x)
            if j in self.skips:
                x = torch.relu(x + encoded[self.skips[j]])
        return images + x


def _copy(layer, params, axes):
    kernel = np.array(params["kernel"]).transpose(axes).copy()
    layer.weight.copy_(torch.from_numpy(kernel))
    layer.bias.copy_(torch.from_numpy(np.array(params["bias"])))
