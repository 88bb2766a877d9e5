"""RefineNet in PyTorch, written from the published graph, as an oracle.

Modules have the names of DrSleep's two repositories, so that the layout of names is
tested too; channels can be fewer.
"""

import torch
from torch import nn
from torch.nn import functional

from benchmarks import torch_timm

resnet = torch_timm.load().models.resnet
_RESNET_CHANNELS = (2048, 1024, 512, 256)


def _conv(given, wanted, kernel, bias=False, **options):
    return nn.Conv2d(given, wanted, kernel, padding=kernel // 2, bias=bias, **options)


def _enlarged(x, like, align_corners=True):
    size = like.shape[2:]
    return functional.interpolate(x, size, mode="bilinear", align_corners=align_corners)


class Chain(nn.Module):
    """Pool, then convolve; four times, all added to the input."""

    def __init__(self, width, kernel, groups=1):
        super().__init__()
        for link in range(1, 5):
            conv = _conv(width, width, kernel, groups=groups)
            self.add_module(f"{link}_outvar_dimred", conv)

    def forward(self, x):
        total = link = x
        for conv in self.children():
            link = conv(functional.max_pool2d(link, 5, stride=1, padding=2))
            total = total + link
        return total


class Units(nn.Module):
    """Residual units of two convolutions, the first with a bias."""

    def __init__(self, width, count):
        super().__init__()
        self.count = count
        for i in range(1, count + 1):
            self.add_module(f"{i}_conv", _conv(width, width, 3, bias=True))
            self.add_module(f"{i}_conv_relu_varout_dimred", _conv(width, width, 3))

    def forward(self, x):
        for i in range(1, self.count + 1):
            y = self.get_submodule(f"{i}_conv")(x.relu())
            x = x + self.get_submodule(f"{i}_conv_relu_varout_dimred")(y.relu())
        return x


class RefineNet(resnet.ResNet):
    """Four cascades on a ResNet; with `is_light` 1x1 convolutions and no units."""

    def __init__(self, blocks, widths, classes, is_light=False):
        super().__init__(resnet.Bottleneck, blocks, num_classes=0)
        self.is_light = is_light
        kernel = 1 if is_light else 3
        for g, width in enumerate(widths, 1):
            given = _RESNET_CHANNELS[g - 1]
            self.add_module(f"p_ims1d2_outl{g}_dimred", _conv(given, width, kernel))
            chain = nn.Sequential(Chain(width, kernel))
            self.add_module(f"mflow_conv_g{g}_pool", chain)
            if g > 1:
                name = f"adapt_stage{g}_b2_joint_varout_dimred"
                self.add_module(name, _conv(width, width, kernel))
            if g < 4:
                name = f"mflow_conv_g{g}_b3_joint_varout_dimred"
                self.add_module(name, _conv(width, widths[g], kernel))
            if not is_light:
                self.add_module(f"adapt_stage{g}_b", nn.Sequential(Units(width, 2)))
                self.add_module(f"mflow_conv_g{g}_b", nn.Sequential(Units(width, 3)))
        self.clf_conv = _conv(widths[-1], classes, 3, bias=True)

    def forward(self, x):
        layer = self.get_submodule
        x = self.maxpool(self.act1(self.bn1(self.conv1(x))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.insert(0, x)
        for g, features in enumerate(maps, 1):
            path = layer(f"p_ims1d2_outl{g}_dimred")(features)
            if not self.is_light:
                path = layer(f"adapt_stage{g}_b")(path)
            if g > 1:
                path = layer(f"adapt_stage{g}_b2_joint_varout_dimred")(path)
                deep = layer(f"mflow_conv_g{g - 1}_b3_joint_varout_dimred")(x)
                path = path + _enlarged(deep, path)
            x = layer(f"mflow_conv_g{g}_pool")(path.relu())
            if not self.is_light:
                x = layer(f"mflow_conv_g{g}_b")(x)
        return self.clf_conv(x)


def _normalised(given, wanted, kernel, is_linear=False, **options):
    layers = [_conv(given, wanted, kernel, **options), nn.BatchNorm2d(wanted)]
    return nn.Sequential(*layers, *([] if is_linear else [nn.ReLU6()]))


class Inverted(nn.Module):
    """An inverted residual, which always expands."""

    def __init__(self, given, wanted, expansion, stride):
        super().__init__()
        hidden = given * expansion
        self.is_residual = stride == 1 and given == wanted
        self.output = nn.Sequential(
            _normalised(given, hidden, 1),
            _normalised(hidden, hidden, 3, stride=stride, groups=hidden),
            _normalised(hidden, wanted, 1, is_linear=True),
        )

    def forward(self, x):
        return self.output(x) + (x if self.is_residual else 0)


class OnMobileNet(nn.Module):
    """The light network on MobileNet-v2; `table` has its expansion, channels, units."""

    align_corners = True
    table = (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )

    def __init__(self, width, classes):
        super().__init__()
        self.layer1, given = _normalised(3, 32, 3, stride=2), 32
        for n, (expansion, channels, count, step) in enumerate(self.table, 2):
            stage = nn.Sequential()
            for i in range(count):
                stage.append(
                    Inverted(given, channels, expansion, step if i == 0 else 1)
                )
                given = channels
            self.add_module(f"layer{n}", stage)
            if n >= 3:
                self.add_module(f"conv{n}", _conv(channels, width, 1))
        for g in range(1, 5):
            self.add_module(f"crp{g}", nn.Sequential(Chain(width, 1)))
            if g > 1:
                self.add_module(f"conv_adapt{g}", _conv(width, width, 1))
        self.segm = _conv(width, classes, 3, bias=True)

    def forward(self, x):
        layer = self.get_submodule
        paths = {}
        for n in range(1, 9):
            x = layer(f"layer{n}")(x)
            if n >= 3:
                paths[n] = layer(f"conv{n}")(x)
        x = layer("crp4")(functional.relu6(paths[8] + paths[7]))
        for g, joined in ((3, paths[5] + paths[6]), (2, paths[4]), (1, paths[3])):
            deep = layer(f"conv_adapt{g + 1}")(x)
            deep = _enlarged(deep, joined, self.align_corners)
            x = layer(f"crp{g}")(functional.relu6(joined + deep))
        return self.scores(x)

    def scores(self, x):
        return self.segm(x)


class MultiTask(OnMobileNet):
    """That network for classes and depth, as in DrSleep/multi-task-refinenet."""

    align_corners = False

    def __init__(self, width, classes):
        super().__init__(width, classes)
        self.crp1 = nn.Sequential(Chain(width, 1, groups=width))
        self.pre_segm = _conv(width, width, 1, groups=width)
        self.pre_depth = _conv(width, width, 1, groups=width)
        self.depth = _conv(width, 1, 3, bias=True)

    def scores(self, x):
        classes = self.segm(functional.relu6(self.pre_segm(x)))
        depth = self.depth(functional.relu6(self.pre_depth(x)))
        return torch.cat([classes, depth], 1)
