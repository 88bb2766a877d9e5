"""RED-Net, the residual encoder-decoder for restoration (Mao, Shen & Yang, NIPS 2016).

L convolutions extract features, L transposed convolutions undo them, skips add every
second encoder map to its mirror image, and the whole network predicts the residual.
"""

from collections.abc import Sequence

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from dpjax import errors


class RedNet(nn.Module):
    """The encoder-decoder, in every published width, depth and stride.

    With c_0 the image, c_i = relu(conv_i(c_{i-1})) for i = 1..L; z_0 = c_L and
    d_j = deconv_j(z_{j-1}) for j = 1..L.  Where a skip meets the decoder,
    z_j = relu(relu(d_j) + c_{L-j}), otherwise z_j = relu(d_j); z_L = d_L is not
    rectified and the result is image + z_L.

    All kernels are 3x3 with biases.  `deconv` kernels are stored [h, w, in, out] as the
    equivalent convolution uses them: the flip of the transposed-convolution kernel.

    Attributes:
        depth: layers in total, 2L.
        widths: channels of the encoder's layers, L numbers, or one number for all.
        channels: channels of the image, in and out.
        skip_every: encoder layers between two skips; 0 builds none.
        stride: 2 computes at half resolution, between conv1 and the last deconv.
        global_residual: add the input to the result.
        relu_before_sum: rectify the decoder map before a skip is added to it.
        relu_after_sum: rectify the sum; a no-op where both summands are rectified.
        last_scale: factor on the He initialisation of the last layer; 0 starts as
            the identity.
        dtype: compute type of the layers; parameters and the last sum are float32.
    """

    depth: int = 30
    widths: int | Sequence[int] = 64
    channels: int = 1
    skip_every: int = 2
    stride: int = 1
    global_residual: bool = True
    relu_before_sum: bool = True
    relu_after_sum: bool = True
    last_scale: float = 0.1
    dtype: jnp.dtype = jnp.float32

    is_dense = True  # see `zoo`

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        if self.depth < 2 or self.depth % 2:
            raise errors.UserError(
                f"RedNet wants an even depth (as many convolutions as deconvolutions), "
                f"got depth={self.depth}."
            )
        if self.stride not in (1, 2):
            raise errors.UserError(f"RedNet wants stride 1 or 2, got {self.stride}.")
        if self.channels < 1 or self.skip_every < 0:
            raise errors.UserError(
                f"RedNet wants channels >= 1 and skip_every >= 0, got "
                f"channels={self.channels}, skip_every={self.skip_every}."
            )
        if len(self._widths) != self.depth // 2 or not all(
            isinstance(width, int) and width >= 1 for width in self._widths
        ):
            raise errors.UserError(
                f"RedNet(depth={self.depth}) wants {self.depth // 2} widths >= 1, one "
                f"for each convolution, got {self.widths}."
            )

    @property
    def smallest_side(self) -> int:
        """The shortest side of an image that the network accepts, pixels."""
        return self.stride

    @property
    def _widths(self) -> tuple[int, ...]:
        if isinstance(self.widths, int):
            return (self.widths,) * (self.depth // 2)
        return tuple(self.widths)

    @property
    def halo(self) -> int:
        """Pixels around a window that its result depends on, for any window origin."""
        return self.depth if self.stride == 1 else 2 * self.depth - 2

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels that one output pixel can depend on."""
        return 2 * self.halo + 1

    @property
    def skips(self) -> dict[int, int]:
        """Decoder layer j to the encoder layer i that is added to it, i + j = L."""
        half = self.depth // 2
        if not self.skip_every:
            return {}
        return {half - i: i for i in range(self.skip_every, half, self.skip_every)}

    @nn.compact
    def __call__(
        self,
        images: jax.Array,
        valid: jax.Array | None = None,
        train: bool = False,
    ) -> jax.Array:
        """Returns the restored images.

        Args:
            images: degraded images, float [b, h, w, channels] in [0, 1]; any h and w.
            valid: True inside the image, bool [b, h, w]; pixels outside behave exactly
                like the border of a smaller image.  None: all are inside.
            train: ignored; the network behaves the same in training.

        Returns:
            float32 [b, h, w, channels], neither clipped nor rounded.

        Raises:
            UserError: images of another rank or channel count.
        """
        if images.ndim != 4 or images.shape[-1] != self.channels:
            raise errors.UserError(
                f"RedNet(channels={self.channels}) wants images [b, h, w, "
                f"{self.channels}], got {list(images.shape)}."
            )
        del train
        height, width = images.shape[1:3]
        images = images.astype(jnp.promote_types(images.dtype, jnp.float32))
        if self.stride == 2:
            images, valid = _complete_pairs(images, valid)
        elif valid is not None:
            images = _inside(images, valid)
        half = self.depth // 2
        widths = self._widths
        mask = None if valid is None else valid[:, :: self.stride, :: self.stride]

        x = images.astype(self.dtype)
        encoded = {}
        for i in range(1, half + 1):
            stride = self.stride if i == 1 else 1
            x = nn.relu(self._convolution(widths[i - 1], f"conv{i}", stride)(x))
            x = encoded[i] = _inside(x, mask)
        for j in range(1, half):
            x = self._convolution(widths[half - j - 1], f"deconv{j}")(x)
            if j not in self.skips:
                x = nn.relu(x)
            else:
                x = nn.relu(x) if self.relu_before_sum else x
                x = x + encoded[self.skips[j]]
                x = nn.relu(x) if self.relu_after_sum else x
            x = _inside(x, mask)
        x = self._last(half)(x).astype(images.dtype)  # the sum is never in bfloat16
        if self.global_residual:
            x = images + x
        return x[:, :height, :width]

    def _convolution(self, features: int, name: str, stride: int = 1) -> nn.Module:
        return nn.Conv(
            features,
            (3, 3),
            strides=(stride, stride),
            padding=[(1, 1), (1, 1)],
            dtype=self.dtype,
            kernel_init=nn.initializers.he_normal(),
            name=name,
        )

    def _last(self, half: int) -> nn.Module:
        # Variance scales with the square; 0 is not a legal scale of variance_scaling.
        init = nn.initializers.zeros
        if self.last_scale:
            init = nn.initializers.variance_scaling(
                2.0 * self.last_scale**2, "fan_in", "truncated_normal"
            )
        if self.stride == 1:
            return nn.Conv(
                self.channels,
                (3, 3),
                padding=[(1, 1), (1, 1)],
                dtype=self.dtype,
                kernel_init=init,
                name=f"deconv{half}",
            )
        # Padding (1, 2) of the dilated input is PyTorch's padding 1, output_padding 1;
        # "SAME" would shift the result by one pixel.
        return nn.ConvTranspose(
            self.channels,
            (3, 3),
            strides=(2, 2),
            padding=[(1, 2), (1, 2)],
            dtype=self.dtype,
            kernel_init=init,
            name=f"deconv{half}",
        )


def _inside(x: jax.Array, valid: jax.Array | None) -> jax.Array:
    """Returns x with zeros where not valid, whatever stood there."""
    if valid is None:
        return x
    return jnp.where(valid[..., None], x, jnp.zeros((), x.dtype))


def _complete_pairs(
    images: jax.Array, valid: jax.Array | None
) -> tuple[jax.Array, jax.Array | None]:
    """Returns images with even sides of the valid part: last row, column repeated."""
    odd = images.shape[1] % 2, images.shape[2] % 2
    if valid is None:
        return jnp.pad(
            images, [(0, 0), (0, odd[0]), (0, odd[1]), (0, 0)], mode="edge"
        ), None
    images = jnp.pad(_inside(images, valid), [(0, 0), (0, odd[0]), (0, odd[1]), (0, 0)])
    valid = jnp.pad(valid, [(0, 0), (0, odd[0]), (0, odd[1])])
    for axis in (1, 2):
        first = lax.slice_in_dim(valid, 0, None, 2, axis)
        second = lax.slice_in_dim(valid, 1, None, 2, axis)
        upper = lax.slice_in_dim(images, 0, None, 2, axis)
        lower = lax.slice_in_dim(images, 1, None, 2, axis)
        lower = jnp.where(second[..., None], lower, upper)
        images = jnp.stack([upper, lower], axis + 1).reshape(images.shape)
        valid = jnp.stack([first, first | second], axis + 1).reshape(valid.shape)
    return images, valid
