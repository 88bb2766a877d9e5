"""Black bars around the picture of a film, and the window that they leave."""

from typing import NamedTuple

import numpy as np

from dpjax import errors

# Levels of 255.  Black of video is 16 where a decoder forgets its range, and noise of
# compression is above it.
_DARK = 24
# Share of a row that must be dark; subtitles and station marks stand in bars.
_SHARE = 0.995


class Window(NamedTuple):
    """The rows and columns of a picture, half-open.

    Attributes:
        top: first row.
        bottom: row after the last one; `top` if there is no picture.
        left: first column.
        right: column after the last one.
    """

    top: int
    bottom: int
    left: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, pixels; 0 where nothing is left."""
        return max(self.bottom - self.top, 0), max(self.right - self.left, 0)

    def of(self, image: np.ndarray) -> np.ndarray:
        """Returns the part of an image in the window.

        Args:
            image: [h, w, ...].

        Returns:
            A view of it.
        """
        return image[self.top : self.bottom, self.left : self.right]

    def common(self, other: "Window") -> "Window":
        """Returns the window that two leave.

        Views of films may have bars of different widths, "floating windows".  Cutting
        the same columns off both keeps disparities as they are.

        Args:
            other: of the other view.

        Returns:
            Their intersection.
        """
        return Window(
            max(self.top, other.top),
            min(self.bottom, other.bottom),
            max(self.left, other.left),
            min(self.right, other.right),
        )


def find(image: np.ndarray) -> Window:
    """Returns the window within the black bars of a picture.

    Bars are the dark rows at the top and at the bottom, and after those the dark
    columns at the sides.

    Args:
        image: uint8 [h, w, c].

    Returns:
        The window; the whole picture if there are no bars, none of it if all is black.

    Raises:
        UserError: another type or shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3:
        raise errors.UserError(
            f"Bars are looked for in uint8 [h, w, c], got {image.dtype} "
            f"{list(image.shape)}."
        )
    is_dark = image.max(-1) <= _DARK
    top, bottom = _between(is_dark.mean(1) >= _SHARE)
    left, right = _between(is_dark[top:bottom].mean(0) >= _SHARE) if bottom else (0, 0)
    return Window(top, bottom, left, right)


def _between(is_bar: np.ndarray) -> tuple[int, int]:
    """From the first place without a bar to after the last one."""
    places = np.flatnonzero(~is_bar)
    return (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 0)
