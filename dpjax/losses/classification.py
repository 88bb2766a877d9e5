"""Cross-entropy of whole images, as sums and counts of each example."""

import jax
import jax.numpy as jnp


def soft_targets(
    labels: jax.Array,
    classes: int,
    *,
    partner: jax.Array | None = None,
    share: jax.Array | None = None,
    smoothing: float = 0.0,
) -> jax.Array:
    """Returns what a network should say of an image, as probabilities.

    (1 - smoothing) (share [label] + (1 - share) [partner]) + smoothing / classes
    (Szegedy et al., CVPR 2016; Zhang et al., ICLR 2018).

    Args:
        labels: class of each image, int [b].
        classes: how many there are.
        partner: class of what is mixed into it, int [b]; None for nothing.
        share: of the image itself, [b]; needed with `partner`.
        smoothing: share that is spread over all classes.

    Returns:
        float32 [b, classes]; each row sums to 1.
    """
    targets = jax.nn.one_hot(labels, classes)
    if partner is not None:
        own = share[:, None]
        targets = own * targets + (1 - own) * jax.nn.one_hot(partner, classes)
    return (1 - smoothing) * targets + smoothing / classes


def cross_entropy(
    scores: jax.Array, targets: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns -sum_k target_k log softmax(scores)_k and 1 for each example.

    Args:
        scores: before the softmax, [b, k].
        targets: probabilities, [b, k].
        valid: False for padding, bool [b].

    Returns:
        float32 [b] and float32 [b]; 0 and 0 where nothing is valid.
    """
    # Before the logarithm: the gradient of padding that holds NaN would be NaN.
    scores = jnp.where(valid[:, None], scores.astype(jnp.float32), 0.0)
    loss = -(targets * jax.nn.log_softmax(scores)).sum(-1)
    return jnp.where(valid, loss, 0.0), valid.astype(jnp.float32)


def accuracy(
    scores: jax.Array, labels: jax.Array, valid: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Returns whether the highest score is that of the label, and 1, for each example.

    Args:
        scores: [b, k].
        labels: int [b].
        valid: False for padding, bool [b].

    Returns:
        float32 [b] of 0 and 1, and float32 [b]; 0 and 0 where nothing is valid.
    """
    right = (jnp.argmax(scores, -1) == labels) & valid
    return right.astype(jnp.float32), valid.astype(jnp.float32)
