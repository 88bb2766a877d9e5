"""Losses of depth as one of B bins, as sums and counts of each image.

Bins have an order, which cross-entropy does not know: to it a neighbouring bin is as
wrong as the last one.  The information gain of Cao, Wu & Shen (TCSVT 2018) rewards what
is near the true bin as well; the ordinal regression of DORN (Fu et al., CVPR 2018) asks
B questions, each whether the depth is beyond a bin.

Scores of many bins are most of the memory of such a network: 480x640 pixels and 100
bins are 123 MB in float32.  What comes after them exists for one image at a time, and
is computed again in the backward pass.  Scores on a coarse grid can meet labels of that
grid (`ops.nearest`), or those of all pixels by `enlarged`.
"""

import functools
from collections.abc import Callable

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import enlarge

Loss = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def information_gain(
    scores: jax.Array,
    labels: jax.Array,
    valid: jax.Array,
    *,
    alpha: float = 0.2,
    is_normalised: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Returns -sum_k H(label, k) ln P_k over the pixels, and how many there are.

    P = softmax(scores) and H(p, k) = exp(-alpha (p - k)^2), the paper's, which rewards
    a pixel of a middle bin with about sqrt(pi / alpha) in all and one of an outer bin
    with about half of that.  VNL (Yin et al., ICCV 2019) divides each row of H by its
    sum.  The best P is H(label, .) divided by its sum, either way.

    Args:
        scores: before the softmax, [b, h, w, B].
        labels: bins from 0 on, int [b, h, w]; anything where nothing is valid.
        valid: whether a pixel counts, bool [b, h, w].
        alpha: how fast the reward falls with the distance in bins, above 0;
            `math.inf` is cross-entropy.
        is_normalised: whether the rewards of a pixel sum to 1.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where no pixel is valid.

    Raises:
        UserError: shapes that do not belong together, or an alpha that is not above 0.
    """
    if not alpha > 0:
        raise errors.UserError(
            f"information_gain wants an alpha above 0, got {alpha!r}. Pass 0.2, or "
            "math.inf for cross-entropy."
        )
    values = functools.partial(
        _information_gain, alpha=alpha, is_normalised=is_normalised
    )
    return _sums(values, scores, labels, valid)


def ordinal(
    scores: jax.Array, labels: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns the loss of ordinal regression, and how many pixels there are.

    Score k is the logit of Q_k, that the true bin is beyond bin k; the loss is
    -sum_{k < label} ln Q_k - sum_{k >= label} ln(1 - Q_k)  (DORN, eq. 2 and 3, where
    Q is the softmax of two scores, of which only the difference counts).  The last
    question is never answered by yes; it is the paper's.

    Args:
        scores: [b, h, w, B].
        labels: bins from 0 on, int [b, h, w]; anything where nothing is valid.
        valid: whether a pixel counts, bool [b, h, w].

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where no pixel is valid.

    Raises:
        UserError: shapes that do not belong together.
    """
    return _sums(_ordinal, scores, labels, valid)


def enlarged(
    loss: Loss,
    scores: jax.Array,
    labels: jax.Array,
    valid: jax.Array,
    *,
    mode: enlarge.Mode = "half_pixel",
) -> tuple[jax.Array, jax.Array]:
    """Returns a loss of scores that are enlarged to the labels, one image at a time.

    Scores of the size of the image exist for one image only, forward and backward.

    Args:
        loss: of (scores, labels, valid), such as `information_gain`.
        scores: on the grid of the network, [b, h', w', B].
        labels: int [b, h, w].
        valid: whether a pixel counts, bool [b, h, w].
        mode: see `enlarge.to_size`; as the network says by `align_corners`.

    Returns:
        What the loss returns, float32 [b] and float32 [b].
    """

    @jax.checkpoint
    def of_one(given):
        one, label, known = (x[None] for x in given)
        one = enlarge.to_size(one, label.shape[1:], mode)
        return jax.tree.map(lambda x: x[0], loss(one, label, known))

    return lax.map(of_one, (scores, labels, valid))


def _information_gain(scores, labels, *, alpha, is_normalised):
    steps = jnp.arange(scores.shape[-1]) - labels[..., None]
    squares = jnp.square(steps).astype(scores.dtype)
    # Infinity times 0 would not be a number.
    gains = jnp.where(steps == 0, 1.0, jnp.exp(-alpha * jnp.maximum(squares, 1.0)))
    if is_normalised:
        gains /= gains.sum(-1, keepdims=True)
    return -(gains * jax.nn.log_softmax(scores)).sum(-1)


def _ordinal(scores, labels):
    is_beyond = jnp.arange(scores.shape[-1]) < labels[..., None]
    return jax.nn.softplus(jnp.where(is_beyond, -scores, scores)).sum(-1)


def _sums(values, scores, labels, valid):
    if scores.ndim != 4 or not scores.shape[:3] == labels.shape == valid.shape:
        raise errors.UserError(
            "Scores [b, h, w, B] want labels and valid [b, h, w], got "
            f"{list(scores.shape)}, {list(labels.shape)} and {list(valid.shape)}. "
            "`enlarged` brings scores to the size of the labels."
        )

    # In turns, and computed again in the backward pass: a few arrays of the size of the
    # scores come after them, in float32, and here they are of one image at a time.
    @jax.checkpoint
    def of_one(given):
        one, label, known = given
        one = one.astype(jnp.promote_types(one.dtype, jnp.float32))
        # Before the logarithm: the gradient of padding that holds NaN would be NaN.
        one = jnp.where(known[..., None], one, 0.0)
        return jnp.where(known, values(one, label), 0.0).sum()

    counts = valid.sum((1, 2)).astype(jnp.float32)
    return lax.map(of_one, (scores, labels, valid)), counts
