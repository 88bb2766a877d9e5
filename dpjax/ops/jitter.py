"""Random colours for training, on the device: brightness, contrast, saturation, light.

Howard (2013) and Krizhevsky et al. (NIPS 2012), as in the Torch code of the ResNets.
Every example has its own key, so the result depends on nothing else in its batch.
"""

import jax
import jax.numpy as jnp
import numpy as np

# Weights of gray; eigenvalues and eigenvectors (rows R, G, B) of ImageNet's colours.
_GRAY = np.array([0.299, 0.587, 0.114], np.float32)
_VALUES = np.array([0.2175, 0.0188, 0.0045], np.float32)
_VECTORS = np.array(
    [
        [-0.5675, 0.7192, 0.4009],
        [-0.5808, -0.0045, -0.8140],
        [-0.5836, -0.6948, 0.4203],
    ],
    np.float32,
)


def jitter(images: jax.Array, keys: jax.Array, strength: float) -> jax.Array:
    """Returns images with random brightness, contrast and saturation, in random order.

    Each is a blend a x + (1 - a) y with a ~ U(1 - strength, 1 + strength): y is black
    for brightness, the mean of the gray picture for contrast, the gray picture for
    saturation.  Nothing is clipped.

    Args:
        images: RGB in [0, 1], [b, h, w, 3].
        keys: one for each image, [b].
        strength: largest change of a.

    Returns:
        [b, h, w, 3].
    """

    def draw(key):
        amount, order = jax.random.split(key)
        amounts = jax.random.uniform(amount, (3,), minval=-strength, maxval=strength)
        return 1 + amounts, jax.random.permutation(order, 3)

    amounts, order = jax.vmap(draw)(keys)
    for turn in range(3):
        kind = order[:, turn]
        a = jnp.take_along_axis(amounts, kind[:, None], axis=1)[:, 0]
        gray = (images * _GRAY).sum(-1, keepdims=True)
        mean = gray.mean((1, 2, 3), keepdims=True)
        # One formula for the three: a branch for each example would compute all.
        kind, a = (v[:, None, None, None] for v in (kind, a))
        other = jnp.where(kind == 1, mean, jnp.where(kind == 2, gray, 0.0))
        images = a * images + (1 - a) * other
    return images


def lighting(images: jax.Array, keys: jax.Array, deviation: float) -> jax.Array:
    """Returns images under random light: every pixel moved along ImageNet's colours.

    Adds V (n * w) with the eigenvectors V, the eigenvalues w and n ~ N(0, deviation).

    Args:
        images: RGB in [0, 1], [b, h, w, 3].
        keys: one for each image, [b].
        deviation: of the three random numbers.

    Returns:
        [b, h, w, 3], not clipped.
    """
    amounts = jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys) * deviation
    # The products are few, and on a TPU a default matrix product would round them.
    shift = ((amounts * _VALUES)[:, None, :] * _VECTORS).sum(-1)
    return images + shift[:, None, None, :]


def mirror(images: jax.Array, keys: jax.Array) -> jax.Array:
    """Returns images of which every other one, by chance, is flipped left to right.

    Args:
        images: [b, h, w, c].
        keys: one for each image, [b].

    Returns:
        [b, h, w, c].
    """
    flips = jax.vmap(jax.random.bernoulli)(keys)
    return jnp.where(flips[:, None, None, None], images[:, :, ::-1], images)
