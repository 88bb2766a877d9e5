"""Names of public checkpoints: a file for each family, a line here for each network."""

import dataclasses
from collections.abc import Mapping

from flax import linen as nn

from dpjax import errors
from dpjax.models import fixed_size, segmenter
from dpjax.weights import renaming
from dpjax.weights.layouts import (
    cnn_f,
    deeplab,
    fcn,
    fcrn,
    inception,
    mobilenet,
    preact_resnet,
    redweb,
    refinenet,
    resnet,
    vgg,
    wide_resnet,
)

# By the class of the network, of the backbone of a classifier, or of the decoder.
BY_NETWORK: dict[str, dict[str, renaming.Layout]] = {
    "ASPP": deeplab.LAYOUTS,
    "CNNF": cnn_f.LAYOUTS,
    "DilatedHead": wide_resnet.FCN_LAYOUTS,
    "FCN": fcn.LAYOUTS,
    "FusionDecoder": redweb.LAYOUTS,
    "InceptionResNetV2": inception.RESNET_V2,
    "InceptionV4": inception.V4,
    "LargeFOV": deeplab.LARGE_FOV,
    "MobileNetV2": mobilenet.LAYOUTS,
    "PreActResNet": preact_resnet.LAYOUTS,
    "RefineNet": refinenet.LAYOUTS,
    "ResNet": resnet.LAYOUTS,
    "UpProjections": fcrn.LAYOUTS,
    "VGG16": vgg.LAYOUTS,
    "WideResNet": wide_resnet.LAYOUTS,
}


def of(module: nn.Module) -> dict[str, renaming.Layout]:
    """Returns the layouts that the names of a network's checkpoint may follow.

    A network that scores pixels may also start from a classifier on its backbone, whose
    matrix then stands for the decoder: skip "decoder/*".

    Args:
        module: a classifier or a segmenter of the zoo, or what stands on one, whose
            arrays have no public names: skip "crf/*" of a CRF, and "head/*" too of a
            network over superpixels.

    Returns:
        Layouts by their names.

    Raises:
        UserError: nothing is known of public checkpoints.
    """
    for above in ("segmenter", "unary", "trunk"):  # what a network may stand on
        module = getattr(module, above, module)
    found = BY_NETWORK.get(type(module.backbone).__name__, {})
    if isinstance(module, (segmenter.Segmenter, fixed_size.FixedSizeNetwork)):
        start = {
            name: dataclasses.replace(layout, rules=_without_head(layout.rules))
            for name, layout in found.items()
        }
        found = {**start, **BY_NETWORK.get(type(module.decoder).__name__, {})}
    if not found:
        raise errors.UserError(
            f"No names of public checkpoints are known for {type(module).__name__}, "
            f"only for {', '.join(BY_NETWORK)}. Add a layout."
        )
    return found


def _without_head(rules: Mapping[str, str]) -> dict[str, str]:
    return {name: path.replace("head/", "decoder/", 1) for name, path in rules.items()}
