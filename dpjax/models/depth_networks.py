"""Networks that were published for depth, by name.

Whatever gives numbers for each pixel can give a depth: every segmenter with
`num_classes=1`, too.  What the number means, such as natural logarithms of metres, is
for the loss to say.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import (
    alexnet,
    bin_head,
    eigen2014,
    eigen_fergus2015,
    fcrn,
    fixed_size,
    grid_crf,
    redweb,
    segmenters,
    vgg,
)

# A decoder, and the backbone that it was published on, as of segmenters.
DECODERS: dict[str, tuple[Callable[..., nn.Module], str]] = {
    "cls_resnet50": (bin_head.BinHead, "resnet50"),
    "cls_resnet101": (bin_head.BinHead, "resnet101"),
    "cls_resnet152": (bin_head.BinHead, "resnet152"),
    "fcrn_resnet50": (fcrn.UpProjections, "resnet50"),
    "redweb_resnet50": (redweb.FusionDecoder, "resnet50"),
    "redweb_resnet101": (redweb.FusionDecoder, "resnet101"),
    "redweb_resnet152": (redweb.FusionDecoder, "resnet152"),
}
# What was published about the backbone, where it is not its default.
_PRESETS: dict[str, dict[str, Any]] = {
    "cls_resnet50": {"output_stride": 8},
    "cls_resnet101": {"output_stride": 8},
    "cls_resnet152": {"output_stride": 8},
}
# For images of one size: the decoder, and what gives the map that its matrices read.
FIXED_SIZE: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "eigen2014": (eigen2014.CoarseToFine, alexnet.AlexNet),
    "eigen_fergus2015_alexnet": (eigen_fergus2015.ThreeScales, alexnet.AlexNet),
    "eigen_fergus2015_vgg16": (eigen_fergus2015.ThreeScales, vgg.VGG16),
}


def _fixed_size(
    decoder: Callable[..., nn.Module],
    trunk: Callable[..., nn.Module],
    *,
    dtype: jnp.dtype,
    num_classes: int = 1,
    image_size: Sequence[int] = (228, 304),
    crf: Literal["none", "grid", "grid_calibrated"] = "none",
    **options: Any,
) -> nn.Module:
    """A backbone and a decoder, each with the options that it has; perhaps a CRF."""
    of_grid = {name: options.pop(name) for name in grid_crf.OPTIONS if name in options}
    network = fixed_size.FixedSizeNetwork(
        trunk(dtype=dtype, **segmenters.understood(trunk, options)),
        decoder(
            num_classes=num_classes,
            dtype=dtype,
            **segmenters.understood(decoder, options),
        ),
        image_size,
    )
    if crf == "none":
        grid_crf.check_unused(crf, of_grid)
        return network
    return grid_crf.on(network, crf, num_classes, of_grid)


BUILDERS = {
    **{
        name: functools.partial(
            segmenters.build,
            decoder,
            backbone=backbone,
            num_classes=1,
            **_PRESETS.get(name, {}),
        )
        for name, (decoder, backbone) in DECODERS.items()
    },
    **{
        name: functools.partial(_fixed_size, *parts)
        for name, parts in FIXED_SIZE.items()
    },
}
# All that can give one number for each pixel; a CRF needs labels to choose from.
NAMES = {
    *BUILDERS,
    *(
        name
        for name, build in segmenters.BUILDERS.items()
        if build.keywords.get("crf", "none") == "none"
    ),
}
