"""DCNF-FCSP and DCNF: depth of superpixels by a network and a continuous CRF.

Liu, Shen & Lin, CVPR 2015, and Liu, Shen, Lin & Reid, PAMI 2016.  A network says a
depth z for every superpixel; neighbours that look alike pull each other with the
strength R = sum_k beta_k S_k; what is answered is the most probable depth of the
Gaussian that both make, in closed form (`ops.crf.gaussian`).

These networks take more than an image: see `Dcnf.example_inputs`, whose arrays
`dpjax.data.superpixels` computes.

What sees the image has its parameters where other networks have theirs, "backbone/*"
and "decoder/*", so weights of a classifier or segmenter start it; what is said of
superpixels follows in "head/*", and the CRF in "crf/*".
"""

from collections.abc import Mapping
from typing import Literal

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import layers, strengths
from dpjax.ops import patches, regions
from dpjax.ops.crf import dense_precision, gaussian

Inputs = Mapping[str, jax.Array]
Crf = Literal["none", "paper", "calibrated"]

# Texture, colour histogram and mean colour: the features that `similarities` compare.
FEATURES = 3
_SIDE = 32  # of the smallest image
_FEW = 4  # superpixels of an example that parameters are drawn with


class Dcnf(nn.Module):
    """A unary network over superpixels, and the CRF that joins them.

    Attributes:
        unary: (inputs, train) to what it says of superpixels, z, [b, n] and features of
            theirs, [b, n, c]; its parameters have the same paths here.
        crf: "none" answers z; "paper" has the unary term with a weight of 1;
            "calibrated" learns the scale tau of the energy as well, which makes the
            deviations mean what they say.
        pairwise: how beta stays at 0 or above; see `strengths`.
        beta: where each beta starts.
        embedding: numbers that superpixels are compared by in addition, learned from
            their features; 0 for none.
        smallest_side: the shortest side of an image that the network accepts, pixels.
    """

    unary: nn.Module
    crf: Crf = "paper"
    pairwise: strengths.Pairwise = "projected"
    beta: float = 1.0
    embedding: int = 0
    smallest_side: int = _SIDE

    # What runs a network asks these: see `zoo`.
    channels = 3
    stride = 1
    halo = None
    is_dense = False

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if self.crf not in Crf.__args__:
            raise errors.unknown_name("CRF", self.crf, Crf.__args__)
        strengths.check(self.beta, self.pairwise)
        if self.embedding < 0:
            raise errors.UserError(
                "A CRF wants the size of its embedding at 0 or above, got "
                f"embedding={self.embedding}. 0 is none."
            )

    def setup(self) -> None:
        """Puts the CRF beside the parts of the network, whose paths stay."""
        nn.share_scope(self, self.unary)

    def example_inputs(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns what the network takes.

        Returns:
            For n superpixels and e edges: image, RGB in [0, 1], float32 [1, h, w, 3];
            regions, the superpixel of each pixel, int32 [1, h, w]; region_valid, False
            for padding, bool [1, n]; region_centroids, row and column, float32
            [1, n, 2]; edges, pairs of superpixels, int32 [1, e, 2]; similarities of
            both, 0 for padding, float32 [1, e, 3].
        """
        side = self.smallest_side
        shapes = {
            "image": ((side, side, 3), jnp.float32),
            "regions": ((side, side), jnp.int32),
            "region_valid": ((_FEW,), jnp.bool_),
            "region_centroids": ((_FEW, 2), jnp.float32),
            "edges": ((3 * _FEW, 2), jnp.int32),
            "similarities": ((3 * _FEW, FEATURES), jnp.float32),
        }
        return {
            name: jax.ShapeDtypeStruct((1, *shape), dtype)
            for name, (shape, dtype) in shapes.items()
        }

    @nn.compact
    def __call__(self, inputs: Inputs, train: bool = False) -> dict[str, jax.Array]:
        """Returns the depths of superpixels, in the unit that the network was taught.

        Args:
            inputs: see `example_inputs`.
            train: whether dropout is on.

        Returns:
            float32: unary, z, [b, n]; mean, the answer, [b, n], 0 for padding; with a
            CRF also deviation, [b, n], edge_weights, R, [b, e], and tau, [b].
        """
        z, features = self.unary(inputs, train)
        valid = inputs["region_valid"]
        z = jnp.where(valid, z, 0)
        if self.crf == "none":
            return {"unary": z, "mean": z}
        weights, tau = _Strengths(
            self.crf == "calibrated",
            self.pairwise,
            self.beta,
            self.embedding,
            name="crf",
        )(inputs, features)
        tau = jnp.broadcast_to(tau, z.shape[:1]).astype(z.dtype)
        precision = dense_precision.from_edges(
            inputs["edges"], weights, z.shape[1], valid=valid
        )
        return {
            "unary": z,
            "mean": gaussian.map_estimate(precision, z),
            "deviation": gaussian.deviations(precision, tau),
            "edge_weights": weights,
            "tau": tau,
        }


class _Strengths(nn.Module):
    """R of edges and the scale tau, with what is learned of both; fields as of `Dcnf`.

    `has_scale` is whether tau is learned.
    """

    has_scale: bool
    pairwise: strengths.Pairwise
    beta: float
    embedding: int

    @nn.compact
    def __call__(
        self, inputs: Inputs, features: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        alike = inputs["similarities"]
        if self.embedding:
            codes = nn.Dense(self.embedding, name="embedding")(
                features.astype(jnp.float32)
            )
            one, two = (
                jnp.take_along_axis(codes, inputs["edges"][..., end, None], axis=1)
                for end in (0, 1)
            )
            learned = jnp.exp(-jnp.square(one - two).sum(-1, keepdims=True))
            # Padding has similarities of 0, and stays without edges.
            is_edge = (alike > 0).any(-1, keepdims=True)
            alike = jnp.concatenate([alike, jnp.where(is_edge, learned, 0)], -1)
        beta = strengths.learned(self, alike.shape[-1], self.beta, self.pairwise)
        tau = jnp.ones(())
        if self.has_scale:
            tau = jnp.exp(self.param("log_tau", nn.initializers.zeros, ()))
        return gaussian.edge_weights(alike, beta), tau


class PooledUnary(nn.Module):
    """One look at the image, then the features of each superpixel (DCNF-FCSP).

    Attributes:
        trunk: (images, train) to a feature map [b, h', w', c], which is rectified; its
            parameters have the same paths here.
        head: features [..., c] to one number each.
    """

    trunk: nn.Module
    head: nn.Module

    def setup(self) -> None:
        """Puts the head beside the parts of the trunk, whose paths stay."""
        nn.share_scope(self, self.trunk)

    def __call__(
        self, inputs: Inputs, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Returns what is said of superpixels.

        Args:
            inputs: see `Dcnf.example_inputs`.
            train: whether dropout is on.

        Returns:
            float32 [b, n] and features [b, n, c].
        """
        features = nn.relu(self.trunk(inputs["image"], train=train))
        count = inputs["region_valid"].shape[1]
        features = regions.pool(features, inputs["regions"], count)
        return self.head(features, train=train), features


class PatchUnary(nn.Module):
    """A look at the surroundings of each superpixel (DCNF).

    Attributes:
        backbone: (patches [m, side, side, 3], train) to features [m, c].
        head: features [..., c] to one number each.
        box: side of the surroundings, pixels of the image; 120 for NYU.
        side: of the patches that the backbone takes.
    """

    backbone: nn.Module
    head: nn.Module
    box: int = 120
    side: int = 224

    def __call__(
        self, inputs: Inputs, train: bool = False
    ) -> tuple[jax.Array, jax.Array]:
        """Returns what is said of superpixels.

        Args:
            inputs: see `Dcnf.example_inputs`.
            train: whether dropout is on.

        Returns:
            float32 [b, n] and features [b, n, c].
        """
        centres = inputs["region_centroids"]
        found = patches.around(inputs["image"], centres, self.box, self.side)
        b, n = found.shape[:2]
        features = self.backbone(found.reshape(b * n, *found.shape[2:]), train=train)
        features = features.reshape(b, n, -1)
        return self.head(features, train=train), features


class LastMap(nn.Module):
    """The deepest map of a backbone, with convolutions of its own on top.

    A decoder of a `segmenter.Segmenter`.

    Attributes:
        widths: channels of further rectified 3x3 convolutions.
        dtype: compute type.
    """

    widths: tuple[int, ...] = ()
    dtype: jnp.dtype = jnp.float32

    align_corners = False

    @nn.compact
    def __call__(
        self,
        pyramid: Mapping[int, jax.Array],
        size: tuple[int, int],
        train: bool = False,
    ) -> jax.Array:
        """Returns the features.

        Args:
            pyramid: of a backbone whose last stride should be 8.
            size: rows and columns of the image; the result does not depend on it.
            train: changes nothing.

        Returns:
            [b, h', w', c].
        """
        x = pyramid[max(pyramid)]
        for i, width in enumerate(self.widths, 1):
            x = layers.conv(width, 3, bias=True, dtype=self.dtype, name=f"conv{i}")(x)
            x = nn.relu(x)
        return x
