"""Networks of Godard et al. against a PyTorch rendering of the authors' code."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import monodepth, segmenter, zoo
from tests import peers

FAST = {"xla_backend_optimization_level": 0}
WIDTHS = (4, 6, 8, 10, 12, 14, 16)
UP_WIDTHS = (3, 4, 5, 6, 7, 8, 9)
BLOCKS = (1, 2, 1, 1)
KINDS = ("vgg", "resnet")


def _convolution(given, features, kernel):
    return kernel**2 * given * features + features


def _decoder(levels):
    """Parameters from the channels of the levels, finest first."""
    ups = (16, 32, 64, 128, 256, 512, 512)[: len(levels)]
    skips = (0, *levels[:-1])
    below = (*ups[1:], levels[-1])
    total = 0
    for i, (up, skip, given) in enumerate(zip(ups, skips, below, strict=True)):
        says, hears = i < 4, i < 3
        total += _convolution(given, up, 3)
        total += _convolution(up + skip + 2 * hears, up, 3)
        total += says * _convolution(up, 2, 3)
    return total


def _vgg():
    widths, kernels = (32, 64, 128, 256, 512, 512, 512), (7, 5, 3, 3, 3, 3, 3)
    total, given = 0, 3
    for width, kernel in zip(widths, kernels, strict=True):
        total += _convolution(given, width, kernel) + _convolution(width, width, kernel)
        given = width
    return total + _decoder(widths)


def _resnet():
    total, given = _convolution(3, 64, 7), 64
    for width, count in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for _ in range(count):
            total += _convolution(given, width, 1) + _convolution(width, width, 3)
            total += _convolution(width, 4 * width, 1)
            total += _convolution(given, 4 * width, 1)
            given = 4 * width
    return total + _decoder((64, 64, 256, 512, 1024, 2048))


@pytest.mark.parametrize(
    ("name", "count"),
    [("monodepth_vgg", _vgg()), ("monodepth_resnet50", _resnet())],
)
def test_parameters_are_those_of_the_layers(name, count):
    module = zoo.create_module(name)
    images = jax.ShapeDtypeStruct((1, 128, 128, 3), jnp.float32)
    params = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def test_counts_are_those_that_the_authors_code_prints():
    assert (_vgg(), _resnet()) == (31_600_072, 58_452_008)


def _module(kind, dtype=jnp.float32):
    if kind == "vgg":
        encoder = monodepth.VGGLike(WIDTHS, dtype=dtype)
    else:
        encoder = monodepth.ResNetLike(BLOCKS, 4, dtype=dtype)
    return segmenter.Segmenter(encoder, monodepth.DisparityDecoder(UP_WIDTHS, dtype))


@functools.cache
def _peer(kind):
    """A PyTorch network, and its weights under our names."""
    pytest.importorskip("torch")
    import torch
    from torch.nn import functional

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.part = torch.nn.ModuleDict()

        def conv(self, name, x, features, kernel, stride=1, act=functional.elu):
            if name not in self.part:  # channels are known once an image came
                self.part[name] = torch.nn.Conv2d(x.shape[1], features, kernel, stride)
            p = (kernel - 1) // 2
            return act(self.part[name](functional.pad(x, (p, p, p, p))))

        def vgg(self, x):
            kernels = (7, 5, 3, 3, 3, 3, 3)
            for i, (n, k) in enumerate(zip(WIDTHS, kernels, strict=True), 1):
                x = self.conv(f"backbone/conv{i}a", x, n, k)
                x = self.conv(f"backbone/conv{i}b", x, n, k, 2)
                yield x

        def resnet(self, x):
            x = self.conv("backbone/conv1", x, 4, 7, 2)
            yield x
            x = functional.max_pool2d(functional.pad(x, (1, 1, 1, 1)), 3, 2)
            yield x
            same = lambda y: y  # noqa: E731
            for stage, count in enumerate(BLOCKS):
                n = 4 * 2**stage
                for i in range(count):
                    at = f"backbone/layer{stage + 1}_{i}"
                    stride = 2 if i == count - 1 else 1
                    y = self.conv(f"{at}/conv1", x, n, 1)
                    y = self.conv(f"{at}/conv2", y, n, 3, stride)
                    y = self.conv(f"{at}/conv3", y, 4 * n, 1, 1, same)
                    z = self.conv(f"{at}/shortcut", x, 4 * n, 1, stride, same)
                    x = functional.elu(y + z)
                yield x

        def forward(self, image):
            skips = [None, *getattr(self, kind)(image)]
            x, told, found = skips.pop(), None, []
            while skips:
                skip = skips.pop()
                stride = 2 ** len(skips)
                h, w = (image if skip is None else skip).shape[2:]
                n = UP_WIDTHS[len(skips)]

                def double(x, h=h, w=w):
                    return functional.interpolate(x, scale_factor=2)[..., :h, :w]

                x = self.conv(f"decoder/up_stride{stride}", double(x), n, 3)
                joined = [x] if skip is None else [x, skip]
                joined += [] if told is None else [double(told)]
                joined = torch.cat(joined, 1)
                x = self.conv(f"decoder/join_stride{stride}", joined, n, 3)
                if stride <= 8:
                    name = "head" if stride == 1 else f"disparity_stride{stride}"
                    at = f"decoder/{name}"
                    told = 0.3 * self.conv(at, x, 2, 3, 1, torch.sigmoid)
                    found.append(told)
            return found

    network = Network()
    with torch.no_grad():
        network(torch.zeros(1, 3, 128, 128))
    peers.randomise(network)
    params = {}
    for path, layer in network.part.items():
        *above, last = path.split("/")
        place = params
        for step in above:
            place = place.setdefault(step, {})
        kernel = layer.weight.detach().numpy().transpose(2, 3, 1, 0)
        place[last] = {"kernel": kernel, "bias": layer.bias.detach().numpy()}
    return network, {"params": params}


def _images(size):
    return np.random.default_rng(0).random((1, *size, 3), np.float32)


@functools.cache
def _ours(kind, size, dtype=jnp.float32):
    run = jax.jit(
        functools.partial(_module(kind, dtype).apply, train=True), compiler_options=FAST
    )
    with jax.default_matmul_precision("highest"):
        return run(_peer(kind)[1], _images(size))


@pytest.mark.torch
@pytest.mark.parametrize("size", [(128, 256), (71, 93)])
@pytest.mark.parametrize("kind", KINDS)
def test_disparities_of_all_scales_are_those_of_the_authors_code(kind, size):
    import torch

    images = torch.from_numpy(_images(size).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        theirs = [x.numpy().transpose(0, 2, 3, 1) for x in _peer(kind)[0](images)]
    ours = _ours(kind, size)
    sizes = [tuple(-(-side // stride) for side in size) for stride in (8, 4, 2, 1)]
    assert [x.shape for x in ours] == [(1, *size, 2) for size in sizes]
    for mine, other in zip(ours, theirs, strict=True):
        assert np.std(other) > 1e-3
        assert peers.relative_error(mine, other) < 1e-5
    last = jax.jit(_module(kind).apply, compiler_options=FAST)
    alone = last(_peer(kind)[1], _images(size))
    np.testing.assert_allclose(alone, ours[-1], rtol=1e-3, atol=1e-4)


@pytest.mark.torch
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_stays_near_single(kind):
    size = (71, 93)
    pairs = zip(_ours(kind, size, jnp.bfloat16), _ours(kind, size), strict=True)
    for half, single in pairs:
        assert half.dtype == jnp.float32
        assert 0 < peers.relative_error(half, single) < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_a_gradient(kind):
    module, images = _module(kind), _images((33, 50))
    params = peers.random_variables(module)["params"]

    def loss(params):
        maps = module.apply({"params": params}, images, train=True)
        return sum(jnp.mean(jnp.square(x - 0.2)) for x in maps)

    slopes = jax.jit(jax.grad(loss), compiler_options=FAST)(params)
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path


def test_what_is_no_network_is_refused():
    with pytest.raises(errors.UserError, match=r"positive widths of 4 .*got 3"):
        zoo.create_module("monodepth_vgg", widths=3)
    with pytest.raises(errors.UserError, match="positive up_widths of 4 levels"):
        zoo.create_module("monodepth_vgg", up_widths=(1, 2, 0, 4))
    with pytest.raises(errors.UserError, match="4 positive counts of blocks"):
        zoo.create_module("monodepth_resnet50", blocks=(1, 1, 1))
    short = zoo.create_module("monodepth_vgg", up_widths=(1, 2, 3, 4))
    with pytest.raises(errors.UserError, match="from 4 to 4 levels, got strides"):
        jax.eval_shape(short.init, jax.random.key(0), jnp.zeros((1, 128, 128, 3)))
