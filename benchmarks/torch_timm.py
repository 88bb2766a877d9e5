"""The public networks of timm, also where torchvision's own operators do not load."""

import functools
from types import ModuleType

import torch

# Of ImageNet, per channel.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@functools.cache
def load() -> ModuleType:
    """Returns the module timm.

    torchvision's build for GPUs does not load beside the processor build of PyTorch,
    but declares what two of its operators give; they are defined here then.

    Returns:
        timm.
    """
    try:
        import timm
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(
                f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        import timm

        timm._library = library  # it is undone when it is collected
    return timm


class Standardised(torch.nn.Module):
    """A network that takes images in [0, 1], as ours do."""

    def __init__(self, network: torch.nn.Module):
        """Keeps the network.

        Args:
            network: takes images less ImageNet's mean, over its deviation.
        """
        super().__init__()
        self.network = network
        for name, values in (("mean", _MEAN), ("deviation", _DEVIATION)):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Returns what the network makes of images.

        Args:
            images: RGB in [0, 1], [b, 3, h, w].

        Returns:
            The network's output.
        """
        return self.network((images - self.mean) / self.deviation)
