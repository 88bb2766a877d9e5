"""MobileNet-v2 (Sandler et al., CVPR 2018): inverted residuals, linear bottlenecks."""

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import classifier, layers

DROPOUT = 0.2  # of torchvision's training and of the authors' code
_STEM = 32
_LAST = 1280
# Paper, table 2: expansion, channels, units, stride of the first.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class MobileNetV2(nn.Module):
    """The feature pyramid of MobileNet-v2.

    A stage that would exceed `output_stride` is dilated instead (à trous): the
    convolution that loses its stride keeps its dilation and all after it double theirs,
    so that the features of the plain network are among those of the dilated one.

    Attributes:
        width: factor on all channels, which are rounded to multiples of eight.
        output_stride: 8, 16 or 32 pixels between the last features.
        expands_first: the first unit too begins with a 1x1 convolution, as in the
            weights of light-weight RefineNet.
        every_stage: each level of the pyramid is the tuple of all its stages, for
            decoders that join several maps.
        input_style: how the weights want images; see `layers.standardise`.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        remat: compute each unit again in the backward pass, to save memory.
        dtype: compute type; parameters and statistics are float32.
    """

    width: float = 1.0
    output_stride: int = 32
    expands_first: bool = False
    every_stage: bool = False
    input_style: layers.InputStyle = "imagenet"
    norm: layers.NormMode = "sync"
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if self.output_stride not in (8, 16, 32):
            raise errors.UserError(
                "MobileNetV2 wants output_stride 8, 16 or 32, got "
                f"{self.output_stride!r}."
            )
        if self.width <= 0:
            raise errors.UserError(
                f"MobileNetV2 wants a width above 0, got {self.width!r}."
            )

    def __call__(self, images: jax.Array, train: bool = False) -> dict[int, jax.Array]:
        """Returns the feature pyramid.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: whether batch statistics are taken.

        Returns:
            For strides 2 (16 channels), 4 (24), 8 (32), 16 (96), 32 (320) the map
            [b, h', w', c]; strides beyond `output_stride` are missing, and its own map
            is that of the last stage.  Bottlenecks are linear: no map is rectified.
            With `every_stage` tuples of maps, those of stride 16 having 64 and 96
            channels and those of stride 32 160 and 320.

        Raises:
            UserError: images of another rank or channel count.
        """
        stages = self.stages(images, train)
        if not self.every_stage:
            return dict(stages)
        pyramid = {}
        for stride, x in stages:
            pyramid[stride] = (*pyramid.get(stride, ()), x)
        return pyramid

    @nn.compact
    def stages(
        self, images: jax.Array, train: bool = False
    ) -> list[tuple[int, jax.Array]]:
        """Returns the maps of all stages, several of which share a stride.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3].
            train: whether batch statistics are taken.

        Returns:
            Stride and map of the seven stages, which have 16, 24, 32, 64, 96, 160 and
            320 channels.

        Raises:
            UserError: images of another rank or channel count.
        """
        x = layers.standardise(images, self.input_style).astype(self.dtype)
        stem = _scaled(_STEM, self.width)
        x = layers.conv(stem, 3, stride=2, dtype=self.dtype, name="conv_stem")(x)
        x = layers.norm(self.norm, train, dtype=self.dtype, name="bn_stem")(x)
        x = nn.relu6(x)
        maps, stride, dilation = [], 2, 1
        unit = nn.remat(Unit, static_argnums=(2,)) if self.remat else Unit
        for stage, (expansion, channels, count, step) in enumerate(_STAGES, 1):
            before = dilation
            if stride * step > self.output_stride:
                step, dilation = 1, dilation * step
            stride *= step
            for i in range(count):
                is_first = i == 0
                x = unit(
                    _scaled(channels, self.width),
                    expansion=expansion,
                    stride=step if is_first else 1,
                    # What comes before the lost stride keeps the dilation, as it does.
                    dilation=before if is_first else dilation,
                    expands=expansion > 1 or self.expands_first,
                    norm=self.norm,
                    dtype=self.dtype,
                    name=f"layer{stage}_{i}",
                )(x, train)
            maps.append((stride, x))
        return maps


class Unit(nn.Module):
    """An inverted residual: more channels, one filter for each, fewer channels.

    Attributes:
        features: channels that come out.
        expansion: times as many as came in are filtered.
        stride: step of the depthwise convolution.
        dilation: of the depthwise convolution.
        expands: begins with a 1x1 convolution.
        norm: see `layers.norm`.
        dtype: compute type.
    """

    features: int
    expansion: int = 6
    stride: int = 1
    dilation: int = 1
    expands: bool = True
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns the unit's output, with the input added if it has the same shape.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken.

        Returns:
            [b, h', w', features], not rectified.
        """

        def normalised(y, features, kernel, name, **options):
            y = layers.conv(
                features, kernel, dtype=self.dtype, name=f"conv_{name}", **options
            )(y)
            return layers.norm(self.norm, train, dtype=self.dtype, name=f"bn_{name}")(y)

        y, channels = x, x.shape[-1]
        hidden = channels * self.expansion
        if self.expands:
            y = nn.relu6(normalised(y, hidden, 1, "expand"))
        y = normalised(
            y,
            hidden,
            3,
            "depth",
            stride=self.stride,
            dilation=self.dilation,
            groups=hidden,
            # The fan-out would count the other channels, which no filter reaches.
            kernel_init=nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
        )
        y = normalised(nn.relu6(y), self.features, 1, "project")
        is_residual = self.stride == 1 and channels == self.features
        return x + y if is_residual else y


class MobileNetHead(nn.Module):
    """A 1x1 convolution to more channels, their averages, dropout, one matrix.

    Attributes:
        num_classes: scores it gives.
        dropout: share of the averaged features that training leaves out.
        width: factor on the 1280 channels; they do not become fewer.
        norm: see `layers.norm`.
        dtype: compute type; the average and the scores are float32.
    """

    num_classes: int
    dropout: float = 0.0
    width: float = 1.0
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, features: jax.Array, train: bool = False) -> jax.Array:
        """Returns scores.

        Args:
            features: the last map of the backbone, [b, h, w, c].
            train: whether dropout is on and batch statistics are taken.

        Returns:
            float32 [b, num_classes].
        """
        last = _scaled(_LAST, max(1.0, self.width))
        x = layers.conv(last, 1, dtype=self.dtype, name="conv")(features)
        x = layers.norm(self.norm, train, dtype=self.dtype, name="bn")(x)
        linear = classifier.LinearHead(
            self.num_classes, self.dropout, dtype=self.dtype, name="linear"
        )
        return linear(nn.relu6(x), train=train)


def head(trunk: MobileNetV2, num_classes: int, dropout: float) -> MobileNetHead:
    """Returns the head that belongs to a backbone.

    Args:
        trunk: the backbone.
        num_classes: scores it gives.
        dropout: share of the averaged features that training leaves out.

    Returns:
        The Linen module.

    Raises:
        UserError: a backbone that gives every stage.
    """
    if trunk.every_stage:
        raise errors.UserError(
            "A classifier reads the last stage of MobileNetV2. Leave out every_stage."
        )
    return MobileNetHead(num_classes, dropout, trunk.width, trunk.norm, trunk.dtype)


def _scaled(channels: int, width: float) -> int:
    """The nearest multiple of eight, or the next if more than a tenth would be lost."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded
