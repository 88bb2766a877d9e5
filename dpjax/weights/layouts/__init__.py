"""Names of public checkpoints: a file for each family, a line here for each network."""

from flax import linen as nn

from dpjax import errors
from dpjax.weights import renaming
from dpjax.weights.layouts import (
    inception,
    mobilenet,
    preact_resnet,
    refinenet,
    resnet,
    vgg,
    wide_resnet,
)

# By the class of the decoder of a network, or of the backbone of a classifier.
BY_NETWORK: dict[str, dict[str, renaming.Layout]] = {
    "InceptionResNetV2": inception.RESNET_V2,
    "InceptionV4": inception.V4,
    "MobileNetV2": mobilenet.LAYOUTS,
    "PreActResNet": preact_resnet.LAYOUTS,
    "RefineNet": refinenet.LAYOUTS,
    "ResNet": resnet.LAYOUTS,
    "VGG16": vgg.LAYOUTS,
    "WideResNet": wide_resnet.LAYOUTS,
}


def of(module: nn.Module) -> dict[str, renaming.Layout]:
    """Returns the layouts that the names of a network's checkpoint may follow.

    Args:
        module: a classifier or a segmenter of the zoo.

    Returns:
        Layouts by their names.

    Raises:
        UserError: nothing is known of public checkpoints.
    """
    name = type(getattr(module, "decoder", None) or module.backbone).__name__
    if name not in BY_NETWORK:
        raise errors.UserError(
            f"No names of public checkpoints are known for {name}, only for "
            f"{', '.join(BY_NETWORK)}. Add a layout."
        )
    return BY_NETWORK[name]
