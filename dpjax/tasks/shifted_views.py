"""How "Wider or Deeper" is tested: on a canvas, mirrored, and shifted between scores.

Wu, Shen & van den Hengel, 2016; the authors' code.  Score i of their networks is
centred on pixel 8i and trained to name pixel 8i + 4, the middle of its cell of 8 x 8
pixels.  An image shifted by a part of the stride gives the scores of points in between.

Against their code: sizes within the canvas are rounded, images are resized as in
training here (`data.crop_window`), and Keys' cubic is that of `ops.enlarge`, of which
the constant is -0.5.  Several sizes of one image are left out: how those are joined was
never released.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from dpjax.data import crop_window
from dpjax.ops import enlarge


@dataclasses.dataclass(frozen=True)
class ShiftedViews:
    """An image of one size at its shifts, each seen mirrored, too.

    Attributes:
        long_side: of the image as the network sees it, pixels.
        steps: shifts along each axis, a divisor of `stride`; there is a score each
            `stride / steps` pixels.
        is_square: whether the canvas is, so that all images have one size.
        stride: pixels of an image between two scores.
    """

    long_side: int
    steps: int = 1
    is_square: bool = True
    stride: int = 8

    def views(self, image: np.ndarray, window: int = 0) -> list[np.ndarray]:
        """Returns what the network sees.

        Args:
            image: uint8 [h, w, 3].
            window: not used.

        Returns:
            float32 [h', w', 3] in [0, 1]: the canvas at each shift, row by row, and
            after each its mirror image; ImageNet's mean colour beyond the image.
        """
        size, canvas = self._sizes(image)
        levels = crop_window.resize(image, size)
        views = []
        for down in self._shifts():
            for right in self._shifts():
                window = crop_window.Window(size, down, right)
                view = crop_window.cut_picture(levels, window, canvas)
                view = view.astype(np.float32) / np.float32(255)
                views += [view, np.ascontiguousarray(view[:, ::-1])]
        return views

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
            outputs: scores of each view, float32 [h' / stride, w' / stride, k].
            window: not used.
            upsampling: how probabilities are enlarged; the authors' is "cubic".

        Returns:
            int64 [h, w].
        """
        size, canvas = self._sizes(image)
        pairs = zip(outputs[::2], outputs[1::2], strict=True)
        each = [
            (probabilities(one) + probabilities(other[:, ::-1])) / 2
            for one, other in pairs
        ]
        rows, columns, count = each[0].shape
        dense = np.empty((self.steps * rows, self.steps * columns, count), np.float32)
        for i, shares in enumerate(each):
            row, column = divmod(i, self.steps)
            dense[row :: self.steps, column :: self.steps] = shares
        whole = enlarge.on_host(dense, canvas, upsampling)
        inside = whole[: size[0], : size[1]]
        return np.argmax(enlarge.on_host(inside, image.shape[:2], upsampling), -1)

    def _sizes(self, image: np.ndarray) -> tuple[tuple[int, int], tuple[int, int]]:
        """Height and width of the resized image and of the canvas."""
        factor = self.long_side / max(image.shape[:2])
        size = tuple(max(1, round(side * factor)) for side in image.shape[:2])
        canvas = tuple(-(-side // self.stride) * self.stride for side in size)
        return size, (max(canvas),) * 2 if self.is_square else canvas

    def _shifts(self) -> list[int]:
        """Where the canvas begins in the image, so that cells divide evenly."""
        part = self.stride // self.steps
        return [part * i + part // 2 - self.stride // 2 for i in range(self.steps)]


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Returns the softmax of scores over their last axis.

    Args:
        scores: float [..., k].

    Returns:
        The same shape and type.
    """
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
