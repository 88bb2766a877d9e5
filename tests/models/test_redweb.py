"""ReDWeb's network against a PyTorch rendering of the authors' release."""

import functools

import jax
import numpy as np
import pytest
from flax import traverse_util
from jax import numpy as jnp

from dpjax import errors
from dpjax.cli import convert
from dpjax.inference import trained
from dpjax.models import redweb, resnet, segmenter, zoo
from dpjax.weights import layouts, renaming
from tests import peers

WIDTHS = (12, 8)
TRUNKS = {"50": 23_508_032, "101": 42_500_160, "152": 58_143_808}
NAME = "KexianHust/Structure-Guided-Ranking-Loss"
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
FAST = {"xla_backend_optimization_level": 0}


def _convolution(given, features):
    return 9 * given * features + features


def _adaptation(given, features):
    inside = 2 * _convolution(features, features) + 2 * features
    return _convolution(given, features) + inside


def _table(bins):
    """Parameters of each part, from the specification of depth, section 7.3."""
    table = {
        "adapt_coarsest": _adaptation(2048, 512),
        "reduce": _convolution(512, 256),
        "conv_out": _convolution(256, 128),
        "bn_out": 256,
        "head": _convolution(128, bins),
    }
    for stride, channels in ((16, 1024), (8, 512), (4, 256)):
        table[f"adapt_stride{stride}"] = _adaptation(channels, 256)
        table[f"fuse_stride{stride}"] = _adaptation(256, 256)
    return table


@pytest.mark.parametrize("depth", TRUNKS)
@pytest.mark.parametrize("bins", [1, 100])
def test_parameters_are_those_of_the_table(depth, bins):
    module = zoo.create_module(f"redweb_resnet{depth}", num_classes=bins)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    trunk = sum(x.size for x in jax.tree.leaves(params["backbone"]))
    assert trunk == TRUNKS[depth]
    decoder = params["decoder"]
    counts = {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in decoder.items()}
    assert counts == _table(bins)


@pytest.mark.parametrize("size", [(384, 448), (97, 65), (33, 34)])
def test_every_pixel_gets_its_numbers_whatever_the_size(size):
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    for stride in (1, 2):
        module = zoo.create_module(
            "redweb_resnet50", num_classes=5, last_stride=stride, blocks=(1, 1, 1, 1)
        )
        init = functools.partial(module.init_with_output, jax.random.key(0))
        numbers = jax.eval_shape(init, images)[0]
        assert numbers.shape == (2, *(-(-side // stride) for side in size), 5)
        assert module.align_corners


@pytest.mark.parametrize("backbone", ["vgg16", "mobilenet_v2", "inception_v4"])
def test_other_backbones_serve_too(backbone):
    module = zoo.create_module("redweb_resnet50", backbone=backbone)
    images = jax.ShapeDtypeStruct((1, 131, 99, 3), jnp.float32)
    init = functools.partial(module.init_with_output, jax.random.key(0))
    numbers, variables = jax.eval_shape(init, images)
    assert numbers.shape == (1, 131, 99, 1)
    levels = [k for k in variables["params"]["decoder"] if k.startswith("fuse")]
    assert len(levels) >= 3


def test_a_dilated_backbone_has_fewer_levels():
    module = zoo.create_module("redweb_resnet50", output_stride=8, blocks=(1, 1, 1, 1))
    images = jax.ShapeDtypeStruct((1, 65, 65, 3), jnp.float32)
    params = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    levels = {k for k in params["decoder"] if "stride" in k}
    assert levels == {"adapt_stride4", "fuse_stride4"}


def test_convolutions_start_as_the_authors_do():
    decoder = redweb.FusionDecoder(1, (40, 30))
    pyramid = {4: jnp.zeros((1, 4, 4, 30)), 8: jnp.zeros((1, 2, 2, 30))}
    init = jax.jit(lambda key: decoder.init(key, pyramid, (16, 16)))
    fresh = init(jax.random.key(0))["params"]
    for path, leaf in traverse_util.flatten_dict(fresh, sep="/").items():
        if path.endswith("kernel") and leaf.size > 5000:
            assert np.std(leaf) == pytest.approx(0.01, rel=0.05), path
        if path.endswith("bias"):
            assert not np.any(leaf), path


@functools.cache
def _peer():
    """A PyTorch network named as the release is, and its weights under our names."""
    peers.timm()
    import torch
    from torch.nn import functional
    from torchvision.models import resnet as theirs

    def convolution(given, features):
        return torch.nn.Conv2d(given, features, 3, padding=1)

    class Block(torch.nn.Module):
        def __init__(self, given, features):
            super().__init__()
            self.conv1 = convolution(given, features)
            self.conv_branch = torch.nn.Sequential(
                torch.nn.ReLU(inplace=True),
                convolution(features, features),
                torch.nn.BatchNorm2d(features),
                torch.nn.ReLU(inplace=True),
                convolution(features, features),
            )
            self.is_in_place = True

        def forward(self, x):
            self.conv_branch[0].inplace = self.is_in_place
            x = self.conv1(x)
            return (x + self.conv_branch(x)).relu()

    class Fusion(torch.nn.Module):
        def __init__(self, given, features):
            super().__init__()
            self.ftb1, self.ftb2 = Block(given, features), Block(features, features)

    class Decoder(torch.nn.Module):
        def __init__(self):
            super().__init__()
            first, width = WIDTHS
            self.conv, self.conv1 = Block(2048, first), convolution(first, width)
            self.ffm2, self.ffm1 = Fusion(1024, width), Fusion(512, width)
            self.ffm0, self.outconv = Fusion(256, width), torch.nn.Module()
            self.outconv.adapt_conv = torch.nn.Sequential(
                convolution(width, width // 2),
                torch.nn.BatchNorm2d(width // 2),
                torch.nn.ReLU(),
                convolution(width // 2, 2),
            )

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = theirs.ResNet(theirs.Bottleneck, [1, 1, 1, 1])
            del self.encoder.fc
            self.decoder = Decoder()

        def forward(self, image):
            e, d = self.encoder, self.decoder
            x, maps = e.maxpool(e.bn1(e.conv1(image)).relu()), []
            for i in range(1, 5):
                x = getattr(e, f"layer{i}")(x)
                maps.append(x)
            half = [-(-side // 2) for side in image.shape[2:]]
            sizes = [half, *(m.shape[2:] for m in maps[:-1])]
            doubles = all(side % 32 == 0 for side in image.shape[2:])

            def enlarge(x, size):
                where = {"scale_factor": 2} if doubles else {"size": tuple(size)}
                return functional.interpolate(
                    x, **where, mode="bilinear", align_corners=True
                )

            x = enlarge(d.conv1(d.conv(maps[3])), sizes[3])
            for i in (2, 1, 0):
                fusion = getattr(d, f"ffm{i}")
                x = enlarge(fusion.ftb2(fusion.ftb1(maps[i]) + x), sizes[i])
            return enlarge(d.outconv.adapt_conv(x), image.shape[2:])

    network = peers.randomise(Network())
    names = layouts.of(_module())
    layout, variables = renaming.read(peers.arrays(network), _module(), names)
    assert layout == NAME
    return network, variables


def _module(dtype=jnp.float32, **options):
    trunk = resnet.ResNet((1, 1, 1, 1), dtype=dtype)
    decoder = redweb.FusionDecoder(2, WIDTHS, dtype=dtype, **options)
    return segmenter.Segmenter(trunk, decoder)


def _images(size):
    return np.random.default_rng(0).random((1, *size, 3), np.float32)


def _theirs(size, *, is_in_place=True):
    network, _ = _peer()
    for layer in network.modules():
        if hasattr(layer, "is_in_place"):
            layer.is_in_place = is_in_place
    return peers.output(
        network, ((_images(size) - MEAN) / DEVIATION).astype(np.float32)
    )


@functools.cache
def _ours(size, dtype=jnp.float32, **options):
    run = jax.jit(_module(dtype, **options).apply, compiler_options=FAST)
    with jax.default_matmul_precision("highest"):
        return run(_peer()[1], _images(size))


@pytest.mark.torch
@pytest.mark.parametrize("size", [(64, 96), (71, 93)])
def test_numbers_are_those_of_the_release(size):
    theirs = _theirs(size)
    assert theirs.shape == (1, *size, 2)
    assert peers.relative_error(_ours(size), theirs) < 1e-5


@pytest.mark.torch
def test_a_plain_shortcut_is_an_option():
    size = (71, 93)
    plain = _ours(size, rectifies_shortcut=False)
    assert peers.relative_error(plain, _theirs(size, is_in_place=False)) < 1e-5
    assert peers.relative_error(plain, _ours(size)) > 1e-2


@pytest.mark.torch
def test_half_precision_stays_near_single():
    half = _ours((71, 93), jnp.bfloat16)
    assert half.dtype == jnp.float32
    assert 0 < peers.relative_error(half, _ours((71, 93))) < 0.1


@pytest.mark.torch
def test_bins_start_from_the_weights_of_an_order():
    network, variables = _peer()
    module = zoo.create_module(
        "redweb_resnet50", num_classes=9, blocks=(1, 1, 1, 1), up_widths=WIDTHS
    )
    found = renaming.variables(
        peers.arrays(network), module, layouts.of(module), skip=("*decoder/head/*",)
    )
    assert "head" not in found["params"]["decoder"]
    theirs = {k: v for k, v in variables["params"]["decoder"].items() if k != "head"}
    jax.tree.map(
        np.testing.assert_array_equal, dict(found["params"]["decoder"]), theirs
    )


@pytest.mark.torch
@pytest.mark.parametrize("words", [(), ("--farther",)])
def test_weights_of_the_release_are_turned_to_larger_for_farther(
    tmp_path, words, capsys
):
    """They learned disparities, and our tasks read what is larger as farther."""
    network, _ = _peer()
    arrays = peers.arrays(network)
    for kind in ("weight", "bias"):
        name = f"decoder.outconv.adapt_conv.3.{kind}"
        arrays[name] = arrays[name][:1]
    np.savez(tmp_path / "release.npz", **arrays)
    options = ("--option", "blocks=[1,1,1,1]", f"up_widths={list(WIDTHS)}")
    options += ("rectifies_shortcut=true", "variant=v1.5")
    output = str(tmp_path / "ours.safetensors")
    source = str(tmp_path / "release.npz")
    convert.main(["redweb_resnet50", source, "-o", output, *options, *words])
    assert ("larger for what is nearer" in capsys.readouterr().err) == (not words)
    loaded = trained.load(output)
    assert loaded.task.kind == "relative_depth"
    size = (64, 96)
    with jax.default_matmul_precision("highest"):
        ours = jax.jit(loaded.module.apply, compiler_options=FAST)(
            loaded.variables, _images(size)
        )
    sign = 1 if words else -1
    assert peers.relative_error(ours, sign * _theirs(size)[..., :1]) < 1e-5


def test_what_is_no_decoder_is_refused():
    with pytest.raises(errors.UserError, match="last_stride 1 or 2, got 4"):
        zoo.create_module("redweb_resnet50", last_stride=4)
    with pytest.raises(errors.UserError, match=r"two up_widths.*\(512,\)"):
        redweb.FusionDecoder(1, (512,))
    with pytest.raises(errors.UserError, match=r"got strides \[2\]"):
        redweb.FusionDecoder(1).init(
            jax.random.key(0), {2: jnp.zeros((1, 4, 4, 3))}, (8, 8)
        )
