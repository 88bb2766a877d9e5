"""Depth without depth: losses of stereo pairs, whose views predict each other.

`left_right` is the loss of Godard, Mac Aodha & Brostow (CVPR 2017), with the details of
their code; `photometric` that of Garg et al. (ECCV 2016).  Pairs are rectified: what
the left camera sees at column x, the right one sees at x - d, with the disparity d > 0
of the left view; what the right one sees at x, the left one sees at x + d, with that of
the right view.

As the other losses of one number for an image, they give it with the count 1, and 0
with 0 for an image that does not count.
"""

from collections.abc import Sequence

import jax
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import warp

# Of SSIM, for values in [0, 1] (Wang et al., 2004).
_C1, _C2 = 0.01**2, 0.03**2


def left_right(
    disparities: Sequence[jax.Array],
    left: jax.Array,
    right: jax.Array,
    valid: jax.Array,
    *,
    ssim_share: float = 0.85,
    smoothness: float = 0.1,
    consistency: float = 1.0,
) -> tuple[jax.Array, jax.Array]:
    """Returns the left-right consistency loss of each pair, and whether it counts.

    Over scales and over both views it sums `appearance` of the view that the other one
    predicts, `smoothness` / r times `roughness`, and `consistency` times
    mean |d - d'|, where d' is the disparity of the other view read at the place that d
    says.  r is how many times smaller the scale is than the image; the images of a
    scale are means over its pixels.

    Args:
        disparities: for each scale the disparity of the left and of the right view as
            shares of the width of the image, [b, h / r, w / r, 2].
        left: in [0, 1], [b, h, w, c].
        right: in [0, 1], [b, h, w, c].
        valid: whether a pair counts, bool [b].
        ssim_share: see `appearance`.
        smoothness: weight of the roughness.
        consistency: weight of the difference between both disparities.

    Returns:
        float32 [b] and float32 [b], the second 1 for a pair that counts; 0 and 0
        otherwise.

    Raises:
        UserError: shapes that do not belong together, or no scale.
    """
    if not disparities:
        raise errors.UserError("left_right wants disparities of one scale or several.")
    left, right = _pair(left, right, valid)
    total = jnp.zeros(left.shape[0], left.dtype)
    for both in disparities:
        times = _times(both, left)
        both = _kept(both, valid)
        views = [_shrunk(view, times) for view in (left, right)]
        width = both.shape[2]
        for own, sign in ((0, -1.0), (1, 1.0)):
            d, image = both[..., own], views[own]
            shift = sign * width * d
            seen = warp.along_rows(views[1 - own], shift)
            other = warp.along_rows(both[..., 1 - own : 2 - own], shift)[..., 0]
            total += appearance(seen, image, ssim_share=ssim_share)
            total += smoothness / times * roughness(d, image)
            total += consistency * _mean(_size(other - d))
    return _counted(total, valid)


def photometric(
    disparity: jax.Array,
    left: jax.Array,
    right: jax.Array,
    valid: jax.Array,
    *,
    smoothness: float = 0.01,
) -> tuple[jax.Array, jax.Array]:
    """Returns mean |I_left(x) - I_right(x - d)|^2 + smoothness mean |grad d|^2.

    Squares are summed over channels; grad d are the differences to the neighbours on
    the right and below, 0 at the border.  Beyond the image its outer columns are
    repeated.  The paper replaces the right image by its Taylor polynomial of degree 1
    around the last disparity, whose gradient is that of the image; here it is that of
    the interpolation.  The paper learns from coarse to fine, one size after another;
    this is the loss of one size, and `tasks.self_supervised_depth` takes that of the
    whole crop from the first step on.

    Args:
        disparity: of the left view, pixels, [b, h, w].
        left: [b, h, w, c].
        right: [b, h, w, c].
        valid: whether a pair counts, bool [b].
        smoothness: weight of the squared gradient, gamma.

    Returns:
        float32 [b] and float32 [b], the second 1 for a pair that counts; 0 and 0
        otherwise.

    Raises:
        UserError: shapes that do not belong together.
    """
    left, right = _pair(left, right, valid)
    d = _kept(disparity, valid)
    seen = warp.along_rows(right, -d, "edge")
    values = _mean(jnp.square(left - seen).sum(-1))
    pixels = max(d[0].size, 1)
    for axis in (1, 2):
        steps = jnp.square(jnp.diff(d, axis=axis)).sum((1, 2))
        values += smoothness * steps / pixels
    return _counted(values, valid)


def appearance(
    seen: jax.Array, image: jax.Array, *, ssim_share: float = 0.85
) -> jax.Array:
    """Returns how unlike two images are: part structure, part absolute difference.

    It is ssim_share * mean clip((1 - SSIM) / 2, 0, 1) + (1 - ssim_share) * mean |e|,
    with SSIM of means, variances and covariance in windows of 3x3 pixels inside the
    image, equally weighted.

    Args:
        seen: in [0, 1], [b, h, w, c], 3 rows and columns at least.
        image: in [0, 1], [b, h, w, c].
        ssim_share: weight of SSIM, from 0 to 1.

    Returns:
        float32 [b], 0 for equal images, at most 1.

    Raises:
        UserError: other shapes, or a share out of range.
    """
    if seen.ndim != 4 or seen.shape != image.shape or min(seen.shape[1:3]) < 3:
        raise errors.UserError(
            "appearance wants two images [b, h, w, c] of one size from 3x3, got "
            f"{list(seen.shape)} and {list(image.shape)}."
        )
    if not 0 <= ssim_share <= 1:
        raise errors.UserError(
            f"appearance wants an ssim_share from 0 to 1, got {ssim_share!r}."
        )
    structure = jnp.clip(_dissimilarity(seen, image) / 2, 0, 1)
    return ssim_share * _mean(structure) + (1 - ssim_share) * _mean(_size(seen - image))


def roughness(disparity: jax.Array, image: jax.Array) -> jax.Array:
    """Returns how much disparities differ between neighbours where the image does not.

    mean |d_x disparity| exp(-mean_c |d_x image|) + the same along y, each over the
    pairs of neighbours.

    Args:
        disparity: [b, h, w], 2 rows and columns at least.
        image: in [0, 1], [b, h, w, c].

    Returns:
        float32 [b].
    """
    total = 0.0
    for axis in (1, 2):
        steps = _size(jnp.diff(disparity, axis=axis))
        edges = jnp.abs(jnp.diff(image, axis=axis)).mean(-1)
        total += _mean(steps * jnp.exp(-edges))
    return total


def _dissimilarity(x, y):
    """1 - SSIM, [b, h - 2, w - 2, c].

    With l = (mean_x - mean_y)^2 / (mean_x^2 + mean_y^2 + C1) and
    s = var(x - y) / (var_x + var_y + C2) it is 1 - (1 - l) (1 - s), which written so is
    exactly 0 for equal images.
    """
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    light = jnp.square(mean_x - mean_y) / (mean_x**2 + mean_y**2 + _C1)
    spread = _window_variance(x) + _window_variance(y) + _C2
    structure = _window_variance(x - y) / spread
    return light + structure - light * structure


def _window_variance(x):
    return _window_mean(x * x) - jnp.square(_window_mean(x))


def _window_mean(x):
    """Means of 3x3 pixels, by sums along each axis."""
    for axis in (1, 2):
        size = x.shape[axis] - 2
        x = sum(lax.slice_in_dim(x, i, i + size, axis=axis) for i in range(3)) / 3
    return x


def _shrunk(image, times):
    """Means of times x times pixels."""
    b, height, width, c = image.shape
    shape = (b, height // times, times, width // times, times, c)
    return image.reshape(shape).mean((2, 4))


def _times(both, image):
    """How many times smaller a scale is."""
    b, height, width, _ = image.shape
    times = width // both.shape[2] if both.ndim == 4 and both.shape[2] else 0
    if not times or both.shape != (b, height / times, width / times, 2):
        raise errors.UserError(
            "left_right wants disparities of two views, a whole number of times "
            f"smaller than images {list(image.shape)}, got {list(both.shape)}. Crop "
            "the images, or resize them."
        )
    return times


def _pair(left, right, valid):
    if left.ndim != 4 or left.shape != right.shape or valid.shape != left.shape[:1]:
        raise errors.UserError(
            "A stereo pair wants two images [b, h, w, c] of one size and valid [b], "
            f"got {list(left.shape)}, {list(right.shape)} and {list(valid.shape)}."
        )
    return _kept(left, valid), _kept(right, valid)


def _kept(x, valid):
    """At least float32, and 0 in examples that do not count, whatever is there."""
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    return jnp.where(valid.reshape(-1, *(1,) * (x.ndim - 1)), x, 0.0)


def _counted(values, valid):
    return jnp.where(valid, values, 0.0), valid.astype(jnp.float32)


def _mean(x):
    return x.mean(tuple(range(1, x.ndim)))


def _size(e):
    """|e|, whose slope at 0 is 0; that of jnp.abs is 1 there."""
    return e * lax.stop_gradient(jnp.sign(e))
