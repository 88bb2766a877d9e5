"""The network of Garg et al. against a PyTorch rendering of the released Caffe one."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import garg2016, segmenter, zoo
from tests import peers

FAST = {"xla_backend_optimization_level": 0}
BLOCKS, WIDTH = (1, 2, 1, 1), 8
MEANS = np.array([104.00699, 116.66877, 122.67892])


def _normalised(given, features, kernel):
    return kernel**2 * given * features + features + 2 * features


def test_parameters_are_those_of_the_layers():
    total = _normalised(3, 64, 7) + _normalised(64, 128, 3)
    given = 128
    for width, count in ((32, 3), (64, 4), (128, 6), (256, 3)):
        for i in range(count):
            total += _normalised(given, width, 1) + _normalised(width, width, 3)
            total += _normalised(width, 4 * width, 1)
            total += (i == 0) * _normalised(given, 4 * width, 1)
            given = 4 * width
    total += given + 1  # the coarsest score; those behind have factors, too
    total += sum(2 * channels + 1 for channels in (128, 128, 256, 512))
    module = zoo.create_module("garg2016_resnet50")
    images = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
    params = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    found = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert found == total
    assert 4 * found < 25e6  # bytes, "<25 MB" of the authors' page


def _module(dtype=jnp.float32):
    backbone = garg2016.PooledResNet(BLOCKS, WIDTH, norm="device", dtype=dtype)
    return segmenter.Segmenter(backbone, garg2016.DisparitySum(dtype))


def _bilinear():
    """Caffe's filler for 4x4."""
    line = [1 - abs(i / 2 - 0.75) for i in range(4)]
    return np.outer(line, line).astype(np.float32)


@functools.cache
def _peer():
    """A PyTorch network, and its weights under our names."""
    pytest.importorskip("torch")
    import torch
    from torch.nn import functional

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.part = torch.nn.ModuleDict()
            self.factors = torch.nn.ParameterDict()

        def conv(self, name, x, features, kernel):
            if name not in self.part:
                layer = torch.nn.Conv2d(
                    x.shape[1], features, kernel, padding=kernel // 2
                )
                self.part[name] = layer
            return self.part[name](x)

        def normed(self, at, i, x, features, kernel):
            x, name = self.conv(f"{at}conv{i}", x, features, kernel), f"{at}bn{i}"
            if name not in self.part:
                self.part[name] = torch.nn.BatchNorm2d(features).eval()
            return self.part[name](x)

        def score(self, x, stride):
            name = f"scale_stride{stride}"
            if name not in self.factors:
                self.factors[name] = torch.linspace(0.5, 1.5, x.shape[1])
            x = x * self.factors[name][:, None, None]
            return self.conv(f"decoder/score_stride{stride}", x, 1, 1)

        def forward(self, image):
            pool = functools.partial(
                functional.max_pool2d, kernel_size=2, ceil_mode=True
            )
            x = pool(self.normed("backbone/", 0, image, WIDTH, 7).relu())
            x = self.normed("backbone/", 1, x, 2 * WIDTH, 3).relu()
            levels = [x]
            for stage, count in enumerate(BLOCKS):
                x, n = pool(x), WIDTH // 2 * 2**stage
                for i in range(count):
                    at = f"backbone/layer{stage + 1}_{i}/"
                    y = self.normed(at, 1, x, n, 1).relu()
                    y = self.normed(at, 2, y, n, 3).relu()
                    y = self.normed(at, 3, y, 4 * n, 1)
                    if i == 0:
                        x = self.normed(at, "_proj", x, 4 * n, 1)
                    x = (x + y).relu()
                levels.append(x)
            kernel = torch.from_numpy(_bilinear())[None, None]

            def double(x, like):
                y = 2 * functional.conv_transpose2d(x, kernel, stride=2, padding=1)
                return y[..., : like.shape[2], : like.shape[3]]

            x = self.conv("decoder/head", levels.pop(), 1, 1)
            while levels:
                level = levels.pop()
                x = double(x, level) + self.score(level, 2 ** (len(levels) + 1))
            return double(x, image)

    network = Network()
    with torch.no_grad():
        network(torch.zeros(1, 3, 64, 64))
    peers.randomise(network)
    variables = {"params": {}, "batch_stats": {}}

    def put(kind, path, values):
        place = variables[kind]
        for step in path.split("/"):
            place = place.setdefault(step, {})
        place |= {name: value.detach().numpy() for name, value in values.items()}

    for path, layer in network.part.items():
        if isinstance(layer, torch.nn.Conv2d):
            kernel = layer.weight.permute(2, 3, 1, 0)
            put("params", path, {"kernel": kernel, "bias": layer.bias})
        else:
            put("params", path, {"scale": layer.weight, "bias": layer.bias})
            told = {"mean": layer.running_mean, "var": layer.running_var}
            put("batch_stats", path, told)
    put("params", "decoder", dict(network.factors))
    return network, variables


def _images(size):
    return np.random.default_rng(0).random((1, *size, 3), np.float32)


@functools.cache
def _ours(size, dtype=jnp.float32):
    run = jax.jit(_module(dtype).apply, compiler_options=FAST)
    with jax.default_matmul_precision("highest"):
        return run(_peer()[1], _images(size))


@pytest.mark.torch
@pytest.mark.parametrize("size", [(64, 96), (71, 93)])
def test_disparities_are_those_of_the_release(size):
    levels = (_images(size)[..., ::-1] * 255 - MEANS).astype(np.float32)
    theirs = peers.output(_peer()[0], levels)
    assert theirs.shape == (1, *size, 1)
    assert peers.relative_error(_ours(size), theirs) < 1e-5


@pytest.mark.torch
def test_half_precision_stays_near_single():
    half = _ours((71, 93), jnp.bfloat16)
    assert half.dtype == jnp.float32
    assert 0 < peers.relative_error(half, _ours((71, 93))) < 0.1


def test_a_fresh_network_says_no_disparity():
    run = jax.jit(_module().init_with_output, compiler_options=FAST)
    told, fresh = run(jax.random.key(0), _images((64, 64)))
    assert not np.any(told)
    factors = fresh["params"]["decoder"]
    for stride, wanted in ((2, 1e-6), (4, 1e-5), (8, 1e-4), (16, 1e-2)):
        np.testing.assert_allclose(factors[f"scale_stride{stride}"], wanted, rtol=1e-6)


def test_every_parameter_has_a_gradient():
    module, images = _module(), _images((33, 50))
    variables = peers.random_variables(module)

    def loss(params):
        told, _ = module.apply(
            {**variables, "params": params}, images, train=True, mutable=["batch_stats"]
        )
        return jnp.mean(jnp.square(told - 3))

    slopes = jax.jit(jax.grad(loss), compiler_options=FAST)(variables["params"])
    for path, slope in jax.tree_util.tree_leaves_with_path(slopes):
        assert np.isfinite(slope).all(), path
        assert np.abs(slope).max() > 0, path


def test_what_is_no_network_is_refused():
    with pytest.raises(errors.UserError, match="even width from 2, got 5"):
        zoo.create_module("garg2016_resnet50", width=5)
    with pytest.raises(errors.UserError, match="4 positive counts of blocks"):
        zoo.create_module("garg2016_resnet50", blocks=(1, 1, 1))
    with pytest.raises(errors.UserError, match=r"\[16, 32\] are missing"):
        garg2016.DisparitySum().init(
            jax.random.key(0),
            {2**i: jnp.zeros((1, 4, 4, 3)) for i in (1, 2, 3)},
            (8, 8),
        )
