"""Mixup and CutMix in pairs of neighbours, so that no device count changes them.

Zhang et al. (ICLR 2018) and Yun et al. (ICCV 2019) mix with a random permutation of the
batch; a permutation of a device's share would depend on how many devices there are.
Examples 2i and 2i + 1 of a batch are a random pair as well (the stream is shuffled),
and stay together on every device whose share is even.
"""

import jax
import jax.numpy as jnp

from dpjax import errors


def partners(values: jax.Array) -> jax.Array:
    """Returns for each example the value of its partner: 0 and 1, 2 and 3, ...

    Args:
        values: [b, ...], b even.

    Returns:
        [b, ...], neighbours exchanged.

    Raises:
        UserError: b is odd.
    """
    if values.shape[0] % 2:
        raise errors.UserError(
            "Mixing wants an even number of examples on each device (and in each "
            f"micro-batch), got {values.shape[0]}. Change --data.batch-size or "
            "--optim.accumulate, or turn mixing off."
        )
    pairs = values.reshape(-1, 2, *values.shape[1:])
    return pairs[:, ::-1].reshape(values.shape)


def mix(
    images: jax.Array, keys: jax.Array, *, mixup: float = 0.0, cutmix: float = 0.0
) -> tuple[jax.Array, jax.Array]:
    """Returns images mixed with those of their partners, and how much is their own.

    Mixup blends the whole images, w x + (1 - w) y; CutMix puts a box of the partner
    over 1 - w of the area.  w ~ Beta(a, a) for each pair, which then has both
    mixtures.  Where both are asked for, each pair draws one.

    Args:
        images: [b, h, w, c], b even.
        keys: one for each image, [b]; a pair uses its first.
        mixup: a of mixup; 0 for none.
        cutmix: a of CutMix; 0 for none.

    Returns:
        Images [b, h, w, c], and the share of the own image, float32 [b]; with the
        labels of `partners` for the rest.

    Raises:
        UserError: b is odd.
    """
    if not mixup and not cutmix:
        return images, jnp.ones(images.shape[0], jnp.float32)
    others = partners(images)
    firsts = keys[::2]
    # Drawn for pairs, used by both.
    blends = jnp.repeat(jax.vmap(lambda key: _beta(key, mixup or 1.0))(firsts), 2)
    blended = _blend(images, others, blends)
    if not cutmix:
        return blended, blends
    boxes = jax.vmap(lambda key: _box(key, cutmix, images.shape[1:3]))(firsts)
    boxes, covered = (jnp.repeat(values, 2, axis=0) for values in boxes)
    cut = jnp.where(boxes[..., None], others, images)
    if not mixup:
        return cut, 1 - covered
    chance = jax.vmap(lambda key: jax.random.bernoulli(jax.random.fold_in(key, 2)))
    is_cut = jnp.repeat(chance(firsts), 2)
    mixed = jnp.where(is_cut[:, None, None, None], cut, blended)
    return mixed, jnp.where(is_cut, 1 - covered, blends)


def _beta(key, a):
    return jax.random.beta(jax.random.fold_in(key, 0), a, a)


def _blend(images, others, share):
    share = share[:, None, None, None].astype(images.dtype)
    return share * images + (1 - share) * others


def _box(key, a, size):
    """A box as a mask [h, w], and the share of the area that it covers."""
    share_key, place_key = jax.random.split(jax.random.fold_in(key, 1))
    scale = jnp.sqrt(1 - jax.random.beta(share_key, a, a))
    centre = jax.random.uniform(place_key, (2,))
    inside = []
    for axis, length in enumerate(size):
        middle, half = centre[axis] * length, scale * length / 2
        # The part beyond the border is cut off, as in the paper; the area is counted.
        place = jnp.arange(length) + 0.5
        inside.append((place > middle - half) & (place < middle + half))
    mask = inside[0][:, None] & inside[1][None, :]
    return mask, mask.mean(dtype=jnp.float32)
