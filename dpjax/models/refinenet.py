"""RefineNet (Lin et al., CVPR 2017) and its light-weight form (Nekrasov et al., 2018).

Blocks go from the coarsest map of the backbone to the finest.  Each takes one or more
levels of the pyramid and the result of the block before, brings them to one size and
one number of channels, adds them, sees wide context by chained pooling, and refines.
Both forms are the same graph: the light one has 1x1 convolutions and no residual units.

The multi-task form (Nekrasov et al., ICRA 2019) is the light one on MobileNet-v2 with a
head for each task.  For 40 classes and a depth its options are num_classes=41,
heads=(40, 1), filters_last_chain=True and resize="half_pixel".
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers, pyramids
from dpjax.ops import enlarge

Activation = Literal["relu", "relu6"]
KernelInit = Literal["gaussian", "fan_in"]
PoolingOrder = Literal["pool_conv", "conv_pool"]
# Makes a convolution from the channels that it gives, and a name.
MakeConv = Callable[..., nn.Module]

_FINEST_STRIDE = 4
_DROPPED_LEVELS = 2  # the two deepest, in the official code and both ports
_WINDOW = 5  # of the pooling, in pixels of the map
_PREVIOUS = "previous"
_ACTIVATIONS = {"relu": nn.relu, "relu6": nn.relu6}
_INITS = {
    "gaussian": nn.initializers.normal(0.01),  # of the official code
    # Evenly within 1 / sqrt(fan-in), PyTorch's default.
    "fan_in": nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform"),
}


class RefineNet(nn.Module):
    """Scores of classes from a feature pyramid.

    It reads the coarsest levels of the pyramid, as many as `path_widths` has, of stride
    4 or more.  A dilated or shallow backbone has fewer; they take the first widths.  A
    level may hold several maps, of several stages or scales: each is a path.

    Attributes:
        num_classes: scores it gives.
        cascades: blocks, among which the levels are shared out, the coarsest first; as
            many as levels at most.  The paper has 1, 2 and 4.
        path_widths: channels that the maps get, the coarsest first.
        kernel: side of all convolutions but the last: 3, or 1 in the light form.
        path_units: residual units of every map before it is added.
        block_units: residual units at the end of every block.
        pooling_stages: links of the chain of poolings; 0 leaves it out.
        pooling_order: a link is "pool_conv" (the paper, both ports to PyTorch) or
            "conv_pool" (the improved order of the official code).
        adapts_paths: maps that are added are convolved even if they have the right
            channels already; the light form on MobileNet-v2 adds them as they are.
        resize: "align_corners" (the ports), "half_pixel", both bilinear, or "cubic" as
            in the official code: both axes by the larger ratio, cut to size.
        activation: "relu" or "relu6", once in a block, of the sum.
        dropout: share of the two coarsest levels that training leaves out, here but not
            inside the backbone.
        head_dropout: share left out before the last convolution.
        heads: scores of each of several tasks, `num_classes` together, that stand one
            after the other in the result; see `Heads`.  One convolution where empty.
        filters_last_chain: the convolutions in the chain of the last block are filters
            of single channels, as in the multi-task form.
        kernel_init: "gaussian" of deviation 0.01 (official) or "fan_in" (the light
            form), evenly within 1 / sqrt(fan-in); biases start at 0.
        align_corners: whether scores are enlarged to the image with corners on corners;
            in the published evaluations they are not.
        dtype: compute type; parameters are float32.
    """

    num_classes: int
    cascades: int = 4
    path_widths: Sequence[int] = (512, 256, 256, 256)
    kernel: int = 3
    path_units: int = 2
    block_units: int = 3
    pooling_stages: int = 4
    pooling_order: PoolingOrder = "pool_conv"
    adapts_paths: bool = True
    resize: enlarge.Mode = "align_corners"
    activation: Activation = "relu"
    dropout: float = 0.5
    head_dropout: float = 0.5
    heads: Sequence[int] = ()
    filters_last_chain: bool = False
    kernel_init: KernelInit = "gaussian"
    align_corners: bool = False
    dtype: jnp.dtype = jnp.float32

    joins_maps = True  # see `segmenter`

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        for kind, name, known in (
            ("pooling_order", self.pooling_order, PoolingOrder.__args__),
            ("resize", self.resize, enlarge.Mode.__args__),
            ("activation", self.activation, _ACTIVATIONS),
            ("kernel_init", self.kernel_init, _INITS),
        ):
            if name not in known:
                raise errors.unknown_name(f"{kind} of RefineNet", name, known)
        if not self.path_widths or not all(
            isinstance(width, int) and width > 0 for width in self.path_widths
        ):
            raise errors.UserError(
                "RefineNet wants path_widths for at least one level, such as (512, "
                f"256, 256, 256), got {self.path_widths!r}."
            )
        if self.heads and (min(self.heads) < 1 or sum(self.heads) != self.num_classes):
            raise errors.UserError(
                "RefineNet wants heads of 1 or more scores, num_classes together, such "
                f"as heads=(40, 1) of num_classes=41, got heads={tuple(self.heads)} "
                f"and num_classes={self.num_classes}."
            )
        counts = (self.path_units, self.block_units, self.pooling_stages)
        if self.cascades < 1 or self.kernel % 2 == 0 or min(counts) < 0:
            raise errors.UserError(
                "RefineNet wants at least 1 cascade, an odd kernel, and 0 or more "
                f"units and pooling stages, got cascades={self.cascades}, "
                f"kernel={self.kernel}, path_units={self.path_units}, "
                f"block_units={self.block_units}, "
                f"pooling_stages={self.pooling_stages}."
            )

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array | tuple[jax.Array, ...]],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns one score for each class and place.

        Args:
            pyramid: stride to a map [b, h, w, c], or to several.
            size: rows and columns of the image, which do not matter here.
            train: whether dropout is on.

        Returns:
            [b, h', w', num_classes], as large as the largest map of the finest level.

        Raises:
            UserError: no level has a stride of 4 or more.
        """
        init = _INITS[self.kernel_init]
        conv = functools.partial(
            layers.conv, kernel=self.kernel, kernel_init=init, dtype=self.dtype
        )
        levels = _levels(pyramid)[: len(self.path_widths)]
        count = min(self.cascades, len(levels))
        previous = {}
        for block in range(1, count + 1):
            inputs = dict(previous)
            for i, maps in enumerate(levels):
                if i * count // len(levels) != block - 1:
                    continue
                for name, features in maps.items():
                    if i < _DROPPED_LEVELS:
                        drop = nn.Dropout(self.dropout, deterministic=not train)
                        features = drop(features)
                    path = Path(self.path_widths[i], self.path_units, conv, name=name)
                    inputs[name] = path(features)
            x = RefineBlock(
                units=self.block_units,
                pooling_stages=self.pooling_stages,
                pooling_order=self.pooling_order,
                adapts_paths=self.adapts_paths,
                resize=self.resize,
                activation=self.activation,
                conv=conv,
                filters_chain=self.filters_last_chain and block == count,
                name=f"block{block}",
            )(inputs)
            previous = {_PREVIOUS: x}
        x = nn.Dropout(self.head_dropout, deterministic=not train)(x)
        if self.heads:
            return Heads(tuple(self.heads), self.activation, conv, name="head")(x)
        return conv(self.num_classes, kernel=3, bias=True, name="head")(x)


class Heads(nn.Module):
    """Scores of several tasks: each filters single channels, activates, convolves.

    Attributes:
        sizes: scores of each task.
        activation: see `RefineNet`.
        conv: makes a convolution.
    """

    sizes: Sequence[int]
    activation: Activation
    conv: MakeConv

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the scores of all tasks, one task after the other.

        Args:
            x: [b, h, w, c].

        Returns:
            [b, h, w, sum of `sizes`].
        """
        scores = []
        for i, size in enumerate(self.sizes, 1):
            width = x.shape[-1]
            own = self.conv(width, kernel=1, groups=width, name=f"filter{i}")(x)
            own = _ACTIVATIONS[self.activation](own)
            scores.append(self.conv(size, kernel=3, bias=True, name=f"scores{i}")(own))
        return jnp.concatenate(scores, -1)


class Path(nn.Module):
    """A convolution that changes the channels of a map, and residual units.

    Attributes:
        features: channels that come out.
        units: residual units.
        conv: makes a convolution.
    """

    features: int
    units: int
    conv: MakeConv

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the adapted map.

        Args:
            x: [b, h, w, c].

        Returns:
            [b, h, w, features].
        """
        x = self.conv(self.features, name="reduce")(x)
        for i in range(self.units):
            x = ResidualUnit(self.conv, name=f"unit{i + 1}")(x)
        return x


class RefineBlock(nn.Module):
    """The sum of maps, chained pooling, residual units; one activation, of the sum.

    Attributes:
        units: residual units.
        pooling_stages: see `RefineNet`.
        pooling_order: see `RefineNet`.
        adapts_paths: see `RefineNet`.
        resize: see `RefineNet`.
        activation: see `RefineNet`.
        conv: makes a convolution.
        filters_chain: the chain's convolutions are filters of single channels.
    """

    units: int
    pooling_stages: int
    pooling_order: PoolingOrder
    adapts_paths: bool
    resize: enlarge.Mode
    activation: Activation
    conv: MakeConv
    filters_chain: bool = False

    @nn.compact
    def __call__(self, inputs: Mapping[str, jax.Array]) -> jax.Array:
        """Returns the refined map.

        Args:
            inputs: maps [b, h, w, c] by name; "previous" is the result of a block.

        Returns:
            [b, h', w', c'], the size of the largest, the channels of the narrowest.
        """
        x = _ACTIVATIONS[self.activation](self._sum(inputs))
        groups = x.shape[-1] if self.filters_chain else 1
        chain = ChainedPooling(
            self.pooling_stages,
            self.pooling_order,
            functools.partial(self.conv, groups=groups),
            name="chain",
        )
        x = chain(x)
        for i in range(self.units):
            x = ResidualUnit(self.conv, name=f"unit{i + 1}")(x)
        return x

    def _sum(self, inputs: Mapping[str, jax.Array]) -> jax.Array:
        """The inputs brought together; one alone is left as it is."""
        features = min(x.shape[-1] for x in inputs.values())
        size = tuple(max(x.shape[axis] for x in inputs.values()) for axis in (1, 2))
        total = None
        for name, x in inputs.items():
            is_adapted = name == _PREVIOUS or self.adapts_paths
            if len(inputs) > 1 and (is_adapted or x.shape[-1] != features):
                # Before it is enlarged, which is cheaper and, at borders, not the same.
                x = self.conv(features, name=f"fuse_{name}")(x)
            x = _enlarged(x, size, self.resize)
            total = x if total is None else total + x
        return total


class ChainedPooling(nn.Module):
    """The input plus all links of a chain of poolings and convolutions.

    Attributes:
        stages: links.
        order: what comes first in a link; see `RefineNet`.
        conv: makes a convolution.
    """

    stages: int
    order: PoolingOrder
    conv: MakeConv

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the sum.

        Args:
            x: [b, h, w, c].

        Returns:
            [b, h, w, c].
        """
        link = x  # goes on from link to link; neither the input nor the sum returns
        for i in range(self.stages):
            conv = self.conv(x.shape[-1], name=f"conv{i + 1}")
            link = conv(_pool(link)) if self.order == "pool_conv" else _pool(conv(link))
            x = x + link
        return x


class ResidualUnit(nn.Module):
    """The input plus two convolutions, each of a rectified map; the first has a bias.

    Attributes:
        conv: makes a convolution.
    """

    conv: MakeConv

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns the sum, not rectified.

        Args:
            x: [b, h, w, c].

        Returns:
            [b, h, w, c].
        """
        y = self.conv(x.shape[-1], bias=True, name="conv1")(nn.relu(x))
        return x + self.conv(x.shape[-1], name="conv2")(nn.relu(y))


def _levels(
    pyramid: Mapping[int, jax.Array | tuple[jax.Array, ...]],
) -> list[dict[str, jax.Array]]:
    """The maps of every level by name, the coarsest level first."""
    levels = []
    for stride in pyramids.at_least(pyramid, _FINEST_STRIDE, "RefineNet"):
        maps, name = pyramid[stride], f"stride{stride}"
        if isinstance(maps, tuple) and len(maps) > 1:
            levels.append({f"{name}_{i}": x for i, x in enumerate(maps)})
        else:
            levels.append({name: maps[0] if isinstance(maps, tuple) else maps})
    return levels


def _enlarged(x: jax.Array, size: tuple[int, int], mode: enlarge.Mode) -> jax.Array:
    ratios = [wanted / given for wanted, given in zip(size, x.shape[1:3], strict=True)]
    scale = max(ratios) if mode == "cubic" else None
    return enlarge.to_size(x, size, mode, scale=scale)


def _pool(x: jax.Array) -> jax.Array:
    return layers.max_pool(x, _WINDOW, stride=1)
