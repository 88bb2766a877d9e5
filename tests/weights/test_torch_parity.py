"""RED-Net with a PyTorch network's weights gives that network's output."""

import numpy as np
import pytest

from dpjax.models import zoo
from dpjax.weights import importers, store

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


class TorchRedNet(torch.nn.Module):
    """Convolutions, transposed convolutions and skips of the authors' definition."""

    def __init__(self, half, width, channels, stride, skips):
        super().__init__()
        relu = torch.nn.ReLU()
        sizes = [channels] + [width] * half
        self.conv_layers = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.Conv2d(
                    sizes[i],
                    sizes[i + 1],
                    3,
                    padding=1,
                    stride=stride if i == 0 else 1,
                ),
                relu,
            )
            for i in range(half)
        )
        self.deconv_layers = torch.nn.ModuleList(
            torch.nn.Sequential(
                torch.nn.ConvTranspose2d(width, width, 3, padding=1), relu
            )
            for _ in range(half - 1)
        )
        self.deconv_layers.append(
            torch.nn.ConvTranspose2d(
                width, channels, 3, stride, padding=1, output_padding=stride - 1
            )
        )
        self.skips = skips

    def forward(self, image):
        x, maps = image, []
        for layer in self.conv_layers:
            x = layer(x)
            maps.append(x)
        for j, layer in enumerate(self.deconv_layers, 1):
            x = layer(x)
            if j in self.skips:
                x = torch.relu(x + maps[self.skips[j] - 1])
        return image + x


SKIPS = {  # deconvolution: convolution that is added
    10: {},
    20: {2: 8, 4: 6, 6: 4, 8: 2},
    30: {1: 14, 3: 12, 5: 10, 7: 8, 9: 6, 11: 4, 13: 2},
}


@pytest.mark.parametrize(
    ("depth", "channels", "stride", "size"),
    [
        (10, 1, 1, (17, 23)),
        (20, 3, 1, (15, 9)),
        (30, 1, 1, (21, 13)),
        (20, 3, 2, (14, 22)),
        (30, 3, 2, (18, 10)),
    ],
)
@pytest.mark.parametrize("is_zip", [True, False])
def test_the_output_is_that_of_pytorch(tmp_path, depth, channels, stride, size, is_zip):
    torch.manual_seed(depth)
    network = TorchRedNet(depth // 2, 12, channels, stride, SKIPS[depth]).eval()
    with torch.no_grad():  # outputs of the default initialisation would vanish
        for parameter in network.parameters():
            parameter.mul_(1.7 if parameter.ndim == 4 else 1.0)
    path = tmp_path / "network.pth"
    torch.save(network.state_dict(), path, _use_new_zipfile_serialization=is_zip)
    variables = importers.rednet_variables(importers.read_arrays(path))
    module = zoo.create_module(
        f"rednet{depth}", widths=12, channels=channels, stride=stride
    )
    store.check_matches(variables, module)
    x = np.random.default_rng(0).random((2, *size, channels), np.float32)
    with torch.no_grad():
        want = network(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    want = want.transpose(0, 2, 3, 1)
    residual = np.abs(want - x).max()
    assert residual > 0.02
    got = np.asarray(module.apply(variables, x))
    assert np.abs(got - want).max() <= 1e-4 * residual
