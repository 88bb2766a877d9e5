"""Every network by name: one line each, with its published options.

What runs a network asks four things of its module: `channels` of the image; `stride`,
of which the sides of an image are multiples; `halo`, the pixels around a window that
its result depends on, None if that is the whole image; and `is_dense`, whether it gives
a map [b, h, w, k] or one vector [b, k] for an image.
"""

import fnmatch
import functools
import inspect
import math
import typing
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import (
    classifier,
    crf_rnn,
    deconvnet,
    deeplab,
    fcn,
    inception,
    inception_resnet_v2,
    inception_v4,
    mobilenet,
    multi_scale,
    preact_resnet,
    rednet,
    refinenet,
    resnet,
    scales,
    segmenter,
    vgg,
    wide_fcn,
    wide_resnet,
)

_WIDE20 = (128,) * 4 + (256,) * 3 + (512,) * 3
_WIDE30 = (128,) * 6 + (256,) * 6 + (512,) * 3

# The paper gives the 10-layer network no skips (Fig. 3b).
_RESTORATION: dict[str, Callable[..., nn.Module]] = {
    "rednet10": functools.partial(rednet.RedNet, depth=10, widths=64, skip_every=0),
    "rednet20": functools.partial(rednet.RedNet, depth=20, widths=64),
    "rednet30": functools.partial(rednet.RedNet, depth=30, widths=64),
    "rednet10_128": functools.partial(
        rednet.RedNet, depth=10, widths=128, skip_every=0
    ),
    "rednet20_128": functools.partial(rednet.RedNet, depth=20, widths=128),
    "rednet30_128": functools.partial(rednet.RedNet, depth=30, widths=128),
    "rednet20_wide": functools.partial(rednet.RedNet, depth=20, widths=_WIDE20),
    "rednet30_wide": functools.partial(rednet.RedNet, depth=30, widths=_WIDE30),
}

_PREACT = preact_resnet.PreActResNet
_PREACT_TIMM = functools.partial(_PREACT, stem="plain", input_style="half")


def _wide(name: str, **options: Any) -> Callable[..., nn.Module]:
    """A network by the paper's name for it."""
    return functools.partial(
        wide_resnet.WideResNet, **wide_resnet.parse(name), **options
    )


# These give a feature pyramid, {stride: map}; with a head they are classifiers.
_BACKBONES: dict[str, Callable[..., nn.Module]] = {
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
_USUAL_SIDE = 224
_SIDES = {
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
    trunk = _BACKBONES[backbone](dtype=dtype, **options)
    head = _HEADS.get(backbone, classifier.linear_head)(trunk, num_classes, dropout)
    least = classifier.Classifier.smallest_side
    sides = [getattr(part, "smallest_side", least) for part in (trunk, head)]
    return classifier.Classifier(trunk, head, max(sides))


_CLASSIFIERS = {
    name: functools.partial(_classifier, name, dropout=_DROPOUTS.get(name, 0.0))
    for name in _BACKBONES
}


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
_DECODERS: dict[str, tuple[Callable[..., nn.Module], str]] = {
    "crf_rnn_vgg16": (fcn.FCN, "vgg16"),
    "deconvnet": (deconvnet.DeconvNet, "vgg16_bn"),
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


def _segmenter(
    decoder: Callable[..., nn.Module],
    *,
    dtype: jnp.dtype,
    backbone: str,
    num_classes: int = 21,
    input_scales: Sequence[float] = (1.0,),
    pairing: scales.Pairing = "level",
    max_over_scales: Sequence[float] = (1.0,),
    crf: Literal["none", "lattice", "exact", "window"] = "none",
    **options: Any,
) -> nn.Module:
    """A decoder on any backbone, or on one for each of several scales of the image.

    Each part takes the options that it has; a backbone does not have all that the name
    says about the usual one.  A CRF that learns may come last.
    """
    if crf != "none":
        network = _segmenter(
            decoder,
            dtype=dtype,
            backbone=backbone,
            num_classes=num_classes,
            input_scales=input_scales,
            pairing=pairing,
            max_over_scales=max_over_scales,
            **options,
        )
        return crf_rnn.CrfRnn(network, method=crf)
    if not isinstance(input_scales, Sequence) or not input_scales:
        raise errors.UserError(
            "input_scales wants one factor or several, such as (1.0,) or (1.2, 0.6), "
            f"got {input_scales!r}."
        )
    build = _BACKBONES[backbone]
    trunks = [build(dtype=dtype, **_understood(build, options)) for _ in input_scales]
    head = decoder(
        num_classes=num_classes, dtype=dtype, **_understood(decoder, options)
    )
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


def _understood(
    build: Callable[..., nn.Module], options: dict[str, Any]
) -> dict[str, Any]:
    known = inspect.signature(build).parameters
    return {name: value for name, value in options.items() if name in known}


_SEGMENTERS = {
    name: functools.partial(
        _segmenter, decoder, backbone=backbone, **_PRESETS.get(name, {})
    )
    for name, (decoder, backbone) in _DECODERS.items()
}
_MODELS = {**_RESTORATION, **_CLASSIFIERS, **_SEGMENTERS}

_DTYPES = ("float32", "bfloat16", "float64")  # float64 needs jax_enable_x64: tests
_NOT_OPTIONS = ("dtype", "name", "parent")
_SCALARS = {bool: (bool,), int: (int,), float: (int, float)}  # True is no int here
# What options of these names may be, wherever they are numbers.
_RULES: dict[str, tuple[str, Callable[[float], bool]]] = {
    "num_classes": ("at least 1", lambda count: count >= 1),
    "dropout": ("a share from 0 to below 1", lambda share: 0 <= share < 1),
}


def list_models(pattern: str = "*") -> list[str]:
    """Returns the names of the networks, sorted.

    Args:
        pattern: shell-style pattern, such as "rednet*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(_MODELS, pattern))


def list_backbones(pattern: str = "*") -> list[str]:
    """Returns the names of the networks that give a feature pyramid, sorted.

    Args:
        pattern: shell-style pattern, such as "resnet*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(_BACKBONES, pattern))


def list_segmenters(pattern: str = "*") -> list[str]:
    """Returns the names of the networks that score every pixel, sorted.

    Args:
        pattern: shell-style pattern, such as "refinenet*".

    Returns:
        The names that match; empty when none does.
    """
    return sorted(fnmatch.filter(_SEGMENTERS, pattern))


def list_options(name: str) -> dict[str, Any]:
    """Returns what can be changed about a network, and its values.

    Args:
        name: a name of `list_models`.

    Returns:
        Option names to the values that the network of this name has.

    Raises:
        UserError: unknown name, with the nearest ones.
    """
    if name not in _MODELS:
        raise errors.unknown_name("model", name, _MODELS)
    return {p.name: p.default for p in _options(name, _MODELS[name])}


def published_side(name: str) -> int:
    """Returns the side of the images that a classifier was published with.

    Args:
        name: a name of `list_backbones`.

    Returns:
        Pixels; training crops of the paper, and what its scores are measured by.

    Raises:
        UserError: unknown name, with the nearest ones.
    """
    if name not in _BACKBONES:
        raise errors.unknown_name("backbone", name, _BACKBONES)
    return _SIDES.get(name, _USUAL_SIDE)


def create_module(
    name: str, *, compute_dtype: str = "float32", **options: Any
) -> nn.Module:
    """Returns a network without parameters.

    Args:
        name: a name of `list_models`.
        compute_dtype: type of the activations; parameters stay float32.
        **options: fields of the network that differ from the named preset, such as
            `channels=3`.

    Returns:
        The Linen module; `module.apply(variables, images)` runs it.

    Raises:
        UserError: unknown name or option, with the nearest ones, or a value that the
            network refuses.
    """
    if name not in _MODELS:
        raise errors.unknown_name("model", name, _MODELS)
    build = _MODELS[name]
    _check(name, _options(name, build, **options), compute_dtype, options)
    return build(dtype=jnp.dtype(compute_dtype), **options)


def create_backbone(
    name: str, *, compute_dtype: str = "float32", **options: Any
) -> nn.Module:
    """Returns a network that gives a feature pyramid, without parameters.

    Args:
        name: a name of `list_backbones`.
        compute_dtype: type of the activations; parameters stay float32.
        **options: fields of the network that differ from the named preset, such as
            `output_stride=8`.

    Returns:
        The Linen module; applied to images it gives `{stride: map [b, h, w, c]}`.

    Raises:
        UserError: as `create_module`.
    """
    if name not in _BACKBONES:
        raise errors.unknown_name("backbone", name, _BACKBONES)
    build = _BACKBONES[name]
    _check(name, _parameters(build), compute_dtype, options)
    return build(dtype=jnp.dtype(compute_dtype), **options)


def _options(
    name: str, build: Callable[..., nn.Module], **chosen: Any
) -> list[inspect.Parameter]:
    """What can be changed of a network, and of the parts that it is made of."""
    found = _parameters(build)
    if name in _BACKBONES:  # a classifier
        found += _parameters(_BACKBONES[name])
    if name in _DECODERS:
        decoder, usual = _DECODERS[name]
        backbone = chosen.get("backbone", usual)
        if backbone not in _BACKBONES:
            raise errors.unknown_name(f"backbone of {name}", backbone, _BACKBONES)
        found += _parameters(decoder) + _parameters(_BACKBONES[backbone])
    preset = getattr(build, "keywords", {})
    first = {
        p.name: p.replace(default=preset.get(p.name, p.default))
        for p in reversed(found)
    }
    return list(reversed(first.values()))


def _parameters(build: Callable[..., nn.Module]) -> list[inspect.Parameter]:
    unnamed = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return [
        p
        for p in inspect.signature(build).parameters.values()
        if p.name not in _NOT_OPTIONS and p.kind not in unnamed
    ]


def _check(
    name: str,
    known: list[inspect.Parameter],
    compute_dtype: str,
    options: dict[str, Any],
) -> None:
    if compute_dtype not in _DTYPES:
        raise errors.unknown_name("compute_dtype", compute_dtype, _DTYPES)
    kinds = {p.name: p.annotation for p in known}
    for option, value in options.items():
        if option not in kinds:
            raise errors.unknown_name(f"option of {name}", option, kinds)
        _check_value(f"{option} of {name}", kinds[option], option, value)


def _check_value(what: str, kind: Any, option: str, value: Any) -> None:
    if typing.get_origin(kind) is typing.Literal and value not in kind.__args__:
        raise errors.unknown_name(what, str(value), kind.__args__)
    if kind not in _SCALARS:
        return
    if type(value) not in _SCALARS[kind]:
        raise errors.UserError(f"Option {what} wants {kind.__name__}, got {value!r}.")
    if kind is float and not math.isfinite(value):
        raise errors.UserError(f"Option {what} wants a finite number, got {value!r}.")
    wanted, holds = _RULES.get(option, ("", lambda value: True))
    if not holds(value):
        raise errors.UserError(f"Option {what} wants {wanted}, got {value!r}.")


def create_model(
    name: str, *, seed: int = 0, compute_dtype: str = "float32", **options: Any
) -> tuple[nn.Module, dict[str, Any]]:
    """Returns a network and fresh parameters.

    Args:
        name: a name of `list_models`.
        seed: of the initialisation.
        compute_dtype: type of the activations; parameters stay float32.
        **options: fields of the network that differ from the named preset.

    Returns:
        The Linen module and its variables, `{"params": ...}`, float32.

    Raises:
        UserError: as `create_module`.
    """
    module = create_module(name, compute_dtype=compute_dtype, **options)
    example = example_input(module)
    # Under jit one program draws everything, and the forward pass is never computed.
    # Compiling takes longer than drawing: the lower level halves it, with equal bits.
    is_cpu = jax.default_backend() == "cpu"
    init = jax.jit(
        lambda key: module.init(key, jnp.zeros(example.shape)),
        compiler_options={"xla_backend_optimization_level": 1} if is_cpu else None,
    )
    return module, init(jax.random.key(seed))


def example_input(module: nn.Module) -> jax.ShapeDtypeStruct:
    """Returns shape and type of the smallest images that a network accepts.

    Args:
        module: a network of `create_module`.

    Returns:
        One image, float32 [1, side, side, channels].
    """
    side = module.smallest_side
    return jax.ShapeDtypeStruct((1, side, side, module.channels), jnp.float32)
