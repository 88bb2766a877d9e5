"""The dilated ResNet that scores bins of depth, against a PyTorch rendering of it."""

import functools

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import bin_head, resnet, segmenter, zoo
from dpjax.weights import renaming
from dpjax.weights.layouts import resnet as resnet_layouts
from tests import peers

BINS, HIDDEN = 7, 12
# 3x3x2048x512 and a normalisation of 512, then 513 for each bin.
HEAD, FOR_EACH = 9_438_208, 513
TRUNKS = {"50": 23_508_032, "101": 42_500_160, "152": 58_143_808}
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
FAST = {"xla_backend_optimization_level": 0}


@pytest.mark.parametrize("depth", TRUNKS)
@pytest.mark.parametrize("bins", [1, 100])
def test_parameters_are_those_of_the_table(depth, bins):
    module = zoo.create_module(f"cls_resnet{depth}", num_classes=bins)
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    params = jax.eval_shape(module.init, jax.random.key(0), images)["params"]
    counts = {k: sum(x.size for x in jax.tree.leaves(v)) for k, v in params.items()}
    assert counts == {
        "backbone": TRUNKS[depth],
        "decoder": HEAD + FOR_EACH * bins,
    }


@pytest.mark.parametrize("size", [(480, 640), (75, 93)])
def test_scores_have_a_stride_of_eight(size):
    module = zoo.create_module("cls_resnet50", num_classes=BINS, blocks=(1, 1, 1, 1))
    images = jax.ShapeDtypeStruct((2, *size, 3), jnp.float32)
    init = functools.partial(module.init_with_output, jax.random.key(0))
    scores = jax.eval_shape(init, images)[0]
    assert scores.shape == (2, *(-(-side // 8) for side in size), BINS)
    assert zoo.list_options("cls_resnet101")["output_stride"] == 8
    assert not module.align_corners


@functools.cache
def _peer():
    """A PyTorch network with random weights, and those weights under our names."""
    peers.timm()
    import torch
    from torchvision.models import resnet as theirs

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.trunk = theirs.ResNet(
                theirs.Bottleneck,
                [1, 1, 2, 2],
                replace_stride_with_dilation=[False, True, True],
            )
            del self.trunk.fc
            self.head = torch.nn.Sequential(
                torch.nn.Conv2d(2048, HIDDEN, 3, padding=1, bias=False),
                torch.nn.BatchNorm2d(HIDDEN),
                torch.nn.ReLU(),
                torch.nn.Dropout(0.5),
                torch.nn.Conv2d(HIDDEN, BINS, 1),
            )

        def forward(self, x):
            t = self.trunk
            x = t.maxpool(t.bn1(t.conv1(x)).relu())
            x = t.layer4(t.layer3(t.layer2(t.layer1(x))))
            return self.head(x)

    network = peers.randomise(Network())
    rules = {
        rf"trunk\.{name}": path
        for name, path in resnet_layouts.LAYOUTS["torchvision"].rules.items()
    }
    for i, path in (("0", "conv"), ("1", "bn"), ("4", "head")):
        rules[rf"head\.{i}"] = f"decoder/{path}"
    arrays = peers.arrays(network)
    return network, renaming.variables(
        arrays, _module(), {"mirror": renaming.Layout(rules)}
    )


def _module(stride=8, dtype=jnp.float32):
    trunk = resnet.ResNet((1, 1, 2, 2), output_stride=stride, dtype=dtype)
    head = bin_head.BinHead(BINS, HIDDEN, norm="device", dtype=dtype)
    return segmenter.Segmenter(trunk, head)


@functools.cache
def _output(stride=8, dtype=jnp.float32):
    run = jax.jit(_module(stride, dtype).apply, compiler_options=FAST)
    with jax.default_matmul_precision("highest"):
        return run(_peer()[1], _images())


def _images():
    return np.random.default_rng(0).random((1, 70, 93, 3), np.float32)


@pytest.mark.torch
def test_scores_are_those_of_pytorch():
    network, _ = _peer()
    seen = ((_images() - MEAN) / DEVIATION).astype(np.float32)
    theirs = peers.output(network, seen)
    assert theirs.shape == (1, 9, 12, BINS)
    assert peers.relative_error(_output(), theirs) < 1e-5


@pytest.mark.torch
def test_half_precision_stays_near_single():
    half = _output(dtype=jnp.bfloat16)
    assert half.dtype == jnp.float32
    assert 0 < peers.relative_error(half, _output()) < 0.1


def test_training_leaves_out_half_of_the_features():
    head = bin_head.BinHead(BINS, HIDDEN, norm="device")
    pyramid = {8: np.random.default_rng(0).random((2, 5, 6, 3), np.float32)}
    variables = jax.jit(lambda key: head.init(key, pyramid, (40, 48)))(
        jax.random.key(0)
    )

    @jax.jit
    def scores(key):
        return head.apply(
            variables,
            pyramid,
            (40, 48),
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": key},
        )[0]

    first, second = (scores(jax.random.key(i)) for i in (1, 2))
    assert np.abs(first - second).max() > 1e-3
    assert head.dropout == 0.5


def test_a_share_of_all_is_refused():
    with pytest.raises(errors.UserError, match="a share from 0 to below 1"):
        zoo.create_module("cls_resnet50", dropout=1.0)
