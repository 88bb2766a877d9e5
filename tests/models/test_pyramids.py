"""Which decoders sit on which backbones, and what the others are told.

A new name needs no line here.
"""

import functools

import jax
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import depth_networks, pyramids, segmenters, zoo

SIDE = 224  # the least that every decoder takes
_SMALLER = {  # the strides do not depend on them, but tracing takes less time
    "blocks": lambda counts: (1,) * len(counts),
    "units": lambda counts: tuple(min(count, 1) for count in counts),
}
# A few networks, and many names of them.
DECODERS = {
    decoder: name
    for table in (segmenters.DECODERS, depth_networks.DECODERS)
    for name, (decoder, _) in reversed(table.items())
}
# All others sit on any backbone, as the README says.
CHOOSY = (
    *(name for name in DECODERS.values() if "vgg16" in name and "deeplab" not in name),
    *("deconvnet", "fcn32s_resnet50", "fcn16s_resnet50"),
)


@functools.cache
def pyramid_of(backbone):
    known = zoo.list_options(backbone)
    few = {key: change(known[key]) for key, change in _SMALLER.items() if key in known}
    module = zoo.create_backbone(backbone, **few)
    images = jax.ShapeDtypeStruct((1, SIDE, SIDE, 3), jnp.float32)
    made = jax.eval_shape(module.init_with_output, jax.random.key(0), images)
    return made[0]


def scores_of(decoder, pyramid):
    module = decoder(num_classes=4, dtype=jnp.float32)

    def run(key, maps):
        return module.init_with_output(key, maps, (SIDE, SIDE))[0]

    return jax.eval_shape(run, jax.random.key(0), pyramid)


@pytest.mark.parametrize("decoder", DECODERS, ids=DECODERS.values())
def test_a_decoder_reads_a_backbone_or_says_what_it_wants(decoder):
    refused = {}
    for backbone in zoo.list_backbones():
        try:
            scores = scores_of(decoder, pyramid_of(backbone))
        except errors.UserError as error:
            refused[backbone] = str(error)
        else:
            assert scores.shape[-1] == 4
            assert min(scores.shape) > 0
    assert DECODERS[decoder] in CHOOSY or not refused
    for message in refused.values():
        assert " wants features of stride" in message or "FCN reads VGG16" in message


def test_what_is_missing_is_named_and_what_to_choose():
    cases = (
        ("deconvnet", "resnet50", r"strides \[1, 2.*\[1\] are missing. Take vgg16_bn"),
        ("deconvnet", "wide_resnet_f", r"\[32\] are missing|, 32\] are missing"),
        ("fcn8s_vgg16", "wide_resnet_f", r"FCN-8s .*32\] are missing. Take vgg16 "),
        ("fcn32s_resnet50", "wide_resnet_f", r"PyramidFCN wants .* 32 or more, got"),
    )
    for name, backbone, message in cases:
        decoder, _ = segmenters.DECODERS[name]
        with pytest.raises(errors.UserError, match=message):
            scores_of(decoder, pyramid_of(backbone))


@pytest.mark.parametrize("lost", [1, 2, 4, 8, 16, 32])
def test_deconvnet_asks_for_every_stride_that_it_reads(lost):
    pyramid = {s: x for s, x in pyramid_of("vgg16_bn").items() if s != lost}
    decoder, _ = segmenters.DECODERS["deconvnet"]
    with pytest.raises(errors.UserError, match=rf"\[{lost}\] are missing"):
        scores_of(decoder, pyramid)


@pytest.mark.parametrize(("finest", "read"), [(32, 32), (16, 8), (8, 4)])
def test_fcn_asks_only_for_the_strides_that_it_reads(finest, read):
    maps = {s: jax.ShapeDtypeStruct((1, 64, 64, 8), jnp.float32) for s in (32, 8, 4)}
    sides = {s: -(-(SIDE + 198) // s) for s in maps}
    maps = {
        s: jax.ShapeDtypeStruct((1, n, n, 8), jnp.float32) for s, n in sides.items()
    }
    decoder = functools.partial(segmenters.fcn.FCN, finest=finest)
    needed = {s: x for s, x in maps.items() if s == 32 or s >= read}
    assert scores_of(decoder, needed).shape == (1, SIDE, SIDE, 4)
    del needed[read]
    with pytest.raises(errors.UserError, match=rf"FCN-{finest}s .*\[{read}\] are miss"):
        scores_of(decoder, needed)


def test_strides_from_one_on_come_coarsest_first():
    assert pyramids.at_least({2: 0, 32: 0, 4: 0}, 4, "It") == [32, 4]
    with pytest.raises(
        errors.UserError, match=r"It wants .* 8 or more, got .*\[2, 4\]"
    ):
        pyramids.at_least({4: 0, 2: 0}, 8, "It")
