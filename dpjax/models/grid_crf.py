"""The continuous CRF of DCNF on every pixel, as the last layer of a network.

A network says a number z for every pixel, such as a logarithm of metres; neighbours
that look alike pull each other with the strength

    R = sum_k beta_k exp(-gamma_k |I_p - I_q|),

and what is answered is the most probable map of the Gaussian that both make (Liu, Shen,
Lin & Reid, PAMI 2016), mu = A^-1 z.  Liu, Lin & Shen (arXiv:1601.07649) train such
networks by what the answer costs, not by its likelihood, so any loss of a map will do:
its slope passes the solution implicitly (`ops.crf.grid_precision`).

Strengths, and the scale of the deviations, are the parameters "crf/*"; all others keep
the paths that the network gives them, so that its weights, trained first, start both.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp

from dpjax import errors
from dpjax.models import strengths
from dpjax.ops import enlarge
from dpjax.ops.crf import gaussian, grid_estimates, grid_precision, grid_weights

# How networks that are built by name are asked for one: for the answer alone, or for
# its deviations too.
NAMES = ("grid", "grid_calibrated")
# What can be chosen about it then; see `GridCrf`.
OPTIONS = ("pairwise", "beta", "gammas", "probes")

_GAMMAS = (0.0, 10.0, 50.0)  # everywhere; across faint edges; within flat parts
_TRAIN_PROBES = 1  # what training needs is a mean over an image


class GridCrf(nn.Module):
    """A network that gives one number for each pixel, and the CRF that joins them.

    The CRF works at the size of the image, in single precision; a smaller map is
    enlarged to it.  480 x 640 pixels take a processor about 50 ms for the answer with
    strengths of 10, and little more with all slopes; each probe is one more solution.

    Attributes:
        segmenter: the network; see `segmenter.Segmenter` and
            `fixed_size.FixedSizeNetwork`.
        has_deviations: whether it also says how sure it is, with a scale tau of the
            energy that is learned.
        pairwise: how beta stays at 0 or above; see `strengths`.
        beta: where each beta starts.
        gammas: how fast the strengths fall with the difference of two pixels, in 1 /
            the range of the image; a beta is learned for each.
        probes: random solutions that deviations are estimated from; their errors fall
            with the square root.
    """

    segmenter: nn.Module
    has_deviations: bool = False
    pairwise: strengths.Pairwise = "softplus"
    beta: float = 1.0
    gammas: Sequence[float] = _GAMMAS
    probes: int = 32

    halo = None
    is_dense = True
    align_corners = False  # nothing is left to enlarge

    def __post_init__(self):
        """Checks the configuration; see the class for what each field may be."""
        super().__post_init__()
        strengths.check(self.beta, self.pairwise)
        gammas = self.gammas
        if not isinstance(gammas, Sequence) or not gammas or min(gammas) < 0:
            raise errors.UserError(
                f"A CRF on pixels wants one of gammas or several from 0, such as "
                f"{_GAMMAS}, got {gammas!r}."
            )
        if self.probes < 1:
            raise errors.UserError(
                f"Deviations want 1 or more probes, got {self.probes}."
            )

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.segmenter.channels

    @property
    def stride(self) -> int:
        """What the sides of an image are multiples of."""
        return self.segmenter.stride

    @property
    def smallest_side(self) -> int:
        """The shortest side of an image that the network accepts, pixels."""
        return self.segmenter.smallest_side

    @property
    def image_size(self) -> Sequence[int]:
        """Rows and columns of the images, () where the network takes any."""
        return getattr(self.segmenter, "image_size", ())

    def setup(self) -> None:
        """Puts the CRF beside the parts of the network, whose paths stay."""
        nn.share_scope(self, self.segmenter)
        self.crf = _Strengths(
            len(self.gammas), self.beta, self.pairwise, self.has_deviations
        )

    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Returns the most probable map.

        Args:
            images: RGB in [0, 1], float [b, h, w, 3], or grey ones [b, h, w, 1].
            train: whether the network trains; its deviations are then of one random
                solution, which only their mean over an image makes use of.

        Returns:
            float32 [b, h, w, 1], in the unit of the network; with deviations [b, h, w,
            2], the second of which has a slope by tau alone.

        Raises:
            UserError: images that the network refuses, or a network that gives more
                than one number for each pixel.
        """
        z = self.segmenter(images, train=train)
        if z.shape[-1] != 1:
            raise errors.UserError(
                "A CRF on pixels wants a network of one number for each pixel, got "
                f"{z.shape[-1]}. Build it with num_classes=1."
            )
        corners = "align_corners" if self.segmenter.align_corners else "half_pixel"
        z = enlarge.to_size(z, images.shape[1:3], corners)[..., 0]
        beta, tau = self.crf()
        gammas = jnp.asarray(self.gammas, beta.dtype)
        precision = grid_precision.from_weights(
            *grid_weights.from_images(images, beta, gammas)
        )
        mean = gaussian.map_estimate(precision, z)
        if not self.has_deviations:
            return mean[..., None]
        has_key = train and self.has_rng("dropout")
        key = self.make_rng("dropout") if has_key else jax.random.key(0)
        sampled = grid_estimates.estimated(
            lax.stop_gradient(precision),
            key,
            probes=_TRAIN_PROBES if train else self.probes,
        )
        return jnp.stack([mean, gaussian.deviations(sampled, tau)], -1)


def on(
    network: nn.Module, name: str, num_classes: int, options: Mapping[str, Any]
) -> GridCrf:
    """Returns a network with the CRF of a name as its last layer.

    Args:
        network: what gives the numbers.
        name: of `NAMES`.
        num_classes: how many it gives for each pixel.
        options: by the names of `OPTIONS`.

    Returns:
        The Linen module.

    Raises:
        UserError: more than one number for each pixel, or options that it refuses.
    """
    if num_classes != 1:
        raise errors.UserError(
            f'crf="{name}" joins one number for each pixel, such as a depth; this '
            f"network gives {num_classes}. Pass num_classes=1, or for labels "
            'crf="lattice".'
        )
    if isinstance(options.get("gammas"), list):
        options = {**options, "gammas": tuple(options["gammas"])}
    return GridCrf(network, name == "grid_calibrated", **options)


def check_unused(name: str, options: Mapping[str, Any]) -> None:
    """Refuses options of the CRF on pixels where another one is chosen, or none.

    Args:
        name: of what was chosen.
        options: by the names of `OPTIONS`.

    Raises:
        UserError: one of them has not the value that it has by itself.
    """
    for option, value in options.items():
        if value != getattr(GridCrf, option):
            raise errors.UserError(
                f'{option} is an option of crf="grid", this network has crf="{name}". '
                f"Choose that CRF, or leave {option} out."
            )


class _Strengths(nn.Module):
    """beta, and tau where it is learned; fields as of `GridCrf`."""

    count: int
    beta: float
    pairwise: strengths.Pairwise
    has_scale: bool

    @nn.compact
    def __call__(self) -> tuple[jax.Array, jax.Array]:
        beta = strengths.learned(self, self.count, self.beta, self.pairwise)
        tau = jnp.ones(())
        if self.has_scale:
            tau = jnp.exp(self.param("log_tau", nn.initializers.zeros, ()))
        return beta, tau
