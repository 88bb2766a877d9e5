"""DCNF and DCNF-FCSP by name: what looks at superpixels, below the CRF of both."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import (
    backbones,
    cnn_f,
    dcnf,
    segmenter,
    segmenters,
    strengths,
    superpixel_head,
)


def _dcnf(
    *,
    dtype: jnp.dtype,
    tail_widths: Sequence[int] = (128,),
    tail_dropout: float = 0.5,
    experts: int = 16,
    box: int = 120,
    crf: dcnf.Crf = "paper",
    pairwise: strengths.Pairwise = "projected",
    beta: float = 1.0,
    embedding: int = 0,
    **options: Any,
) -> nn.Module:
    """DCNF: the patch around each superpixel through CNN-F."""
    unary = dcnf.PatchUnary(
        cnn_f.CNNF(dtype=dtype, **options),
        _tail(dtype, tail_widths, tail_dropout, experts),
        box,
        cnn_f.SIDE,
    )
    return dcnf.Dcnf(unary, crf, pairwise, beta, embedding)


def _fcsp(
    *,
    dtype: jnp.dtype,
    trunk: str,
    extra_widths: Sequence[int] = (),
    features: int = 128,
    tail_widths: Sequence[int] = (512, 128),
    tail_dropout: float = 0.5,
    experts: int = 16,
    crf: dcnf.Crf = "paper",
    pairwise: strengths.Pairwise = "projected",
    beta: float = 1.0,
    embedding: int = 0,
    **options: Any,
) -> nn.Module:
    """DCNF-FCSP: features of superpixels out of one look at the image.

    `trunk` is a backbone, whose deepest map is read, with convolutions of
    `extra_widths` on top; or a segmenter, whose decoder gives `features` channels.
    """
    if trunk in backbones.BUILDERS:
        backbone = backbones.BUILDERS[trunk](dtype=dtype, **options)
        side = getattr(backbone, "smallest_side", dcnf.Dcnf.smallest_side)
        last = dcnf.LastMap(tuple(extra_widths), dtype)
        seen = segmenter.Segmenter(backbone, last, side)
    else:
        build = segmenters.BUILDERS[trunk]
        chosen = {**options, "num_classes": features, "crf": "none"}
        seen = build(dtype=dtype, **chosen)
    unary = dcnf.PooledUnary(seen, _tail(dtype, tail_widths, tail_dropout, experts))
    return dcnf.Dcnf(unary, crf, pairwise, beta, embedding, seen.smallest_side)


def _tail(dtype, widths, dropout, experts):
    return superpixel_head.SuperpixelHead(
        widths=tuple(widths), experts=experts, dropout=dropout, dtype=dtype
    )


def parts(name: str, **chosen: Any) -> list[Callable[..., nn.Module]]:
    """Returns what a network is made of, whose fields are options of it.

    Args:
        name: of `BUILDERS`.
        **chosen: options that decide which others there are: `trunk`, `backbone`.

    Returns:
        Functions that build the parts.

    Raises:
        UserError: an unknown trunk, or an unknown backbone of it.
    """
    usual = getattr(BUILDERS[name], "keywords", {})
    trunk = chosen.get("trunk", usual.get("trunk"))
    if trunk is None:
        return [cnn_f.CNNF]
    if trunk in backbones.BUILDERS:
        return [backbones.BUILDERS[trunk]]
    if trunk not in segmenters.DECODERS:
        known = [*backbones.BUILDERS, *segmenters.DECODERS]
        raise errors.unknown_name(f"trunk of {name}", trunk, known)
    decoder, published = segmenters.DECODERS[trunk]
    backbone = chosen.get("backbone", published)
    if backbone not in backbones.BUILDERS:
        raise errors.unknown_name(f"backbone of {trunk}", backbone, backbones.BUILDERS)
    return [segmenters.BUILDERS[trunk], decoder, backbones.BUILDERS[backbone]]


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "dcnf": _dcnf,
    "dcnf_fcsp": functools.partial(
        _fcsp, trunk="vgg16", output_stride=8, extra_widths=(512, 512)
    ),
    "dcnf_fcsp_resnet50": functools.partial(_fcsp, trunk="resnet50", output_stride=8),
    "dcnf_fcsp_refinenet50": functools.partial(_fcsp, trunk="refinenet50"),
    "dcnf_fcsp_refinenet_lw50": functools.partial(_fcsp, trunk="refinenet_lw50"),
}
