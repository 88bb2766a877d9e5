"""Averaging a network over the eight symmetries of the square.

The mean over four rotations with and without a left-right flip of
inverse_g(net(g(image))): RED-Net's released code always does it, EDSR calls it "+".  It
costs eight calls, is exactly equivariant whatever the network, and its squared error is
at most the mean of the eight squared errors, by convexity.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from dpjax import errors
from dpjax.data import transforms
from dpjax.inference import windows

_SYMMETRIES = range(transforms.SYMMETRIES)


def views(image: np.ndarray) -> list[np.ndarray]:
    """Returns the eight symmetric views of an image.

    Args:
        image: [h, w, c].

    Returns:
        Eight arrays, [h, w, c] or [w, h, c].
    """
    return [transforms.dihedral(image, index) for index in _SYMMETRIES]


def merge(results: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the mean of results for `views`, each turned back.

    Args:
        results: eight arrays, in the order of `views`.

    Returns:
        [h, w, k] in the type of the results, averaged in float64.
    """
    total, dtype = None, None
    for index, result in zip(_SYMMETRIES, results, strict=True):
        back = transforms.dihedral_inverse(result, index)
        dtype = result.dtype
        total = back.astype(np.float64) if total is None else total + back
    return (total / len(_SYMMETRIES)).astype(dtype)


class SelfEnsemble:
    """An engine that averages another over the symmetries; used like one.

    Attributes:
        engine: what runs each view.
    """

    def __init__(self, engine: windows.Engine):
        """Wraps an engine.

        Args:
            engine: what runs each view.

        Raises:
            UserError: the network gives no map that could be turned back.
        """
        if not engine.module.is_dense:
            raise errors.UserError(
                "The self-ensemble turns maps back by eight symmetries; this network "
                "gives one vector for an image. Leave the ensemble out."
            )
        self.engine = engine

    @property
    def exact(self) -> bool:
        """Whether windows equal the whole image, whatever its size."""
        return self.engine.exact

    @property
    def compilations(self) -> int:
        """Number of compiled programs that the engine has used."""
        return self.engine.compilations

    def is_exact(self, height: int, width: int) -> bool:
        """Returns whether an image of this size comes out as from whole calls.

        Args:
            height: rows of the image.
            width: columns of the image.

        Returns:
            False where windows have to be blended.
        """
        return self.engine.is_exact(height, width)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Returns the mean over the views of one image.

        Args:
            image: float32 [h, w, c].

        Returns:
            float32 [h, w, k].

        Raises:
            UserError: as the engine.
        """
        return next(self.map([image]))

    def map(self, images: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Returns the mean over the views of each image, in order.

        Args:
            images: float32 [h, w, c] each; sizes may differ.

        Returns:
            An iterator of float32 [h, w, k].

        Raises:
            UserError: as the engine.
        """
        results = self.engine.map(v for image in images for v in views(image))
        # One result at a time is added up: eight of a large image are a lot of memory.
        for first in results:
            rest = itertools.islice(results, len(_SYMMETRIES) - 1)
            yield merge(itertools.chain([first], rest))
