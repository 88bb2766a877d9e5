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
from dpjax.ops import enlarge
from dpjax.ops.meanfield import dense_crf
from dpjax.tasks import shifted_views

_LEAST_LOG = -20.0  # RefineNet's code, where log-probabilities are enlarged


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What the network sees of an image.

    Views are enlarged to the image; their class probabilities are averaged.

    The released code of RefineNet does it on the grid of the largest scores instead
    (`in_logs`): log-probabilities, none below -20, are brought to that grid, the mean
    of the probabilities there is taken, and its logarithm enlarged to the image.  Left
    out is that it keeps probabilities in 8 bits in between, and that it enlarges what
    it has summed each time that a larger grid comes.

    Attributes:
        scales: factors of the image's size.
        short_side: least and most pixels of the image's short side, to which it is
            brought before `scales` counts; 0 for no bound.
        in_logs: whether views are joined as RefineNet's code does.
        mirrors: whether each is seen mirrored, too.
        slides: whether the network sees windows that overlap by a third, instead of
            the image; there is one scale then.
        crf: kernels of a dense CRF that has the last word, a name of
            `dense_crf.PUBLISHED`; "" for none.
    """

    scales: tuple[float, ...] = (1.0,)
    short_side: tuple[int, int] = (0, 0)
    in_logs: bool = False
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
        fit = crop_window.fit_short_side(image.shape[:2], self.short_side)
        for scale in self.scales:
            size = tuple(max(1, round(side * fit * scale)) for side in image.shape[:2])
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
            turned = [
                scores[:, ::-1] if self.mirrors and i % 2 else scores
                for i, scores in enumerate(outputs)
            ]
            join = _mean_of_logs if self.in_logs else _mean
            scores = join(size, turned, upsampling)
        if self.crf:
            scores = np.asarray(_refined(scores[None], image[None], self.crf)[0])
        return np.argmax(scores, -1)


# Chen et al., PAMI 2018.
_CRF = "deeplab_v2_resnet101"
# The usual ones of later toolboxes.
_SCALES = Protocol((0.5, 0.75, 1.0, 1.25, 1.5, 1.75), mirrors=True)
# RefineNet's released code; it has no mirror images.
_REFINENET = Protocol((0.4, 0.6, 0.8, 1.0, 1.2), short_side=(450, 800), in_logs=True)

PROTOCOLS: dict[str, Protocol | shifted_views.ShiftedViews] = {
    "whole": Protocol(),
    "mirrored": Protocol(mirrors=True),
    "scales": _SCALES,
    "sliding": Protocol(slides=True),
    "crf": Protocol(crf=_CRF),
    # Chen et al., ICLR 2015.
    "largefov_crf": Protocol(crf="deeplab_largefov"),
    "scales_crf": dataclasses.replace(_SCALES, crf=_CRF),
    "refinenet_scales": _REFINENET,
    # The one that the code suggests.
    "refinenet_scale": dataclasses.replace(_REFINENET, scales=(0.8,)),
    # The paper has a CRF for VOC, whose kernels are not known: DeepLab-v2's.
    "refinenet_scales_crf": dataclasses.replace(_REFINENET, crf=_CRF),
    "refinenet_cityscapes": dataclasses.replace(_REFINENET, short_side=(600, 1100)),
    # "Wider or Deeper": VOC; ADE20K; Cityscapes, whose images have one size.
    "wider_500": shifted_views.ShiftedViews(500),
    "wider_500_steps": shifted_views.ShiftedViews(500, steps=2),
    "wider_2048": shifted_views.ShiftedViews(2048, is_square=False),
}


def _mean(
    size: tuple[int, int], outputs: Sequence[np.ndarray], upsampling: enlarge.Mode
) -> np.ndarray:
    """Scores as large as the image; of several views from their mean probabilities."""
    whole = [enlarge.on_host(scores, size, upsampling) for scores in outputs]
    if len(whole) == 1:
        return whole[0]
    return _logs(sum(map(shifted_views.probabilities, whole)) / len(whole))


def _mean_of_logs(
    size: tuple[int, int], outputs: Sequence[np.ndarray], upsampling: enlarge.Mode
) -> np.ndarray:
    """Scores as large as the image, as RefineNet's code joins views; see `Protocol`."""
    grid = max((scores.shape[:2] for scores in outputs), key=math.prod)
    total = np.zeros((*grid, outputs[0].shape[-1]), np.float32)
    for scores in outputs:
        logs = _floored(shifted_views.probabilities(scores))
        total += np.exp(enlarge.on_host(logs, grid, upsampling))
    # Cubic sampling overshoots.
    mean = np.clip(total / len(outputs), 0, 1)
    return enlarge.on_host(_floored(mean), size, upsampling)


@functools.partial(jax.jit, static_argnames="kernels")
def _refined(scores: jax.Array, images: jax.Array, kernels: str) -> jax.Array:
    return dense_crf.refine(scores, images, dense_crf.PUBLISHED[kernels])


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
        whole = enlarge.on_host(scores, inner, upsampling)
        total[place] += shifted_views.probabilities(whole)
        count[place] += 1
    return total / count


def _floored(shares: np.ndarray) -> np.ndarray:
    return np.maximum(_logs(shares), np.float32(_LEAST_LOG))


def _logs(shares: np.ndarray) -> np.ndarray:
    # A share of 0 stays the smallest, but finite: a CRF adds to it.
    return np.log(np.maximum(shares, np.finfo(np.float32).tiny))
