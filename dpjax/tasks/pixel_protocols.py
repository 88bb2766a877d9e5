"""How an image is seen whose pixels are named: whole, at sizes, mirrored, by windows.

A protocol turns an image into the views that a network gets, and the scores of all
views into one class for each pixel.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import jax
import numpy as np

from dpjax.data import crop_window
from dpjax.ops import enlarge, meanfield


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What the network sees of an image.

    Views are enlarged to the image; their class probabilities are averaged.

    Attributes:
        scales: factors of the image's size.
        mirrors: whether each is seen mirrored, too.
        slides: whether the network sees windows that overlap by a third, instead of
            the image; there is one scale then.
        crf: kernels of a dense CRF that has the last word, a name of
            `meanfield.PUBLISHED`; "" for none.
    """

    scales: tuple[float, ...] = (1.0,)
    mirrors: bool = False
    slides: bool = False
    crf: str = ""

    def views(self, image: np.ndarray, window: int) -> list[np.ndarray]:
        """Returns what the network sees.

        Args:
            image: uint8 [h, w, 3].
            window: side of sliding windows, pixels.

        Returns:
            float32 [h', w', 3] in [0, 1] each.
        """
        if self.slides:
            whole = image.astype(np.float32) / np.float32(255)
            return [whole[place] for place in _places(whole.shape, window)]
        found = []
        for scale in self.scales:
            size = tuple(max(1, round(side * scale)) for side in image.shape[:2])
            levels = crop_window.resize(image, size)
            view = levels.astype(np.float32) / np.float32(255)
            found.append(view)
            if self.mirrors:
                found.append(np.ascontiguousarray(view[:, ::-1]))
        return found

    def labels(
        self,
        image: np.ndarray,
        outputs: Sequence[np.ndarray],
        window: int,
        upsampling: enlarge.Mode,
    ) -> np.ndarray:
        """Returns the class of each pixel.

        Args:
            image: uint8 [h, w, 3].
            outputs: scores of each view, float32 [h', w', k].
            window: side of sliding windows, pixels.
            upsampling: how scores are enlarged.

        Returns:
            int64 [h, w].
        """
        size = image.shape[:2]
        if self.slides:
            scores = _logs(_joined(size, outputs, window, upsampling))
        else:
            whole = [
                enlarge.on_host(
                    scores[:, ::-1] if self.mirrors and i % 2 else scores,
                    size,
                    upsampling,
                )
                for i, scores in enumerate(outputs)
            ]
            scores = whole[0]
            if len(whole) > 1:
                scores = _logs(sum(map(_probabilities, whole)))
        if self.crf:
            scores = np.asarray(_refined(scores[None], image[None], self.crf)[0])
        return np.argmax(scores, -1)


PROTOCOLS = {
    "whole": Protocol(),
    "mirrored": Protocol(mirrors=True),
    # RefineNet's released code; it has no mirror images.
    "refinenet_scales": Protocol((0.4, 0.6, 0.8, 1.0, 1.2)),
    # The usual one of later toolboxes.
    "scales": Protocol((0.5, 0.75, 1.0, 1.25, 1.5, 1.75), mirrors=True),
    "sliding": Protocol(slides=True),
    # Chen et al., PAMI 2018.
    "crf": Protocol(crf="deeplab_v2_resnet101"),
}


@functools.partial(jax.jit, static_argnames="kernels")
def _refined(scores: jax.Array, images: jax.Array, kernels: str) -> jax.Array:
    return meanfield.refine(scores, images, meanfield.PUBLISHED[kernels])


def _places(shape: Sequence[int], window: int) -> list[tuple[slice, slice]]:
    """Windows that cover an image and overlap by a third at least, row by row."""
    sides = []
    for length in shape[:2]:
        side = min(window, length)
        count = 1 + math.ceil((length - side) / (side * 2 / 3))
        starts = np.linspace(0, length - side, count).round().astype(int)
        sides.append([slice(start, start + side) for start in starts.tolist()])
    return [(rows, columns) for rows in sides[0] for columns in sides[1]]


def _joined(
    size: tuple[int, int],
    outputs: Sequence[np.ndarray],
    window: int,
    upsampling: enlarge.Mode,
) -> np.ndarray:
    """The mean probabilities of windows that overlap, [h, w, k]."""
    total = np.zeros((*size, outputs[0].shape[-1]), np.float32)
    count = np.zeros((*size, 1), np.float32)
    for place, scores in zip(_places(size, window), outputs, strict=True):
        inner = total[place].shape[:2]
        total[place] += _probabilities(enlarge.on_host(scores, inner, upsampling))
        count[place] += 1
    return total / count


def _probabilities(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _logs(shares: np.ndarray) -> np.ndarray:
    # A share of 0 stays the smallest, but finite: a CRF adds to it.
    return np.log(np.maximum(shares, np.finfo(np.float32).tiny))
