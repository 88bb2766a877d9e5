"""Cross-entropy of pixels, as sums and counts of each image."""

import jax
import jax.numpy as jnp
from jax import lax


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


def hard_pixels(
    scores: jax.Array,
    labels: jax.Array,
    valid: jax.Array,
    *,
    threshold: float,
    least: int,
) -> jax.Array:
    """Returns which pixels a bootstrapped loss counts: those that are not easy yet.

    A pixel is kept while the probability of its class is at most t = max(threshold, the
    `least`-th smallest one of its image); t is a constant for gradients (Wu, Shen & van
    den Hengel, "Bridging category-level and instance-level semantic image
    segmentation", 2016).  Their code draws the line for each device, this one for each
    image, so that the number of devices changes nothing.

    Args:
        scores: before the softmax, [b, h, w, k].
        labels: classes, int [b, h, w].
        valid: whether a pixel counts, bool [b, h, w].
        threshold: probability up to which a pixel always counts.
        least: pixels of an image that count whatever their probability.

    Returns:
        bool [b, h, w], False where `valid` is.
    """
    scores = jnp.where(valid[..., None], scores.astype(jnp.float32), 0.0)
    is_label = jnp.arange(scores.shape[-1]) == labels[..., None]
    sure = jnp.where(is_label, jax.nn.softmax(scores), 0.0).sum(-1)
    sure = lax.stop_gradient(jnp.where(valid, sure, jnp.inf))
    place = min(least, sure[0].size) - 1
    line = jnp.sort(sure.reshape(len(sure), -1))[:, place]
    line = jnp.maximum(line, threshold)[:, None, None]
    return valid & (sure <= line)


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
