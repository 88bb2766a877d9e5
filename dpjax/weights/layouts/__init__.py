"""Names of public checkpoints: a file for each family, a line here for each network."""

from dpjax.weights import renaming
from dpjax.weights.layouts import (
    inception,
    mobilenet,
    preact_resnet,
    resnet,
    vgg,
    wide_resnet,
)

# By the class of the network, or of the backbone of a classifier.
BY_NETWORK: dict[str, dict[str, renaming.Layout]] = {
    "InceptionResNetV2": inception.RESNET_V2,
    "InceptionV4": inception.V4,
    "MobileNetV2": mobilenet.LAYOUTS,
    "PreActResNet": preact_resnet.LAYOUTS,
    "ResNet": resnet.LAYOUTS,
    "VGG16": vgg.LAYOUTS,
    "WideResNet": wide_resnet.LAYOUTS,
}
