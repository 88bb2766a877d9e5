"""Cross-entropy of pixels, as sums and counts of each image."""

import jax
import jax.numpy as jnp


def cross_entropy(
    scores: jax.Array,
    labels: jax.Array,
    valid: jax.Array,
    weights: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Returns -sum w_label log softmax(scores)_label and sum w_label of each image.

    Args:
        scores: before the softmax, [b, h, w, k].
        labels: classes, int [b, h, w]; anything where nothing is valid.
        valid: whether a pixel counts, bool [b, h, w].
        weights: of each class, float [k]; None for 1.

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where no pixel is valid.
    """
    # Before the logarithm: the gradient of padding that holds NaN would be NaN.
    scores = jnp.where(valid[..., None], scores.astype(jnp.float32), 0.0)
    is_label = jnp.arange(scores.shape[-1]) == labels[..., None]
    logs = jnp.where(is_label, jax.nn.log_softmax(scores), 0.0).sum(-1)
    shares = valid.astype(jnp.float32)
    if weights is not None:
        shares *= jnp.where(is_label, jnp.asarray(weights, jnp.float32), 0.0).sum(-1)
    return -(shares * logs).sum((1, 2)), shares.sum((1, 2))


def accuracy(
    scores: jax.Array, labels: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns how many pixels are told right, and how many there are, of each image.

    Args:
        scores: [b, h, w, k].
        labels: int [b, h, w].
        valid: whether a pixel counts, bool [b, h, w].

    Returns:
        float32 [b] and float32 [b].
    """
    right = (jnp.argmax(scores, -1) == labels) & valid
    return tuple(x.sum((1, 2)).astype(jnp.float32) for x in (right, valid))
