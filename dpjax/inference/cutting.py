"""One image on its way through windows: what is cut out, and how it comes together."""

import functools

import numpy as np

from dpjax.ops import tiles

# Part of a window that overlaps its neighbour where windows are blended.
_BLEND = 0.25

Window = tuple[int, int]


class WholeJob:
    """An image that the network must see at once: it gives one vector for all of it.

    Attributes:
        image: float [h, w, c].
        size: of its only window: that of the image.
        windows: the only one.
        is_blended: there is nothing to blend.
    """

    is_blended = False

    def __init__(self, image: np.ndarray):
        """Plans nothing.

        Args:
            image: float [h, w, c].
        """
        self.image = image
        self.size = image.shape[:2]
        self.windows = [(0, 0)]
        self._output: np.ndarray | None = None

    def cut(self, window: Window) -> np.ndarray:
        """Returns the image.

        Args:
            window: the only one.

        Returns:
            [h, w, c].
        """
        return self.image

    def put(self, window: Window, value: np.ndarray) -> None:
        """Keeps what the network made of the image.

        Args:
            window: the only one.
            value: [k].
        """
        self._output = value

    def result(self) -> np.ndarray:
        """Returns what was put.

        Returns:
            [k].
        """
        return self._output


class Job:
    """The windows of one image and the picture that grows out of them.

    With a halo, the cores of the windows are put side by side, which is exact.  Without
    (unbounded context), the whole image is the only exact window; an image that is too
    large is cut into overlapping windows, whose results fade into each other.

    Attributes:
        image: float [h, w, c].
        plan: windows of the image, its sides rounded up to the stride.
        is_blended: whether there are windows that fade into each other.
    """

    def __init__(
        self,
        image: np.ndarray,
        *,
        limit: int,
        halo: int | None,
        stride: int,
        bucket: int,
    ):
        """Plans the windows.

        Args:
            image: float [h, w, c].
            limit: longest side of a window, pixels.
            halo: pixels of context, None if unbounded.
            stride: sides of what the network sees are multiples of it.
            bucket: sides of windows are multiples of it where there is a halo.
        """
        self.image = image
        sides = [tiles.round_up(side, stride) for side in image.shape[:2]]
        if halo is None:
            # Nothing but the image may be seen: no bucket, and overlaps if need be.
            bucket, overlap = stride, int(limit * _BLEND / 2)
        self.plan = tiles.plan(
            *sides,
            limit,
            halo=overlap if halo is None else halo,
            stride=stride,
            bucket=bucket,
        )
        self.is_blended = halo is None and len(self.plan.windows) > 1
        self._output: np.ndarray | None = None
        self._is_on_own_grid = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of every window, pixels."""
        return self.plan.size

    @property
    def windows(self) -> list[Window]:
        """Every window by its place in the plan: (row, column)."""
        rows, columns = len(self.plan.rows), len(self.plan.columns)
        return [(i, j) for i in range(rows) for j in range(columns)]

    def cut(self, window: Window) -> np.ndarray:
        """Returns the pixels of a window, the last repeated where the stride wants it.

        Args:
            window: one of `windows`.

        Returns:
            [h, w, c], smaller than `size` where the window exceeds the image.
        """
        row, column = self.plan.rows[window[0]], self.plan.columns[window[1]]
        height, width = self.size
        part = self.image[
            row.origin : row.origin + height, column.origin : column.origin + width
        ]
        missing = (
            min(self.plan.image[0] - row.origin, height) - part.shape[0],
            min(self.plan.image[1] - column.origin, width) - part.shape[1],
        )
        if any(missing):
            pads = [(0, missing[0]), (0, missing[1]), (0, 0)]
            part = np.pad(part, pads, mode="edge")
        return part

    def put(self, window: Window, value: np.ndarray) -> None:
        """Puts what the network made of a window where it belongs.

        Args:
            window: one of `windows`.
            value: [*size, k]; on another grid if the window is the whole image.
        """
        if value.shape[:2] != self.size and len(self.windows) == 1:
            self._output, self._is_on_own_grid = value, True
            return
        if self._output is None:
            shape = (*self.plan.image, value.shape[-1])
            self._output = np.zeros(shape, value.dtype)
        row, column = self.plan.rows[window[0]], self.plan.columns[window[1]]
        if not self.is_blended:
            self._output[row.start : row.stop, column.start : column.stop] = value[
                row.start - row.origin : row.stop - row.origin,
                column.start - column.origin : column.stop - column.origin,
            ]
            return
        down, across = self._weights[0][window[0]], self._weights[1][window[1]]
        weight = (down[:, None] * across[None, :])[..., None].astype(value.dtype)
        height, width = self.size
        place = (
            slice(row.origin, row.origin + height),
            slice(column.origin, column.origin + width),
        )
        inside = self._output[place].shape
        self._output[place] += (weight * value)[: inside[0], : inside[1]]

    def result(self) -> np.ndarray:
        """Returns the whole picture, once every window has been put.

        Returns:
            [h, w, k], of the size of the image, or what a network with a grid of its
            own made of the image as a whole.
        """
        if self._is_on_own_grid:
            return self._output
        height, width = self.image.shape[:2]
        return self._output[:height, :width]

    @functools.cached_property
    def _weights(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        plan = self.plan
        return (
            tiles.feather(plan.rows, plan.size[0], plan.image[0]),
            tiles.feather(plan.columns, plan.size[1], plan.image[1]),
        )
