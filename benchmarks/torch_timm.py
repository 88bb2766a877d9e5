"""The public networks of timm, also where torchvision's own operators do not load."""

import functools
from types import ModuleType


@functools.cache
def load() -> ModuleType:
    """Returns the module timm.

    torchvision's build for GPUs does not load beside the processor build of PyTorch,
    but declares what two of its operators give; they are defined here then.

    Returns:
        timm.
    """
    import torch

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
