"""FCRN (Laina et al., 3DV 2016): a ResNet whose last map is enlarged by up-projections.

An up-convolution puts zeros between the values of a map and convolves it with a kernel
of 5x5.  Three quarters of the taps meet zeros; four smaller convolutions of the map as
it was, whose results are interleaved, need a quarter of the products (section 3.1).

The published network sees images in 0..255 without a mean, gives metres and cuts
negative ones off; here the last convolution is the output, and the loss decides what it
means.  `variant="v1"`, `pool_pad="same"` and `interleaving="shifted"` are the geometry
of the authors' release (irolaina/FCRN-DepthPrediction), which besides adds 1e-4 to the
variances; the defaults are those of torchvision's ResNet and of the paper's text.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers

Interleaving = Literal["unpool", "shifted", "exchanged"]

# The taps of 5x5 that meet values, in even and odd rows and columns of the result.
_TAPS = (3, 2)
_PARTS = {"a": (0, 0), "b": (1, 0), "c": (0, 1), "d": (1, 1)}


class UpProjections(nn.Module):
    """Numbers for every pixel of a map of half the size of the image, or about that.

    The result is 16 times as large as the last map of the backbone, which has a pixel
    for every 32 begun; it stands for the whole image, whatever its sides.

    Attributes:
        num_classes: numbers it gives for each pixel; 1 for depth.
        up_widths: channels behind the 1x1 convolution and behind each up-projection.
        interleaving: see `UpProjection`.
        dropout: share of the features that training leaves out before the last layer.
        norm: "sync", "device" or "frozen"; see `layers.norm`.
        dtype: compute type.
    """

    num_classes: int
    up_widths: Sequence[int] = (1024, 512, 256, 128, 64)
    interleaving: Interleaving = "unpool"
    dropout: float = 0.5
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    align_corners = False

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if self.interleaving not in Interleaving.__args__:
            raise errors.unknown_name(
                "interleaving", self.interleaving, Interleaving.__args__
            )

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns the numbers, before anything is cut off.

        Args:
            pyramid: of a backbone; its coarsest map is read.
            size: rows and columns of the image; the result does not depend on it.
            train: whether dropout is on and batch statistics are taken.

        Returns:
            [b, h, w, num_classes], for ResNet and an image of 228x304 pixels 128x160.
        """
        first, *widths = self.up_widths
        x = pyramid[max(pyramid)]
        x = layers.conv(first, 1, dtype=self.dtype, name="reduce")(x)
        x = layers.norm(self.norm, train, dtype=self.dtype, name="bn_reduce")(x)
        for i, width in enumerate(widths, 1):
            x = UpProjection(
                width, self.interleaving, self.norm, self.dtype, name=f"up{i}"
            )(x, train)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        return layers.conv(
            self.num_classes,
            3,
            bias=True,
            dtype=jnp.promote_types(self.dtype, jnp.float32),  # see `fixed_size`
            kernel_init=nn.initializers.normal(0.01),
            name="head",
        )(x)


class UpProjection(nn.Module):
    """A residual block that enlarges: up-convolution and 3x3 beside an up-convolution.

    Attributes:
        features: channels it gives.
        interleaving: "unpool" equals 5x5 convolutions of the map with zeros below and
            to the right of each value; "shifted" is what the authors released, where
            the convolutions with 2 rows or columns reach up and left instead of down
            and right; "exchanged" is a public PyTorch port (XPFly1989/FCRN), which
            also puts the 2x3 convolution in odd columns and the 3x2 one in odd rows.
        norm: see `layers.norm`.
        dtype: compute type.
    """

    features: int
    interleaving: Interleaving = "unpool"
    norm: layers.NormMode = "sync"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Returns the enlarged map.

        Args:
            x: [b, h, w, c].
            train: whether batch statistics are taken.

        Returns:
            [b, 2h, 2w, features].
        """

        def normalise(y, name):
            return layers.norm(self.norm, train, dtype=self.dtype, name=name)(y)

        y = nn.relu(normalise(self._up_convolution(x, "conv1"), "bn1"))
        y = layers.conv(self.features, 3, bias=True, dtype=self.dtype, name="conv2")(y)
        y = normalise(y, "bn2")
        shortcut = normalise(self._up_convolution(x, "conv_proj"), "bn_proj")
        return nn.relu(y + shortcut)

    def _up_convolution(self, x: jax.Array, name: str) -> jax.Array:
        """Four convolutions, each with a bias of its own, interleaved."""
        pair = (0, 1) if self.interleaving == "unpool" else (1, 0)
        pads = {3: (1, 1), 2: pair}
        parts = {}
        for part, place in _PARTS.items():
            kernel = tuple(_TAPS[odd] for odd in place)
            parts[place] = layers.conv(
                self.features,
                kernel,
                padding=[pads[side] for side in kernel],
                bias=True,
                dtype=self.dtype,
                name=f"{name}_{part}",
            )(x)
        if self.interleaving == "exchanged":
            parts = {place[::-1]: value for place, value in parts.items()}
        rows = [jnp.stack([parts[i, 0], parts[i, 1]], axis=3) for i in (0, 1)]
        joined = jnp.stack(rows, axis=2)  # [b, h, 2, w, 2, features]
        b, height, _, width, _, features = joined.shape
        return joined.reshape(b, 2 * height, 2 * width, features)
