"""Fully connected CRFs by mean-field inference (Kraehenbuehl & Koltun, NIPS 2011).

Every pair of pixels i, j of an image prefers equal labels, with the strength

    w_b exp(-|p_i - p_j|^2 / 2 theta_alpha^2 - |I_i - I_j|^2 / 2 theta_beta^2)
    + w_s exp(-|p_i - p_j|^2 / 2 theta_gamma^2),

p being places in pixels and I colours.  Mean field replaces the distribution over all
labellings by the nearest product of a distribution Q for each pixel.  With the scores s
of a network (log-probabilities, up to a constant for each pixel) it repeats

    m <- C (W_b K_b Q + W_s K_s Q),    Q <- softmax(s + m),

where K_b and K_s are the two kernels, normalised, W and C matrices over the labels.  In
the published CRF W = w I and C = I, the Potts model: a penalty for different labels is
the same as a reward for equal ones.  A pixel also speaks to itself, as it does in the
public implementations: the kernels keep their diagonal.

K_s is a product of one Gaussian over rows and one over columns (`gaussian_axes`).  For
K_b there is a choice, `method`:

    exact    `gaussian_tiles`: n^2 work, without approximation.  For accelerators, for
             reference, and for the small maps of networks with a stride.
    lattice  `gaussian_lattice`: work that grows with n; what the public codes compute.
    window   `gaussian_window`: exact, but only among pixels at most 10 rows and columns
             apart; another model, which suits accelerators.

All three are linear in Q and their transposes are known, so the gradient costs as much
time and memory as the forward pass.  It reaches the scores, the weights and C, not the
image: the public layers leave that out as well.
"""

import dataclasses
import functools
from typing import Any, Literal

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops.meanfield import (
    gaussian_axes,
    gaussian_lattice,
    gaussian_tiles,
    gaussian_window,
)

Method = Literal["exact", "lattice", "window"]
Normalisation = Literal["symmetric", "after"]
Weight = float | jax.Array

_METHODS = {
    "exact": gaussian_tiles,
    "lattice": gaussian_lattice,
    "window": gaussian_window,
}


@dataclasses.dataclass(frozen=True)
class Kernels:
    """The two kernels of a dense CRF.

    Attributes:
        theta_alpha: reach of the bilateral kernel, pixels.
        theta_beta: difference of colours that it tolerates, levels of 255.
        theta_gamma: reach of the spatial kernel, pixels.
        bilateral_weight: strength of the first, a number or a matrix [k, k] that mixes
            what the labels receive.
        spatial_weight: strength of the second, likewise.
    """

    theta_alpha: float
    theta_beta: float
    theta_gamma: float
    bilateral_weight: Weight
    spatial_weight: Weight


# Theta of place, colour and the spatial kernel; weights of both kernels.
PUBLISHED = {
    "crf_rnn": Kernels(160, 3, 3, 5, 3),
    "deeplab": Kernels(50, 10, 3, 5, 3),
    "deeplab_coco_largefov": Kernels(69, 5, 3, 5, 3),
    "deeplab_largefov": Kernels(49, 5, 3, 4, 3),
    "deeplab_msc": Kernels(95, 3, 3, 3, 3),
    "deeplab_msc_largefov": Kernels(83, 5, 3, 4, 3),
    "deeplab_v2_resnet101": Kernels(67, 3, 1, 4, 3),
    "deeplab_v2_vgg16": Kernels(65, 3, 2, 4, 2),
    "library_demo": Kernels(80, 13, 3, 10, 3),
}


def infer(
    scores: jax.Array,
    images: jax.Array,
    kernels: Kernels,
    *,
    iterations: int = 10,
    normalisation: Normalisation = "symmetric",
    method: Method = "lattice",
    compatibility: jax.Array | None = None,
) -> jax.Array:
    """Returns the distribution Q of the label of each pixel.

    Args:
        scores: as for `refine`.
        images: as for `refine`.
        kernels: as for `refine`.
        iterations: as for `refine`.
        normalisation: as for `refine`.
        method: as for `refine`.
        compatibility: as for `refine`.

    Returns:
        float32 [b, h, w, k], which sum to 1 over k.

    Raises:
        UserError: as `refine`.
    """
    refined = refine(
        scores,
        images,
        kernels,
        iterations=iterations,
        normalisation=normalisation,
        method=method,
        compatibility=compatibility,
    )
    return jax.nn.softmax(refined, axis=-1)


def refine(
    scores: jax.Array,
    images: jax.Array,
    kernels: Kernels,
    *,
    iterations: int = 10,
    normalisation: Normalisation = "symmetric",
    method: Method = "lattice",
    compatibility: jax.Array | None = None,
) -> jax.Array:
    """Returns scores with what all other pixels say added: the logarithm of Q.

    Args:
        scores: log-probabilities of the labels, or scores before the softmax, which
            serve as well; [b, h, w, k].
        images: uint8, or float in [0, 1]; [b, h, w, 3], or [b, h, w, 1] for grey ones,
            which count as three equal channels.
        kernels: how the pixels speak; `PUBLISHED` has those of the literature.
        iterations: of the mean field; 0 returns the scores.
        normalisation: with D the sums of the rows of a kernel, "symmetric" is
            D^-1/2 K D^-1/2 (the public library), "after" is D^-1 K (CRF-RNN).
        method: how the bilateral kernel is applied: "exact", "lattice" or "window".
        compatibility: C, [k, k]; None is the Potts model.

    Returns:
        float32 [b, h, w, k]; its softmax is Q.

    Raises:
        UserError: shapes that do not belong together, widths that are not positive, or
            an unknown method or normalisation.
    """
    _check(scores, images, kernels, iterations, normalisation, method, compatibility)
    dtype = jnp.promote_types(scores.dtype, jnp.float32)
    scores = scores.astype(dtype)
    images = images.astype(dtype) * (1.0 if images.dtype == jnp.uint8 else 255.0)
    images = jnp.broadcast_to(images, (*images.shape[:-1], 3))

    def refine_one(given):
        scores, image = given
        near = functools.partial(gaussian_axes.apply, theta=kernels.theta_gamma)
        alike = _bilateral_filter(lax.stop_gradient(image), kernels, method)
        near, alike = (_normalise(f, scores, normalisation) for f in (near, alike))

        def update(refined, _):
            q = jax.nn.softmax(refined, axis=-1)
            message = _mix(kernels.bilateral_weight, alike(q))
            message += _mix(kernels.spatial_weight, near(q))
            if compatibility is not None:
                message = _mix(compatibility, message)
            return scores + message, None

        return lax.scan(update, scores, length=iterations)[0]

    # One image after the other: each has work enough, and memory is not multiplied.
    return lax.map(refine_one, (scores, images))


def _bilateral_filter(image, kernels, method):
    """q to K_b q, [h, w, k]."""
    height, width, _ = image.shape
    rows, columns = jnp.mgrid[:height, :width].astype(image.dtype)
    # Columns first: the lattice is not quite the same in all directions, and this is
    # the order of the public codes.
    features = jnp.concatenate([jnp.stack([columns, rows], -1), image], axis=-1)
    widths = [kernels.theta_alpha] * 2 + [kernels.theta_beta] * 3
    prepared = _METHODS[method].prepare(features, jnp.array(widths, image.dtype))
    return functools.partial(_multiply, method, prepared)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _multiply(method: str, prepared: Any, values: jax.Array) -> jax.Array:
    """K v by one of the methods; its gradient is the transpose times the slope."""
    return _METHODS[method].apply(prepared, values)


def _multiply_forward(method, prepared, values):
    return _multiply(method, prepared, values), prepared


def _multiply_backward(method, prepared, slope):
    return None, _METHODS[method].apply(prepared, slope, transpose=True)


_multiply.defvjp(_multiply_forward, _multiply_backward)


def _normalise(apply, like, normalisation):
    """The filter divided by the sums of its rows, which are at least 1."""
    sums = apply(jnp.ones_like(like[..., :1]))
    if normalisation == "after":
        return lambda q: apply(q) / sums
    share = lax.rsqrt(sums)
    return lambda q: share * apply(share * q)


def _mix(weight, message):
    if jnp.ndim(weight) == 0:
        return weight * message
    return jnp.einsum("lm,hwm->hwl", weight, message, precision="highest")


def _check(scores, images, kernels, iterations, normalisation, method, compatibility):
    if (
        scores.ndim != 4
        or images.ndim != 4
        or images.shape[-1] not in (1, 3)
        or scores.shape[:3] != images.shape[:3]
    ):
        raise errors.UserError(
            "A dense CRF wants scores [b, h, w, k] and images [b, h, w, 3] of the same "
            f"size, got {list(scores.shape)} and {list(images.shape)}. Resize one."
        )
    widths = (kernels.theta_alpha, kernels.theta_beta, kernels.theta_gamma)
    if not min(widths) > 0:
        raise errors.UserError(
            f"The kernels want positive widths, got {widths}. See dense_crf.PUBLISHED."
        )
    if iterations < 0:
        raise errors.UserError(
            f"Mean field wants 0 or more iterations, got {iterations}. Pass 10."
        )
    classes = scores.shape[-1]
    for name, matrix, ranks in (
        ("bilateral_weight", kernels.bilateral_weight, (0, 2)),
        ("spatial_weight", kernels.spatial_weight, (0, 2)),
        ("compatibility", 0.0 if compatibility is None else compatibility, (0, 2)),
    ):
        shape = jnp.shape(matrix)
        if len(shape) not in ranks or shape not in ((), (classes, classes)):
            raise errors.UserError(
                f"{name} wants a matrix [{classes}, {classes}] for {classes} labels, "
                f"got {list(shape)}."
            )
    if method not in _METHODS:
        raise errors.unknown_name("method", method, _METHODS)
    if normalisation not in Normalisation.__args__:
        raise errors.unknown_name(
            "normalisation", normalisation, Normalisation.__args__
        )
