"""Every network that gives a feature pyramid, by name, and its classifier.

One line for each, with its published options.
"""

import functools
from collections.abc import Callable
from typing import Any

from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import (
    classifier,
    inception,
    inception_resnet_v2,
    inception_v4,
    mobilenet,
    preact_resnet,
    resnet,
    vgg,
    wide_resnet,
)

_PREACT = preact_resnet.PreActResNet
_PREACT_TIMM = functools.partial(_PREACT, stem="plain", input_style="half")


def _wide(name: str, **options: Any) -> Callable[..., nn.Module]:
    """A network by the paper's name for it."""
    return functools.partial(
        wide_resnet.WideResNet, **wide_resnet.parse(name), **options
    )


# These give a feature pyramid, {stride: map}; with a head they are classifiers.
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "inception_resnet_v2": inception_resnet_v2.InceptionResNetV2,
    "inception_v4": inception_v4.InceptionV4,
    "mobilenet_v2": mobilenet.MobileNetV2,
    # Public weights of 50 and 101 layers are timm's, of 200 fb.resnet.torch's.
    "preact_resnet50": functools.partial(_PREACT_TIMM, blocks=(3, 4, 6, 3)),
    "preact_resnet101": functools.partial(_PREACT_TIMM, blocks=(3, 4, 23, 3)),
    "preact_resnet152": functools.partial(_PREACT, blocks=(3, 8, 36, 3)),
    "preact_resnet200": functools.partial(_PREACT, blocks=(3, 24, 36, 3)),
    "resnet50": functools.partial(resnet.ResNet, blocks=(3, 4, 6, 3)),
    "resnet101": functools.partial(resnet.ResNet, blocks=(3, 4, 23, 3)),
    "resnet152": functools.partial(resnet.ResNet, blocks=(3, 8, 36, 3)),
    "vgg16": vgg.VGG16,
    "vgg16_bn": functools.partial(vgg.VGG16, has_norm=True),
    "wide_resnet_16": _wide("224-0-1-1-1-1-1-1"),
    "wide_resnet_a": _wide("224-0-3-3-6-3-1-1"),
    "wide_resnet_a1": _wide("224-0-3-3-6-3-1-1", halving="conv"),
    "wide_resnet_a2": _wide("224-0-3-3-6-3-1-1", halving="mixed"),
    "wide_resnet_b": _wide("224-0-1-1-1-3-1-1"),
    "wide_resnet_c": _wide("112-1-1-1-1-13-1-1"),
    "wide_resnet_d": _wide("112-1-1-1-1-9-1-1"),
    "wide_resnet_e": _wide("112-1-1-1-1-5-1-1"),
    "wide_resnet_f": _wide("56-1-1-1-1-9-1-1"),
}

# What classifies on a backbone, and the share that its published training left out;
# the others have one matrix, and left out nothing.
_HEADS: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v2": mobilenet.head,
    "vgg16": vgg.head,
    "vgg16_bn": vgg.head,
}
_DROPOUTS = {
    "inception_resnet_v2": inception.DROPOUT,
    "inception_v4": inception.DROPOUT,
    "mobilenet_v2": mobilenet.DROPOUT,
    "vgg16": vgg.DROPOUT,
    "vgg16_bn": vgg.DROPOUT,
}
# Sides of the images that classifiers were published with, pixels; 224 for the others.
USUAL_SIDE = 224
SIDES = {
    "inception_resnet_v2": 299,
    "inception_v4": 299,
    "wide_resnet_c": 112,
    "wide_resnet_d": 112,
    "wide_resnet_e": 112,
    "wide_resnet_f": 56,
}


def _classifier(
    backbone: str,
    *,
    dtype: jnp.dtype,
    num_classes: int = 1000,
    dropout: float = 0.0,
    **options: Any,
) -> nn.Module:
    trunk = BUILDERS[backbone](dtype=dtype, **options)
    head = _HEADS.get(backbone, classifier.linear_head)(trunk, num_classes, dropout)
    least = classifier.Classifier.smallest_side
    sides = [getattr(part, "smallest_side", least) for part in (trunk, head)]
    return classifier.Classifier(trunk, head, max(sides))


CLASSIFIERS = {
    name: functools.partial(_classifier, name, dropout=_DROPOUTS.get(name, 0.0))
    for name in BUILDERS
}
