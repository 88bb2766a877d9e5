"""The wide ResNets with weights in the names of public codes.

The PyTorch networks below are written from the published tables, narrower by a factor.
"""

import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import importers, layouts, matching, renaming
from tests import peers

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

NARROW = 16
FAST = {"xla_backend_optimization_level": 0}  # compiles faster, runs slower
LAYOUTS = layouts.BY_NETWORK["WideResNet"]
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def _conv(inside, outside, kernel, stride=1, dilation=1):
    return torch.nn.Conv2d(
        inside,
        outside,
        kernel,
        stride,
        padding=dilation if kernel == 3 else 0,
        dilation=dilation,
        bias=False,
    )


class PsaUnit(torch.nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1; names of psa."""

    def __init__(self, inside, widths, stride=1, dilations=(1, 1)):
        super().__init__()
        middle, outside = widths[0], widths[-1]
        self.bn_branch2a = torch.nn.BatchNorm2d(inside)
        self.bn_branch2b1 = torch.nn.BatchNorm2d(middle)
        first, second = dilations
        if len(widths) == 2:
            self.conv_branch2a = _conv(inside, middle, 3, stride, first)
            self.conv_branch2b1 = _conv(middle, outside, 3, 1, second)
        else:
            self.conv_branch2a = _conv(inside, middle, 1, stride)
            self.conv_branch2b1 = _conv(middle, widths[1], 3, 1, second)
            self.bn_branch2b2 = torch.nn.BatchNorm2d(widths[1])
            self.conv_branch2b2 = _conv(widths[1], outside, 1)
        if inside != outside:
            self.conv_branch1 = _conv(inside, outside, 1, stride)

    def forward(self, x):
        u = self.bn_branch2a(x).relu()
        y = self.conv_branch2b1(self.bn_branch2b1(self.conv_branch2a(u)).relu())
        if hasattr(self, "conv_branch2b2"):
            y = self.conv_branch2b2(self.bn_branch2b2(y).relu())
        return y + (self.conv_branch1(u) if hasattr(self, "conv_branch1") else x)


class Psa(torch.nn.Module):
    """Model A1 at output stride 8, without a classifier."""

    def __init__(self, narrow=NARROW):
        super().__init__()
        # Channels before the level, of its convolutions; stride and dilations of its
        # first unit; dilations and number of the others.
        table = {
            2: (64, (128, 128), 2, (1, 1), (1, 1), 2),
            3: (128, (256, 256), 2, (1, 1), (1, 1), 2),
            4: (256, (512, 512), 2, (1, 1), (1, 1), 5),
            5: (512, (512, 1024), 1, (1, 2), (2, 2), 2),
            6: (1024, (512, 1024, 2048), 1, (4, 4), None, 0),
            7: (2048, (1024, 2048, 4096), 1, (4, 4), None, 0),
        }
        self.conv1a = _conv(3, 64 // narrow, 3)
        for level, (inside, widths, stride, first, others, more) in table.items():
            widths = [width // narrow for width in widths]
            unit = PsaUnit(inside // narrow, widths, stride, first)
            self.add_module(f"b{level}", unit)
            for i in range(1, more + 1):
                unit = PsaUnit(widths[-1], widths, 1, others)
                self.add_module(f"b{level}_{i}", unit)
        self.bn7 = torch.nn.BatchNorm2d(4096 // narrow)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x.relu()


def nvidia_norm(channels):
    """Normalisation and rectification under two names."""
    return torch.nn.Sequential(torch.nn.BatchNorm2d(channels), torch.nn.ReLU())


class AbnBlock(torch.nn.Module):
    """A unit in the names of inplace_abn; its one dilation is that of all its 3x3."""

    def __init__(self, inside, widths, norm, stride=1, dilation=1):
        super().__init__()
        self.bn1 = norm(inside)
        kernels = (3, 3) if len(widths) == 2 else (1, 3, 1)
        self.convs = torch.nn.Sequential()
        for i, kernel in enumerate(kernels, 1):
            if i > 1:
                self.convs.add_module(f"bn{i}", norm(widths[i - 2]))
            before = inside if i == 1 else widths[i - 2]
            step = stride if i == 1 else 1
            conv = _conv(before, widths[i - 1], kernel, step, dilation)
            self.convs.add_module(f"conv{i}", conv)
        if stride != 1 or inside != widths[-1]:
            self.proj_conv = _conv(inside, widths[-1], 1, stride)

    def forward(self, x):
        u = self.bn1(x)
        shortcut = self.proj_conv(u) if hasattr(self, "proj_conv") else x
        return self.convs(u) + shortcut


class WiderResNet(torch.nn.Module):
    """A classifier in the names of inplace_abn, with pools or (A2) strides from B4."""

    def __init__(
        self, blocks, norm=nvidia_norm, a2=False, dilation=False, narrow=NARROW
    ):
        super().__init__()
        widths = ((128, 128), (256, 256), (512, 512), (512, 1024))
        widths += ((512, 1024, 2048), (1024, 2048, 4096))
        stem = _conv(3, 64 // narrow, 3)
        self.mod1 = torch.nn.Sequential()
        self.mod1.add_module("conv1", stem)
        channels, self.pooled = 64 // narrow, (2, 3) if a2 else (2, 3, 4, 5, 6)
        for level, (count, wide) in enumerate(zip(blocks, widths, strict=True), 2):
            wide = [w // narrow for w in wide]
            strided = (4,) if dilation else (4, 5, 6)
            stride = 2 if a2 and level in strided else 1
            dilated = {5: 2, 6: 4, 7: 4}.get(level, 1) if dilation else 1
            module = torch.nn.Sequential()
            for i in range(1, count + 1):
                block = AbnBlock(channels, wide, norm, stride if i == 1 else 1, dilated)
                module.add_module(f"block{i}", block)
                channels = wide[-1]
            self.add_module(f"mod{level}", module)
        self.bn_out = norm(channels)
        self.classifier = torch.nn.Module()
        self.classifier.fc = torch.nn.Linear(channels, 10)

    def forward(self, x):
        x = self.mod1(x)
        for level in range(2, 8):
            if level in self.pooled:
                x = torch.nn.functional.max_pool2d(x, 3, 2, 1)
            x = getattr(self, f"mod{level}")(x)
        return self.classifier.fc(self.bn_out(x).mean((2, 3)))


def _photo(height, width):
    return np.random.default_rng(0).random((1, height, width, 3), np.float32)


def _standardised(images):
    return ((images - MEAN) / DEVIATION).astype(np.float32)


def _ours(module, variables, images):
    with jax.default_matmul_precision("highest"):
        run = jax.jit(module.apply, compiler_options=FAST)
        return run(variables, images)


@pytest.fixture(scope="module")
def psa():
    """The network of psa with random weights."""
    return peers.randomise(Psa())


def _classifier(name, **options):
    return zoo.create_module(name, num_classes=10, width=1 / NARROW, **options)


def _backbone(variables):
    return {kind: tree["backbone"] for kind, tree in variables.items()}


@pytest.mark.parametrize("size", [(48, 64), (51, 45)])
def test_features_are_those_of_psa(psa, size):
    variables = renaming.variables(
        peers.arrays(psa), _classifier("wide_resnet_a1"), LAYOUTS, skip=("head/*",)
    )
    images = _photo(*size)
    theirs = peers.output(psa, _standardised(images))

    def error(**options):
        module = zoo.create_backbone(
            "wide_resnet_a1", output_stride=8, width=1 / NARROW, **options
        )
        ours = _ours(module, _backbone(variables), images)
        return peers.relative_error(ours[8], theirs)

    assert error() < 1e-5
    if size == (48, 64):
        assert error(dilate_first=True) > 1e-2
        assert error(halving="mixed") > 1e-2


def test_a_checkpoint_without_a_classifier_fills_the_backbone(psa):
    module = _classifier("wide_resnet_a1")
    arrays = {f"module.{name}": array for name, array in peers.arrays(psa).items()}
    message = r'nearest is psa.*\n.*2 missing in the.*\n.*; or skip "head/\*" to'
    with pytest.raises(errors.DataError, match=message):
        renaming.variables(arrays, module, LAYOUTS)
    shapes = jax.eval_shape(module.init, jax.random.key(0), _photo(32, 32))
    fresh = jax.tree.map(lambda a: np.full(a.shape, 7, np.float32), shapes)
    loaded = renaming.variables(arrays, module, LAYOUTS, skip=("head/*",))
    whole = matching.merge(loaded, fresh, skip=("head/*",))
    matching.check_matches(whole, module)
    assert "head" not in loaded["params"]
    assert (whole["params"]["head"]["fc"]["kernel"] == 7).all()
    np.testing.assert_array_equal(
        whole["params"]["backbone"]["b5_2"]["conv_b"]["kernel"],
        arrays["module.b5_2.conv_branch2b1.weight"].transpose(2, 3, 1, 0),
    )


@pytest.mark.parametrize(
    ("name", "theirs", "options", "wrong"),
    [
        ("a", {}, {}, {"pool_pad": "same"}),
        (
            "a2",
            {"a2": True, "dilation": True},
            {"output_stride": 8, "dilate_first": True},
            {"dilate_first": False},
        ),
        ("b", {"a2": True}, {"halving": "mixed"}, {"halving": "conv"}),
        ("16", {}, {}, {"pool_pad": "same"}),
    ],
)
def test_scores_are_those_of_nvidia(name, theirs, options, wrong):
    units = zoo.list_options(f"wide_resnet_{name}")["units"]
    network = peers.randomise(WiderResNet(units[1:], **theirs))
    options = {"pool_pad": "symmetric", **options}
    module = _classifier(f"wide_resnet_{name}", **options)
    variables = renaming.variables(peers.arrays(network), module, LAYOUTS)
    images = _photo(65, 72)
    scores = peers.output(network, _standardised(images))
    assert peers.relative_error(_ours(module, variables, images), scores) < 1e-5
    other = _classifier(f"wide_resnet_{name}", **{**options, **wrong})
    assert peers.relative_error(_ours(other, variables, images), scores) > 1e-3


def test_weights_of_in_place_normalisation_are_refused():
    network = WiderResNet((1,) * 6, norm=torch.nn.BatchNorm2d)
    module = _classifier("wide_resnet_16", pool_pad="symmetric")
    with pytest.raises(errors.DataError, match=r"inplace_abn, .* \|gamma\| \+ 1e-5"):
        renaming.variables(peers.arrays(network), module, LAYOUTS)


def test_a_classifier_of_other_classes_gives_its_backbone():
    network = peers.randomise(WiderResNet((1,) * 6))
    module = zoo.create_module("wide_resnet_16", num_classes=21, width=1 / NARROW)
    loaded = renaming.variables(
        peers.arrays(network), module, LAYOUTS, skip=("head/*",)
    )
    assert set(loaded["params"]) == {"backbone"}
    matching.check_matches(loaded, module, skip=("head/*",))


def _mxnet(arrays, classes=10, width=4096 // NARROW):
    """The arrays of psa as the authors' code names them, and a classifier's."""
    leaves = {
        "running_mean": ("aux:bn{}", "moving_mean"),
        "running_var": ("aux:bn{}", "moving_var"),
        "bias": ("arg:bn{}", "beta"),
    }
    made = {}
    for name, array in arrays.items():
        unit, *layer, leaf = name.split(".")
        if leaf == "num_batches_tracked":
            continue
        if unit == "conv1a":
            made["arg:conv1a_weight"] = array
            continue
        is_norm = unit == "bn7" or layer[0].startswith("bn")
        start, end = leaves.get(
            leaf, ("arg:bn{}", "gamma") if is_norm else ("arg:res{}", "weight")
        )
        if unit == "bn7":
            made[f"{start.format(7)}_{end}"] = array
            continue
        level, _, i = unit.removeprefix("b").partition("_")
        unit = f"{level}b{i}" if i else f"{level}a"
        made[f"{start.format(unit)}_{layer[0].split('_')[1]}_{end}"] = array
    rng = np.random.default_rng(0)
    made["arg:linear1000_weight"] = rng.normal(size=(classes, width))
    made["arg:linear1000_bias"] = rng.normal(size=classes)
    return made


def test_the_authors_names_mean_the_same(psa, tmp_path):
    arrays = _mxnet(peers.arrays(psa))
    assert {  # as the authors' files have them
        "arg:res4b5_branch2b1_weight",
        "arg:res6a_branch2b2_weight",
        "arg:res2a_branch1_weight",
        "arg:bn5b2_branch2a_gamma",
        "arg:bn7a_branch2b2_beta",
        "aux:bn7_moving_mean",
    } <= set(arrays)
    np.savez(tmp_path / "a1.npz", **arrays)
    module = _classifier("wide_resnet_a1")
    loaded = renaming.variables(
        importers.read_arrays(tmp_path / "a1.npz"), module, LAYOUTS
    )
    matching.check_matches(loaded, module)
    same = renaming.variables(peers.arrays(psa), module, LAYOUTS, skip=("head/*",))
    jax.tree.map(np.testing.assert_array_equal, _backbone(loaded), _backbone(same))
    np.testing.assert_allclose(
        loaded["params"]["head"]["fc"]["kernel"], arrays["arg:linear1000_weight"].T
    )
    np.testing.assert_allclose(
        loaded["params"]["head"]["fc"]["bias"], arrays["arg:linear1000_bias"]
    )


@pytest.mark.parametrize("change", ["more", "less"])
def test_unused_and_missing_arrays_are_named(psa, change):
    arrays = _mxnet(peers.arrays(psa))
    if change == "more":
        arrays["arg:res4b6_branch2a_weight"] = arrays["arg:res4b5_branch2a_weight"]
        message = r"nearest is ademxapp.*\n.*1 not part of the network: arg:res4b6_bra"
    else:
        del arrays["aux:bn7_moving_var"]
        message = r"1 missing in the file: batch_stats/backbone/bn_out/var"
    with pytest.raises(errors.DataError, match=message):
        renaming.variables(arrays, _classifier("wide_resnet_a1"), LAYOUTS)
