"""Every network that scores pixels, by name: a decoder on its published backbone."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import (
    backbones,
    crf_rnn,
    deconvnet,
    deeplab,
    fcn,
    grid_crf,
    multi_scale,
    refinenet,
    scales,
    segmenter,
    wide_fcn,
)

Crf = Literal["none", "lattice", "exact", "window", "grid", "grid_calibrated"]

_FCN32S = functools.partial(fcn.PyramidFCN, finest=32)
_FCN16S = functools.partial(fcn.PyramidFCN, finest=16)
_REFINENET = refinenet.RefineNet
_REFINENET_OFFICIAL = functools.partial(
    _REFINENET, pooling_order="conv_pool", resize="cubic"
)
_REFINENET_LW = functools.partial(
    _REFINENET,
    kernel=1,
    path_units=0,
    block_units=0,
    head_dropout=0.0,
    kernel_init="fan_in",
)
_REFINENET_LW_MOBILENET = functools.partial(
    _REFINENET_LW,
    path_widths=(256,) * 4,
    adapts_paths=False,
    activation="relu6",
    dropout=0.0,
)

# What scores every pixel: a decoder, and the backbone that it was published on.
DECODERS: dict[str, tuple[Callable[..., nn.Module], str]] = {
    "crf_rnn_vgg16": (fcn.FCN, "vgg16"),
    "deconvnet": (deconvnet.DeconvNet, "vgg16_bn"),
    "deeplab_largefov_vgg16": (deeplab.LargeFOV, "vgg16"),
    "deeplab_v2_resnet101": (deeplab.ASPP, "resnet101"),
    "fcn32s_resnet50": (_FCN32S, "resnet50"),
    "fcn32s_resnet101": (_FCN32S, "resnet101"),
    "fcn16s_resnet50": (_FCN16S, "resnet50"),
    "fcn16s_resnet101": (_FCN16S, "resnet101"),
    "fcn8s_resnet50": (fcn.PyramidFCN, "resnet50"),
    "fcn8s_resnet101": (fcn.PyramidFCN, "resnet101"),
    "fcn32s_vgg16": (functools.partial(fcn.FCN, finest=32), "vgg16"),
    "fcn16s_vgg16": (functools.partial(fcn.FCN, finest=16), "vgg16"),
    "fcn8s_vgg16": (fcn.FCN, "vgg16"),
    "fcn8s_at_once_vgg16": (
        functools.partial(fcn.FCN, skip_scales=(0.01, 0.0001)),
        "vgg16",
    ),
    "refinenet50": (_REFINENET, "resnet50"),
    "refinenet50_2scale": (_REFINENET, "resnet50"),
    "refinenet50_official": (_REFINENET_OFFICIAL, "resnet50"),
    "refinenet101": (_REFINENET, "resnet101"),
    "refinenet101_2scale": (_REFINENET, "resnet101"),
    "refinenet101_official": (_REFINENET_OFFICIAL, "resnet101"),
    "refinenet152": (_REFINENET, "resnet152"),
    "refinenet152_official": (_REFINENET_OFFICIAL, "resnet152"),
    "refinenet_lw50": (_REFINENET_LW, "resnet50"),
    "refinenet_lw101": (_REFINENET_LW, "resnet101"),
    "refinenet_lw152": (_REFINENET_LW, "resnet152"),
    "refinenet_lw_mobilenet_v2": (_REFINENET_LW_MOBILENET, "mobilenet_v2"),
    "wide_resnet_a_fcn": (wide_fcn.DilatedHead, "wide_resnet_a"),
    "wide_resnet_a1_fcn": (wide_fcn.DilatedHead, "wide_resnet_a1"),
    "wide_resnet_a2_fcn": (wide_fcn.DilatedHead, "wide_resnet_a2"),
}

# What was published about image and backbone, where it is not their default.
_TWO_SCALES = {"input_scales": (1.2, 0.6)}
_OFFICIAL = {  # on MatConvNet's copy of Caffe's ResNet
    "input_scales": (1.2,),
    "input_style": "minus128",
    "pool_pad": "same",
    "variant": "v1",
}
_PADDED = {"first_padding": 100, "ceil_pools": True, "input_style": "caffe_fcn"}
_DILATED = {"output_stride": 8, "unit_dropout": (0.3, 0.5)}
_PRESETS: dict[str, dict[str, Any]] = {
    "crf_rnn_vgg16": {**_PADDED, "crf": "lattice"},
    "deconvnet": {"input_style": "caffe_fcn"},
    "deeplab_largefov_vgg16": {
        "output_stride": 8,
        "has_holes": True,
        "pool_window": 3,
        "ceil_pools": True,
        "input_style": "caffe_deeplab",
    },
    "deeplab_v2_resnet101": {
        "variant": "v1",
        "output_stride": 8,
        "pool_pad": "ceil",
        "input_style": "caffe_deeplab",
    },
    "fcn32s_vgg16": _PADDED,
    "fcn16s_vgg16": _PADDED,
    "fcn8s_vgg16": _PADDED,
    "fcn8s_at_once_vgg16": _PADDED,
    "refinenet50_2scale": _TWO_SCALES,
    "refinenet101_2scale": _TWO_SCALES,
    "refinenet50_official": _OFFICIAL,
    "refinenet101_official": _OFFICIAL,
    "refinenet152_official": _OFFICIAL,
    "refinenet_lw_mobilenet_v2": {"expands_first": True, "every_stage": True},
    "wide_resnet_a_fcn": _DILATED,
    "wide_resnet_a1_fcn": _DILATED,
    "wide_resnet_a2_fcn": _DILATED,
}


def build(
    decoder: Callable[..., nn.Module],
    *,
    dtype: jnp.dtype,
    backbone: str,
    num_classes: int = 21,
    input_scales: Sequence[float] = (1.0,),
    pairing: scales.Pairing = "level",
    max_over_scales: Sequence[float] = (1.0,),
    crf: Crf = "none",
    **options: Any,
) -> nn.Module:
    """Returns a decoder on any backbone, or on one for each of several scales.

    Each part takes the options that it has; a backbone does not have all that the name
    says about the usual one.  A CRF that learns may come last: to put one on a network
    that was trained without, start from its weights and skip "crf/*", which are new.

    Args:
        decoder: class of what reads a feature pyramid.
        dtype: compute type.
        backbone: a name of `backbones.BUILDERS`.
        num_classes: numbers for each pixel.
        input_scales: sizes at which backbones of their own see the image.
        pairing: which of their maps belong together; see `scales.Scales`.
        max_over_scales: sizes whose largest scores count; see `multi_scale.MultiScale`.
        crf: how a CRF works that learns as the last layer, if any: "lattice", "exact"
            or "window", of labels, see `crf_rnn`; "grid" of one number for each pixel,
            see `grid_crf`, or "grid_calibrated" if deviations are wanted too.
        **options: fields of decoder and backbone, and of a CRF on the grid.

    Returns:
        The Linen module.

    Raises:
        UserError: options that a part refuses.
    """
    of_grid = {name: options.pop(name) for name in grid_crf.OPTIONS if name in options}
    if crf != "none":
        network = build(
            decoder,
            dtype=dtype,
            backbone=backbone,
            num_classes=num_classes,
            input_scales=input_scales,
            pairing=pairing,
            max_over_scales=max_over_scales,
            **options,
        )
        if crf in grid_crf.NAMES:
            _check_is_one(crf, max_over_scales)
            return grid_crf.on(network, crf, num_classes, of_grid)
        grid_crf.check_unused(crf, of_grid)
        return crf_rnn.CrfRnn(network, method=crf)
    grid_crf.check_unused(crf, of_grid)
    _check_factors("input_scales", input_scales, "(1.2, 0.6)")
    _check_factors("max_over_scales", max_over_scales, "(1.0, 0.75, 0.5)")
    kind = backbones.BUILDERS[backbone]
    trunks = [kind(dtype=dtype, **understood(kind, options)) for _ in input_scales]
    head = decoder(num_classes=num_classes, dtype=dtype, **understood(decoder, options))
    least = segmenter.Segmenter.smallest_side
    sides = [getattr(part, "smallest_side", least) for part in (*trunks, head)]
    side = math.ceil(max(sides) / min(1, *input_scales))
    trunk, input_scale = trunks[0], input_scales[0]
    if len(trunks) > 1:
        trunk, input_scale = (
            scales.Scales(tuple(trunks), tuple(input_scales), pairing),
            1.0,
        )
    if tuple(max_over_scales) == (1.0,):
        return segmenter.Segmenter(trunk, head, side, input_scale)
    side = math.ceil(side / min(1, *max_over_scales))
    return multi_scale.MultiScale(
        trunk, head, side, input_scale, tuple(max_over_scales)
    )


def _check_is_one(crf: str, max_over_scales: Sequence[float]) -> None:
    if len(max_over_scales) > 1:
        raise errors.UserError(
            f'crf="{crf}" wants one map; max_over_scales={tuple(max_over_scales)} '
            "gives the largest of several, which is for scores. Leave one of them out."
        )


def _check_factors(name: str, factors: Sequence[float], several: str) -> None:
    if not isinstance(factors, Sequence) or not factors or min(factors) <= 0:
        raise errors.UserError(
            f"{name} wants one factor or several above 0, such as (1.0,) or "
            f"{several}, got {factors!r}."
        )


def understood(
    part: Callable[..., nn.Module], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the options that a part of a network has.

    Args:
        part: what builds it.
        options: of all parts, by name.

    Returns:
        Those that are among its arguments.
    """
    known = inspect.signature(part).parameters
    return {name: value for name, value in options.items() if name in known}


BUILDERS = {
    name: functools.partial(build, decoder, backbone=backbone, **_PRESETS.get(name, {}))
    for name, (decoder, backbone) in DECODERS.items()
}
