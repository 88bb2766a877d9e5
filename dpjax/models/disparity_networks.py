"""Networks that learn disparity from stereo pairs and see one view, by name.

A decoder says by `views` what it gives: 2, disparity of the left and of the right view
as shares of the width, in training at several scales; or 1, that of the left view in
pixels.
"""

import functools
from collections.abc import Callable
from typing import Any

from flax import linen as nn
from jax import numpy as jnp

from dpjax.models import garg2016, monodepth, segmenter, segmenters

# What gives the feature pyramid, and what reads it.
PARTS: dict[str, tuple[Callable[..., nn.Module], Callable[..., nn.Module]]] = {
    "garg2016_resnet50": (garg2016.PooledResNet, garg2016.DisparitySum),
    "monodepth_resnet50": (monodepth.ResNetLike, monodepth.DisparityDecoder),
    "monodepth_vgg": (monodepth.VGGLike, monodepth.DisparityDecoder),
}


def _build(
    encoder: Callable[..., nn.Module],
    decoder: Callable[..., nn.Module],
    *,
    dtype: jnp.dtype,
    **options: Any,
) -> nn.Module:
    """Both parts, each with the options that it has."""
    return segmenter.Segmenter(
        encoder(dtype=dtype, **segmenters.understood(encoder, options)),
        decoder(dtype=dtype, **segmenters.understood(decoder, options)),
    )


BUILDERS = {name: functools.partial(_build, *parts) for name, parts in PARTS.items()}
