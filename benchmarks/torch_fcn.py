"""FCN, DeepLab and DeconvNet in PyTorch, written from the papers' tables.

The first two name their modules as the public ones do, so that the conversion of
weights is compared too; `peers.randomise` leaves the bilinear kernels alone.
"""

import numpy as np
import torch
from torch.nn import functional

WIDTHS = (64, 128, 256, 512, 512)
_COUNTS = (2, 2, 3, 3, 3)


def _diagonal(classes, step):
    """A transposed convolution that enlarges each class bilinearly."""
    side = 2 * step
    line = 1 - np.abs((np.arange(side) - step + 0.5) / step)
    layer = torch.nn.ConvTranspose2d(classes, classes, side, step, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
        for k in range(classes):
            layer.weight[k, k] = torch.from_numpy(np.outer(line, line))
    return layer


class FCN(torch.nn.Module):
    """FCN-32s, 16s or 8s; names of wkentaro/pytorch-fcn."""

    def __init__(self, finest=8, classes=21, widths=WIDTHS, hidden=4096, scales=(1, 1)):
        super().__init__()
        self.finest, self.scales = finest, scales
        before = 3
        for stage, (width, count) in enumerate(zip(widths, _COUNTS, strict=True), 1):
            for i in range(1, count + 1):
                pad = 100 if stage == i == 1 else 1
                layer = torch.nn.Conv2d(before, width, 3, padding=pad)
                self.add_module(f"conv{stage}_{i}", layer)
                before = width
        self.fc6 = torch.nn.Conv2d(widths[4], hidden, 7)
        self.fc7 = torch.nn.Conv2d(hidden, hidden, 1)
        self.score_fr = torch.nn.Conv2d(hidden, classes, 1)
        if finest == 32:
            self.upscore = _diagonal(classes, 32)
        if finest <= 16:
            self.score_pool4 = torch.nn.Conv2d(widths[3], classes, 1)
            self.upscore2 = _diagonal(classes, 2)
        if finest == 16:
            self.upscore16 = _diagonal(classes, 16)
        if finest == 8:
            self.score_pool3 = torch.nn.Conv2d(widths[2], classes, 1)
            self.upscore_pool4 = _diagonal(classes, 2)
            self.upscore8 = _diagonal(classes, 8)

    def forward(self, images):
        x, pools = images, {}
        for stage, count in enumerate(_COUNTS, 1):
            for i in range(1, count + 1):
                x = getattr(self, f"conv{stage}_{i}")(x).relu()
            x = pools[stage] = functional.max_pool2d(x, 2, ceil_mode=True)
        x = self.fc7(self.fc6(x).relu()).relu()
        y = self.score_fr(x)
        if self.finest <= 16:
            y = self.upscore2(y)
            skip = self.score_pool4(pools[4] * self.scales[0])
            y = y + skip[:, :, 5 : 5 + y.shape[2], 5 : 5 + y.shape[3]]
        if self.finest == 8:
            y = self.upscore_pool4(y)
            skip = self.score_pool3(pools[3] * self.scales[1])
            y = y + skip[:, :, 9 : 9 + y.shape[2], 9 : 9 + y.shape[3]]
        last, start = {
            32: ("upscore", 19),
            16: ("upscore16", 27),
            8: ("upscore8", 31),
        }[self.finest]
        y = getattr(self, last)(y)
        height, width = images.shape[2:]
        return y[:, :, start : start + height, start : start + width]


class LargeFOV(torch.nn.Module):
    """DeepLab-LargeFOV on VGG16; names of the authors' Caffe network."""

    def __init__(self, classes=21, widths=WIDTHS, hidden=1024, rate=12):
        super().__init__()
        before = 3
        for stage, (width, count) in enumerate(zip(widths, _COUNTS, strict=True), 1):
            hole = 2 if stage == 5 else 1
            for i in range(1, count + 1):
                layer = torch.nn.Conv2d(before, width, 3, padding=hole, dilation=hole)
                self.add_module(f"conv{stage}_{i}", layer)
                before = width
        self.fc6 = torch.nn.Conv2d(before, hidden, 3, padding=rate, dilation=rate)
        self.fc7 = torch.nn.Conv2d(hidden, hidden, 1)
        self.fc8_voc12 = torch.nn.Conv2d(hidden, classes, 1)

    def forward(self, x):
        for stage, count in enumerate(_COUNTS, 1):
            for i in range(1, count + 1):
                x = getattr(self, f"conv{stage}_{i}")(x).relu()
            step = 2 if stage < 4 else 1
            x = functional.max_pool2d(x, 3, step, 1, ceil_mode=True)
        x = functional.avg_pool2d(x, 3, 1, 1)
        return self.fc8_voc12(self.fc7(self.fc6(x).relu()).relu())


def _normed(inside, outside, kernel, stride=1, dilation=1):
    layer = torch.nn.Module()
    layer.conv = torch.nn.Conv2d(
        inside,
        outside,
        kernel,
        stride,
        padding=dilation * (kernel // 2),
        dilation=dilation,
        bias=False,
    )
    layer.bn = torch.nn.BatchNorm2d(outside)
    layer.forward = lambda x: layer.bn(layer.conv(x))
    return layer


class _Unit(torch.nn.Module):
    def __init__(self, inside, outside, stride, dilation, is_first):
        super().__init__()
        middle = outside // 4
        self.reduce = _normed(inside, middle, 1, stride)
        self.conv3x3 = _normed(middle, middle, 3, dilation=dilation)
        self.increase = _normed(middle, outside, 1)
        if is_first:
            self.shortcut = _normed(inside, outside, 1, stride)

    def forward(self, x):
        y = self.increase(self.conv3x3(self.reduce(x).relu()).relu())
        return (y + (self.shortcut(x) if hasattr(self, "shortcut") else x)).relu()


class DeepLab(torch.nn.Module):
    """DeepLab-v2 on a ResNet; names of kazuto1011/deeplab-pytorch."""

    def __init__(self, blocks, classes=21, rates=(6, 12, 18, 24)):
        super().__init__()
        self.layer1 = torch.nn.Module()
        self.layer1.conv1 = _normed(3, 64, 7, 2)
        inside, plan = 64, ((1, 1), (2, 1), (1, 2), (1, 4))
        for stage, (count, (stride, dilation)) in enumerate(
            zip(blocks, plan, strict=True)
        ):
            outside = 256 * 2**stage
            layer = torch.nn.Sequential()
            for i in range(count):
                step = stride if i == 0 else 1
                unit = _Unit(inside, outside, step, dilation, i == 0)
                layer.add_module(f"block{i + 1}", unit)
                inside = outside
            self.add_module(f"layer{stage + 2}", layer)
        self.aspp = torch.nn.Module()
        for i, rate in enumerate(rates):
            layer = torch.nn.Conv2d(2048, classes, 3, padding=rate, dilation=rate)
            self.aspp.add_module(f"c{i}", layer)

    def forward(self, x):
        x = self.layer1.conv1(x).relu()
        x = functional.max_pool2d(x, 3, 2, 1, ceil_mode=True)
        for stage in range(2, 6):
            x = getattr(self, f"layer{stage}")(x)
        return sum(layer(x) for layer in self.aspp.children())


class MultiScale(torch.nn.Module):
    """The largest of the scores of three sizes; names of kazuto1011/deeplab-pytorch."""

    def __init__(self, base, scales=(0.5, 0.75)):
        super().__init__()
        self.base, self.scales = base, scales

    def forward(self, x):
        bilinear = {"mode": "bilinear", "align_corners": False}
        scores = self.base(x)
        for scale in self.scales:
            small = functional.interpolate(x, scale_factor=scale, **bilinear)
            small = self.base(small)
            small = functional.interpolate(small, size=scores.shape[2:], **bilinear)
            scores = torch.maximum(scores, small)
        return scores


class DeconvNet(torch.nn.Module):
    """VGG16 with normalisation, and its mirror image with unpooling by switches."""

    def __init__(self, classes=21, widths=WIDTHS, hidden=4096):
        super().__init__()
        before = 3
        for stage, (width, count) in enumerate(zip(widths, _COUNTS, strict=True), 1):
            for i in range(1, count + 1):
                self._add(f"conv{stage}_{i}", torch.nn.Conv2d, before, width, 3, 1)
                before = width
        self._add("fc6", torch.nn.Conv2d, before, hidden, 7, 0)
        self._add("fc7", torch.nn.Conv2d, hidden, hidden, 1, 0)
        self._add("deconv6", torch.nn.ConvTranspose2d, hidden, before, 7, 0)
        for stage, count in reversed(list(enumerate(_COUNTS, 1))):
            for i in range(1, count + 1):
                width = widths[max(stage - 2, 0)] if i == count else widths[stage - 1]
                layer = torch.nn.ConvTranspose2d
                self._add(f"deconv{stage}_{i}", layer, before, width, 3, 1)
                before = width
        self.head = torch.nn.Conv2d(before, classes, 1)

    def _add(self, name, kind, inside, outside, kernel, padding):
        self.add_module(name, kind(inside, outside, kernel, padding=padding))
        self.add_module(f"bn_{name}", torch.nn.BatchNorm2d(outside))

    def _run(self, name, x):
        return getattr(self, f"bn_{name}")(getattr(self, name)(x)).relu()

    def forward(self, x):
        pools = {}
        for stage, count in enumerate(_COUNTS, 1):
            for i in range(1, count + 1):
                x = self._run(f"conv{stage}_{i}", x)
            size = x.shape[2:]
            x, places = functional.max_pool2d(x, 2, return_indices=True)
            pools[stage] = places, size
        for name in ("fc6", "fc7", "deconv6"):
            x = self._run(name, x)
        for stage, count in reversed(list(enumerate(_COUNTS, 1))):
            places, size = pools[stage]
            x = functional.max_unpool2d(x, places, 2, output_size=size)
            for i in range(1, count + 1):
                x = self._run(f"deconv{stage}_{i}", x)
        return self.head(x)
