"""What many networks are made of, with paddings and constants written out.

Padding is always given in pixels: "SAME" puts the odd pixel of a stride on the other
side than PyTorch and Caffe do, which shifts features by one pixel.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.ops import convolution

NormMode = Literal["sync", "device", "frozen"]
InputStyle = Literal[
    "imagenet", "half", "caffe", "caffe_fcn", "caffe_deeplab", "minus128", "unit"
]
PoolPad = Literal["symmetric", "same", "ceil"]

# Weights x (image - mean) / deviation of the networks' training; RGB in [0, 1].
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
# Means of ImageNet's blue, green, red in 0..255, as networks of Caffe subtract them:
# those of VGG and ResNet, of FCN, and of DeepLab.  There is no deviation.
_BGR_MEANS = {
    "caffe": (103.94, 116.78, 123.68),
    "caffe_fcn": (104.00699, 116.66877, 122.67892),
    "caffe_deeplab": (104.008, 116.669, 122.675),
}
# The axis of the train step over which statistics are shared.
_AXIS = "batch"


def standardise(images: jax.Array, style: InputStyle) -> jax.Array:
    """Returns images the way the weights of a network expect them.

    Args:
        images: RGB in [0, 1], float [b, h, w, 3]; grey ones [b, h, w, 1] count as three
            equal channels, so that the weights of RGB networks serve them.
        style: "imagenet" subtracts torchvision's mean and divides by its deviation;
            "half" gives [-1, 1]; "caffe", "caffe_fcn" and "caffe_deeplab" give BGR in
            0..255 minus the mean of those networks; "minus128" gives RGB in -128..127
            (RefineNet's authors); "unit" changes nothing.

    Returns:
        float32 [b, h, w, 3]; with "unit" the channels that came.

    Raises:
        UserError: an unknown style, or images of another rank or channel count.
    """
    if images.ndim != 4 or (images.shape[-1] not in (1, 3) and style != "unit"):
        raise errors.UserError(
            "This network wants RGB images [b, h, w, 3] or grey ones [b, h, w, 1], got "
            f"{list(images.shape)}."
        )
    images = images.astype(jnp.promote_types(images.dtype, jnp.float32))
    if style == "unit":
        return images
    images = jnp.broadcast_to(images, (*images.shape[:-1], 3))
    if style == "half":
        return images * 2 - 1
    if style == "minus128":
        return images * 255 - 128
    if style in _BGR_MEANS:
        return images[..., ::-1] * 255 - jnp.array(_BGR_MEANS[style], images.dtype)
    if style == "imagenet":
        mean, deviation = (jnp.array(v, images.dtype) for v in _IMAGENET)
        return (images - mean) / deviation
    raise errors.unknown_name("input style", style, InputStyle.__args__)


def check_blocks(network: str, blocks: Sequence[int], stages: int) -> None:
    """Refuses counts of blocks that are no network.

    Args:
        network: its name, for the message.
        blocks: how many there are in each stage.
        stages: how many stages there are.

    Raises:
        UserError: anything but so many positive integers.
    """
    is_sequence = isinstance(blocks, Sequence) and not isinstance(blocks, str)
    if (
        not is_sequence
        or len(blocks) != stages
        or not all(type(count) is int and count > 0 for count in blocks)
    ):
        raise errors.UserError(
            f"{network} wants {stages} positive counts of blocks, one for each stage, "
            f"got {blocks!r}."
        )


def conv(
    features: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: int | Sequence[tuple[int, int]] | None = None,
    groups: int = 1,
    bias: bool = False,
    dtype: jnp.dtype = jnp.float32,
    kernel_init: nn.initializers.Initializer | None = None,
    name: str | None = None,
) -> nn.Conv:
    """Returns a convolution padded as PyTorch and Caffe pad.

    Args:
        features: channels it gives.
        kernel: rows and columns, or one number for both; odd unless `padding` is given.
        stride: step in both directions.
        dilation: distance between taps in both directions.
        padding: zeros on every side, or ((top, bottom), (left, right)); None keeps the
            size at stride 1.
        groups: groups of channels; as many as channels for a depthwise convolution.
        bias: whether it adds one.
        dtype: compute type; parameters are float32.
        kernel_init: He's normal distribution over the fan-out where None.
        name: of the parameters.

    Returns:
        The Linen module.
    """
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    if padding is None:
        padding = [(dilation * (side // 2),) * 2 for side in sides]
    elif isinstance(padding, int):
        padding = [(padding, padding)] * 2
    is_pointwise = sides == (1, 1) and groups == 1 and not np.any(padding)
    return nn.Conv(
        features,
        sides,
        strides=(stride, stride),
        kernel_dilation=(dilation, dilation),
        padding=padding,
        feature_group_count=groups,
        use_bias=bias,
        dtype=dtype,
        conv_general_dilated=convolution.pointwise if is_pointwise else None,
        kernel_init=kernel_init
        or nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
        name=name,
    )


def norm(
    mode: NormMode,
    train: bool,
    *,
    epsilon: float = 1e-5,
    dtype: jnp.dtype = jnp.float32,
    scale_init: nn.initializers.Initializer = nn.initializers.ones,
    name: str | None = None,
) -> nn.BatchNorm:
    """Returns a batch normalisation with a running average of decay 0.9.

    Statistics are float32 whatever the compute type.  The variance is the mean of the
    squares less the square of the mean, in one pass; it loses digits where a mean is
    hundreds of deviations away from 0.

    Args:
        mode: "sync" takes statistics over the examples of all devices, so that their
            number changes nothing; "device" over those of each device alone; "frozen"
            always uses the running ones, while scale and bias still learn.
        train: whether statistics are taken and the running ones updated.
        epsilon: added to the variance.
        dtype: compute type.
        scale_init: of the scale; zeros let a residual unit start as the identity.
        name: of the parameters.

    Returns:
        The Linen module.

    Raises:
        UserError: an unknown mode.
    """
    if mode not in NormMode.__args__:
        raise errors.unknown_name("norm", mode, NormMode.__args__)
    return nn.BatchNorm(
        use_running_average=not train or mode == "frozen",
        momentum=0.9,
        epsilon=epsilon,
        dtype=dtype,
        axis_name=_AXIS if mode == "sync" else None,
        scale_init=scale_init,
        name=name,
    )


def max_pool(
    x: jax.Array,
    window: int = 3,
    stride: int = 2,
    *,
    pad: PoolPad | int = "symmetric",
    dilation: int = 1,
) -> jax.Array:
    """Returns the largest value of each window; padding never wins.

    Args:
        x: [b, h, w, c].
        window: side of a window, in taps.
        stride: step between windows.
        pad: "symmetric" puts half a window on every side (PyTorch); "same" puts what is
            missing at the bottom and right (Caffe with ceil mode, XLA's "SAME" on even
            sizes); "ceil" does both (PyTorch with ceil mode); a number is that many
            pixels on every side.
        dilation: distance between taps; windows of stride 1 that stand for windows of
            a larger stride keep the left padding of those.

    Returns:
        [b, h', w', c].

    Raises:
        UserError: an unknown padding.
    """
    reach = dilation * (window - 1)
    if pad == "symmetric":
        pads = [(reach // 2, reach - reach // 2)] * 2
    elif pad == "same":
        pads = []
        for side in x.shape[1:3]:
            steps = -(-side // stride) if stride > 1 else side
            # Left is 0 at stride 1 too: dense windows start where strided ones did.
            pads.append((0, max((steps - 1) * stride + reach + 1 - side, 0)))
    elif pad == "ceil":
        left = reach // 2
        pads = []
        for side in x.shape[1:3]:
            steps = -(-(side + 2 * left - reach - 1) // stride) + 1
            if (steps - 1) * stride >= side + left:  # a window of nothing but padding
                steps -= 1
            pads.append((left, (steps - 1) * stride + reach + 1 - side - left))
    elif isinstance(pad, int):
        pads = [(pad, pad)] * 2
    else:
        raise errors.unknown_name("pool padding", pad, PoolPad.__args__)
    # JAX has no gradient of windows with holes, and where windows overlap by all but a
    # pixel XLA's own pooling is up to 40 times slower on processors, forward, and needs
    # twice the memory backward.
    if dilation > 1 or stride == 1:
        x = jnp.pad(x, [(0, 0), *pads, (0, 0)], constant_values=-jnp.inf)
        for axis in (1, 2):
            x = _running_max(x, axis, window, dilation)
        return x[:, ::stride, ::stride]

    def whole(x):
        return lax.reduce_window(
            x,
            -jnp.inf,
            lax.max,
            window_dimensions=(1, window, window, 1),
            window_strides=(1, stride, stride, 1),
            padding=[(0, 0), *pads, (0, 0)],
        )

    # Columns first, then rows: of equal values the first of a window wins, and gets all
    # of the gradient, as in the other branch, whose gradient is slow there.
    def by_axes(x):
        x = jnp.pad(x, [(0, 0), *pads, (0, 0)], constant_values=-jnp.inf)
        return _first_max(_first_max(x, 2, window, stride), 1, window, stride)

    return lax.platform_dependent(x, cpu=by_axes, default=whole)


def _first_max(x: jax.Array, axis: int, window: int, stride: int) -> jax.Array:
    """The largest of so many taps along an axis, the first one of equal ones."""
    steps = (x.shape[axis] - window) // stride + 1
    taps = (
        lax.slice_in_dim(x, tap, tap + (steps - 1) * stride + 1, stride, axis)
        for tap in range(window)
    )
    largest = next(taps)
    for values in taps:
        wins = (values > largest) | jnp.isnan(values)
        largest = jnp.where(wins, values, largest)
    return largest


def _running_max(x: jax.Array, axis: int, window: int, dilation: int) -> jax.Array:
    """The largest of so many taps along an axis; each step doubles what was seen."""
    seen = 1
    while seen < window:
        step = min(seen, window - seen)
        size = x.shape[axis] - step * dilation
        near = lax.slice_in_dim(x, 0, size, axis=axis)
        far = lax.slice_in_dim(x, step * dilation, None, axis=axis)
        x, seen = jnp.maximum(near, far), seen + step
    return x


def average_pool(
    x: jax.Array, window: int, stride: int = 1, *, padding: int = 0
) -> jax.Array:
    """Returns the mean of each window over the pixels that exist.

    Args:
        x: [b, h, w, c].
        window: side of a window.
        stride: step between windows.
        padding: pixels on every side, which are not counted.

    Returns:
        [b, h', w', c].
    """
    return nn.avg_pool(
        x,
        (window, window),
        (stride, stride),
        [(padding, padding)] * 2,
        count_include_pad=False,
    )
