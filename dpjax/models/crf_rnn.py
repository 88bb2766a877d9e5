"""CRF-RNN: mean-field inference as the last layer of a network.

Zheng et al., ICCV 2015.  The iterations of a dense CRF are unrolled and learn with the
network: how strongly each pair of labels attracts or repels, in one matrix for each
kernel and one for both.

They are the parameters "crf/*"; all others keep the paths that the network gives them,
so that its weights, trained first, start both.
"""

import jax
from flax import linen as nn
from jax import numpy as jnp

from dpjax.ops import enlarge
from dpjax.ops.meanfield import dense_crf

_PUBLISHED = dense_crf.PUBLISHED["crf_rnn"]


class CrfRnn(nn.Module):
    """A network that scores pixels, its scores refined by a CRF that learns.

    The CRF works at the size of the image; smaller scores are enlarged to it.  Against
    the public layer (sadeepj/crfasrnn_pytorch):

    - The spatial kernel is exact; there it is on a lattice too.  The bilateral one is
      the same with `method` "lattice", and exact with "exact".
    - Images come at their own size.  The public network scales the longest side to 500
      and pads with zeros to 500 x 500, and the padding takes part in the CRF.
    - It takes any number of images, not one.

    Attributes:
        segmenter: the network; see `segmenter.Segmenter`.
        train_iterations: of the mean field, while it learns.
        test_iterations: otherwise.
        kernels: widths, which stay, and the weights that the two matrices begin with;
            the third, the compatibility of labels, begins as the identity.
        method: how the bilateral kernel is applied; see `ops.meanfield.dense_crf`.
    """

    segmenter: nn.Module
    train_iterations: int = 5
    test_iterations: int = 10
    kernels: dense_crf.Kernels = _PUBLISHED
    method: dense_crf.Method = "lattice"

    halo = None
    is_dense = True
    align_corners = False  # nothing is left to enlarge

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.segmenter.channels

    @property
    def stride(self) -> int:
        """What the sides of an image are multiples of."""
        return self.segmenter.stride

    @property
    def smallest_side(self) -> int:
        """The shortest side of an image that the network accepts, pixels."""
        return self.segmenter.smallest_side

    def setup(self) -> None:
        """Puts the CRF beside the parts of the network, whose paths stay."""
        nn.share_scope(self, self.segmenter)
        self.crf = _MeanField(self.kernels, self.method)

    def __call__(
        self, images: jax.Array, train: bool = False
    ) -> jax.Array | tuple[jax.Array, ...]:
        """Returns one score for each class and pixel, before the softmax.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3], or grey ones [b, h, w, 1].
            train: whether the network trains; chooses the number of iterations.

        Returns:
            float32 [b, h, w, k]; where the network gives several maps in training, a
            tuple with this in place of their last.

        Raises:
            UserError: images that the network refuses.
        """
        *others, scores = jax.tree.leaves(self.segmenter(images, train=train))
        corners = "align_corners" if self.segmenter.align_corners else "half_pixel"
        scores = enlarge.to_size(scores, images.shape[1:3], corners)
        iterations = self.train_iterations if train else self.test_iterations
        refined = self.crf(scores, images, iterations)
        return (*others, refined) if others else refined


class _MeanField(nn.Module):
    """The iterations, with matrices that are parameters; fields as of `CrfRnn`."""

    kernels: dense_crf.Kernels
    method: dense_crf.Method

    @nn.compact
    def __call__(
        self, scores: jax.Array, images: jax.Array, iterations: int
    ) -> jax.Array:
        classes = scores.shape[-1]

        def matrix(name, scale):
            def init(_):
                return scale * jnp.eye(classes, dtype=jnp.float32)

            return self.param(name, init)

        kernels = dense_crf.Kernels(
            self.kernels.theta_alpha,
            self.kernels.theta_beta,
            self.kernels.theta_gamma,
            matrix("bilateral", self.kernels.bilateral_weight),
            matrix("spatial", self.kernels.spatial_weight),
        )
        return dense_crf.refine(
            scores,
            images,
            kernels,
            iterations=iterations,
            normalisation="after",
            method=self.method,
            compatibility=matrix("compatibility", 1.0),
        )
